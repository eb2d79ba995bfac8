//! One page that is the same for everybody: the app is asked for it once, and nobody gets anything of somebody else.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use jwe_gate_test_parts::upstream::Received;

use super::Size;
use super::app::{App, PAGE};
use super::crowd::{Answer, request};
use super::lookups::number;
use super::report::Report;
use super::stage::{Plan, subject};
use crate::chain::{COOKIE, cookie};
use crate::token::Token;

/// Signed-in users ask for one page at once, then as many without a session that is good for it.
///
/// # Errors
/// When something does not start or cannot be counted.
pub fn content(plan: &Plan, size: Size) -> Result<Report> {
    let Size { requests, users } = size;
    let mut report =
        Report::new(format!("one page: {requests} requests of {users} users at once, then as many without a session"));
    let app = App::with_one_page()?;
    let stage = plan.start(app.address())?;
    let mut crowd = stage.crowd(requests)?;
    let cookies: Vec<_> = (0..users).map(|user| cookie(&subject(user))).collect();

    let answers = crowd.rush(signed_in(&cookies, requests))?;
    judge_pages(&mut report, &answers, &cookies);
    judge_asked_for_everybody(&mut report, &app);
    report.times("signed in", &answers);

    let refused = crowd.rush(without_session(requests))?;
    let admitted =
        refused.iter().filter(|answer| answer.as_ref().is_none_or(|answer| !matches!(answer.status, 401 | 403)));
    report.exactly("without a session, neither 401 nor 403", number(admitted.count()), 0);
    report.exactly(
        "without a session, told what is cached",
        number(refused.iter().filter(|answer| shows_page(answer.as_ref())).count()),
        0,
    );
    report.exactly("times that the app was asked, after those", number(app.received().len()), 1);
    Ok(report)
}

/// The same with a gate that lets the app answer those who have no session: with an answer for each, none of which is
/// stored, and none of which is the stored page.
///
/// # Errors
/// When something does not start or cannot be counted.
pub fn anonymous(plan: &Plan, size: Size) -> Result<Report> {
    let Size { requests, users } = size;
    let mut report = Report::new(format!("forwarded: {requests} requests without a session beside {users} users"));
    let app = App::with_one_page()?;
    let stage = plan.start(app.address())?;
    let cookies: Vec<_> = (0..users).map(|user| cookie(&subject(user))).collect();
    // Before anything is stored, then beside what is.
    for round in ["before", "after"] {
        let before = app.received().len();
        let answers = stage.crowd(requests)?.rush(without_session(requests))?;
        judge_own_answers(&mut report, round, &answers);
        let asked = app.received();
        let asked = asked.get(before..).context("what was received stays")?;
        report.exactly(&format!("times that the app was asked, {round}"), number(asked.len()), number(requests));
        report.demand(!asked.iter().any(carries_session), || "the app was shown a session that was refused".into());

        let before = app.received().len();
        let pages = stage.crowd(users)?.rush(signed_in(&cookies, users))?;
        judge_pages(&mut report, &pages, &cookies);
        let asked = number(app.received().len() - before);
        report.exactly(&format!("times that it was asked for the page, {round}"), asked, u64::from(round == "before"));
    }
    Ok(report)
}

fn signed_in(cookies: &[String], requests: usize) -> Vec<Request<Empty<Bytes>>> {
    let all = cookies.iter().cycle().take(requests);
    all.map(|cookie| request(PATH, &[("cookie", cookie), ("user-agent", "a browser")])).collect()
}

/// In turn: nothing, a session under another secret, one that has expired, a good one of nobody who is known.
fn without_session(requests: usize) -> Vec<Request<Empty<Bytes>>> {
    let now_ms = unix_ms(SystemTime::now());
    let token = |secret: &str, issued_ms: u64| {
        let token = Token::of(&subject(0), issued_ms).cookie(COOKIE).secret(secret);
        format!("theme=dark; {}", token.pair())
    };
    let cookies = [
        "theme=dark".to_owned(),
        token("the secret of somebody else", now_ms),
        token(crate::chain::AUTH_SECRET, now_ms - 86_400_000),
        cookie("nobody who is known"),
    ];
    cookies.iter().cycle().take(requests).map(|cookie| request(PATH, &[("cookie", cookie)])).collect()
}

fn judge_pages(report: &mut Report, answers: &[Option<Answer>], cookies: &[String]) {
    report.all_served("signed in, and not answered with 200", answers);
    let wrong = answers.iter().filter(|answer| !shows_page(answer.as_ref())).count();
    report.exactly("signed in, and not served the page", number(wrong), 0);
    let with_cookie = answers.iter().flatten().filter(|answer| !answer.all("set-cookie").is_empty()).count();
    report.exactly("answers with a cookie", number(with_cookie), 0);
    let others = answers.iter().flatten().filter(|answer| names_somebody(answer, cookies)).count();
    report.exactly("answers that name a user", number(others), 0);
}

/// The app was asked once, and could not tell by whom.
fn judge_asked_for_everybody(report: &mut Report, app: &App) {
    let received = app.received();
    report.exactly("times that the app was asked", number(received.len()), 1);
    let telling = ["cookie", "authorization", "x-user-id", "x-forwarded-for", "referer"];
    let told =
        received.iter().flat_map(|request| &request.headers).filter(|(name, _)| telling.contains(&name.as_str()));
    let told: Vec<_> = told.map(|(name, _)| name).collect();
    report.demand(told.is_empty(), || format!("the app was told {told:?}"));
}

/// Each answer is the app's, to one client.
fn judge_own_answers(report: &mut Report, round: &str, answers: &[Option<Answer>]) {
    let mut texts: Vec<_> = answers.iter().flatten().map(Answer::text).collect();
    texts.retain(|text| text.starts_with("answer "));
    report.exactly(&format!("answers of the app, {round}"), number(texts.len()), number(answers.len()));
    texts.sort_unstable();
    texts.dedup();
    report.exactly(&format!("different ones among them, {round}"), number(texts.len()), number(answers.len()));
    // It may set its own cookies: its sign-in pages need them.
    let own = answers.iter().flatten().filter(|answer| answer.all("set-cookie").len() == 1).count();
    report.exactly(&format!("of them with the app's cookie, {round}"), number(own), number(answers.len()));
}

fn shows_page(answer: Option<&Answer>) -> bool {
    answer.is_some_and(|answer| answer.status == 200 && answer.text() == PAGE)
}

fn names_somebody(answer: &Answer, cookies: &[String]) -> bool {
    let headers = answer.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-user"));
    let token = |cookie: &String| cookie.rsplit('=').next().unwrap_or_default().to_owned();
    headers.count() > 0 || cookies.iter().any(|cookie| answer.text().contains(&token(cookie)))
}

fn carries_session(request: &Received) -> bool {
    request.all("cookie").iter().any(|cookie| cookie.contains("session-token"))
        || !request.all("x-user-id").is_empty()
        || !request.all("authorization").is_empty()
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const PATH: &str = "/content/page";
