//! How often users are asked about when they come all at once and nothing is cached.

use std::net::SocketAddr;

use anyhow::Result;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Listener};
use serde_json::json;

use super::Size;
use super::crowd::{Answer, request};
use super::report::Report;
use super::stage::{Plan, Stage, subject};
use crate::chain::cookie;

/// An app that answers in the least time with the name of the user that it was told: an Envoy.
///
/// # Errors
/// When it does not start.
pub fn echo() -> Result<(Envoy, SocketAddr)> {
    let routes = json!({ "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
        "match": { "prefix": "/" },
        "direct_response": { "status": 200, "body": { "inline_string": "hello\n" } },
        "response_headers_to_add": [{ "header": { "key": TOLD, "value": "%REQ(x-user-id)%" } }],
    }] }] });
    let listener = Listener::answering("app", "").option("route_config", routes);
    let app = Envoy::start(&Launch::new(Config::new().listener(listener).build()))?;
    let address = app.address("app");
    Ok((app, address))
}

/// Many users at once: each of them is asked about once. Beside it the same burst on what is known by then, and on a gate
/// that does nothing.
///
/// # Errors
/// When something does not start or cannot be counted.
pub fn many_users(plan: &Plan, size: Size) -> Result<Report> {
    let mut report = Report::new(title("many users", plan, size));
    let (_app, app) = echo()?;
    let stage = plan.start(app)?;
    let requests = requests(size);
    let mut crowd = stage.crowd(size.requests)?;
    let cold = crowd.rush(requests.clone())?;
    stage.await_decisions(number(size.requests))?;
    judge_answers(&mut report, size, &cold);
    judge_questions(&mut report, &stage, size.users, 1)?;
    report.times("cold", &cold);

    let warm = crowd.rush(requests.clone())?;
    report.all_served("not answered with 200, warm", &warm);
    report.times("the same again, warm", &warm);
    let asked = stage.asked()?;
    report.demand(asked.rows <= number(size.users), || format!("a warm burst led to queries: {asked:?}"));
    drop(crowd);

    let bare = stage.gate(&Plan { edits: vec![WITHOUT_GATE], ..plan.clone() }, app)?;
    let mut crowd = stage.crowd_at(&[bare.address("https")], size.requests)?;
    // Like the gate, it has no connection to the app at first.
    for name in ["bare Envoy", "bare Envoy, again"] {
        let answers = crowd.rush(requests.clone())?;
        report.all_served(&format!("not answered with 200, {name}"), &answers);
        report.times(name, &answers);
    }
    Ok(report)
}

/// One user, many times at once: one query.
///
/// # Errors
/// As [`many_users`].
pub fn one_user(plan: &Plan, requests_at_once: usize) -> Result<Report> {
    let size = Size { requests: requests_at_once, users: 1 };
    let mut report = Report::new(title("one user", plan, size));
    let (_app, app) = echo()?;
    let stage = plan.start(app)?;
    let answers = stage.crowd(size.requests)?.rush(requests(size))?;
    stage.await_decisions(number(size.requests))?;
    judge_answers(&mut report, size, &answers);
    judge_questions(&mut report, &stage, size.users, 1)?;
    let asked = stage.asked()?;
    report.demand(asked.queries == 1, || format!("{} queries about one user", asked.queries));
    report.times("cold", &answers);
    Ok(report)
}

/// Many users through several gates, lookup services and one Redis: how often each is asked about in the whole fleet. The
/// aim is once; more than once for each lookup service must not be.
///
/// # Errors
/// As [`many_users`].
pub fn fleet(plan: &Plan, size: Size) -> Result<Report> {
    let mut report = Report::new(title("a fleet", plan, size));
    let (_app, app) = echo()?;
    let stage = plan.start(app)?;
    let answers = stage.crowd(size.requests)?.rush(requests(size))?;
    stage.await_decisions(number(size.requests))?;
    judge_answers(&mut report, size, &answers);
    // One lookup service may miss what the other is asking: the lock in Redis is waited for briefly.
    judge_questions(&mut report, &stage, size.users, plan.replicas)?;
    report.times("cold", &answers);
    Ok(report)
}

/// Everybody was served, and the app was told of nobody but the sender.
fn judge_answers(report: &mut Report, size: Size, answers: &[Option<Answer>]) {
    report.all_served("not answered with 200", answers);
    let mistaken = answers.iter().enumerate().filter(|(index, answer)| {
        let told = answer.as_ref().map(|answer| answer.all(TOLD).join(","));
        told.is_some_and(|told| !told.is_empty() && told != subject(index % size.users))
    });
    report.exactly("told of another user", number(mistaken.count()), 0);
}

/// No user may have been asked about more than so many times.
fn judge_questions(report: &mut Report, stage: &Stage, users: usize, times: usize) -> Result<()> {
    let asked = stage.asked()?;
    report.figure("requests that waited", stage.counter("jwe_gate.parked")?);
    report.figure("questions of the gates", stage.counter("jwe_gate.questions")?);
    report.figure("callouts (batches of questions)", stage.counter("jwe_gate.callout.answered")?);
    report.figure("questions that joined others in the service", stage.service_counter(&["joined_questions_total"])?);
    report.figure("questions answered from Redis", stage.service_counter(&["answers_total", "layer=\"redis\""])?);
    report.figure("records in Redis", stage.redis_records()?);
    report.figure("database queries", asked.queries);
    report.exactly("users asked for", asked.users, number(users));
    report.at_most("user rows asked for", asked.rows, number(users * times));
    report.at_most("rows of the user asked for most often", asked.most, number(times));
    report.figure(
        "rows per user",
        format!("{}.{:03}", asked.rows / number(users), asked.rows * 1000 / number(users) % 1000),
    );
    Ok(())
}

fn requests(size: Size) -> Vec<Request<Empty<Bytes>>> {
    let cookies: Vec<_> = (0..size.users).map(|user| cookie(&subject(user))).collect();
    let all = cookies.iter().cycle().take(size.requests);
    all.map(|cookie| request("/", &[("cookie", cookie)])).collect()
}

fn title(name: &str, plan: &Plan, size: Size) -> String {
    let Size { requests, users } = size;
    let Plan { gates, workers, replicas, lag, .. } = plan;
    format!(
        "{name}: {requests} connections at once, {users} users, {gates} Envoys of {workers} workers, {replicas} lookup services, \
         each query {} ms longer",
        lag.as_millis()
    )
}

pub(super) fn number(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

const TOLD: &str = "x-told";

/// Leaves the filter out of the shipped configuration.
const WITHOUT_GATE: (&str, &str) = (
    "                          match: { prefix: / }\n",
    "                          match: { prefix: / }
                          typed_per_filter_config:
                            jwe_gate:
                              \"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig
                              disabled: true\n",
);
