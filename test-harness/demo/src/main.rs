//! `make demo`: who passes the gate and who does not, on the shipped Envoy configuration.
//!
//! It shows each case in a line and then keeps running, to be tried by hand. With `--once` it ends there, with status 0
//! only if every answer was right.
mod session;
mod stage;

use std::process::ExitCode;
use std::thread;

use anyhow::Result;
use jwe_gate_test_parts::http::{Reply, get};
use jwe_gate_test_parts::upstream::Received;

use session::{COOKIE, Issuer};
use stage::Stage;

fn main() -> ExitCode {
    let once = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--once") => true,
        Some(other) => {
            eprintln!("unknown argument {other:?}; usage: jwe-gate-demo [--once]");
            return ExitCode::from(2);
        }
    };
    match run(once) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every answer was right.
fn run(once: bool) -> Result<bool> {
    let issuer = Issuer::new()?;
    let stage = Stage::set(issuer.secret(), USER, once)?;
    let good = issuer.token(USER)?;
    let all_right = show(&stage, &issuer, &good)?;
    if once {
        return Ok(all_right);
    }
    invite(&stage, &good);
    loop {
        // Until it is interrupted. The kernel then ends the servers, too.
        thread::park();
    }
}

/// One case: what is sent and what must come back.
struct Case {
    what: &'static str,
    headers: Vec<(&'static str, String)>,
    status: u16,
    /// Who the application is told that the user is, if it is asked at all.
    user: Option<&'static str>,
}

fn show(stage: &Stage, issuer: &Issuer, good: &str) -> Result<bool> {
    let cookie = |token: &str| ("cookie", format!("theme=dark; {COOKIE}={token}"));
    let case = |what, headers, status, user| Case { what, headers, status, user };
    let cases = [
        case("no session", vec![], 401, None),
        case("a good session", vec![cookie(good)], 200, Some(USER)),
        case("a forged one (another secret)", vec![cookie(&Issuer::new()?.token(USER)?)], 401, None),
        case("a good one of an unknown user", vec![cookie(&issuer.token("nobody")?)], 403, None),
        case(
            "a good one with a spoofed X-User-Id",
            vec![cookie(good), ("X-User-Id", "admin".to_owned()), ("X-USER-ID", "root".to_owned())],
            200,
            Some(USER),
        ),
        case("a spoofed X-User-Id alone", vec![("X-User-Id", "admin".to_owned())], 401, None),
    ];
    let mut all_right = true;
    for case in &cases {
        all_right &= show_case(stage, case)?;
    }
    Ok(all_right)
}

fn show_case(stage: &Stage, case: &Case) -> Result<bool> {
    let headers: Vec<_> = case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = stage.connect()?.send(get("/dashboard", &headers))?;
    let received = (reply.status == 200).then(|| Received::from_reply(&reply)).transpose()?;
    let users = received.as_ref().map(|received| received.all("x-user-id")).unwrap_or_default();
    let right = reply.status == case.status && users == Vec::from_iter(case.user);
    let told = match (&received, users.as_slice()) {
        (None, _) => format!("the application is not asked{}", hint(&reply)),
        (Some(_), []) => "the application is told of no user".to_owned(),
        (Some(_), users) => format!("the application is told: X-User-Id: {}", users.join(", ")),
    };
    let mark = if right { "ok  " } else { "BAD " };
    println!("{mark} {:<38} {}  {told}", case.what, reply.status);
    Ok(right)
}

fn hint(reply: &Reply) -> String {
    let header = |name: &str| reply.header(name).map(|value| format!(" ({name}: {value})"));
    header("www-authenticate").or_else(|| header("retry-after")).unwrap_or_default()
}

fn invite(stage: &Stage, token: &str) {
    let url = stage.url();
    println!(
        "\nIt keeps running until you press Ctrl-C. To try:\n\n  \
         curl --cacert {} {url} -H 'Cookie: {COOKIE}={token}'\n\n\
         or open {url} in a browser (the certificate is for this run only) and set that cookie there.\n\
         What the gate has counted: http://{}/stats?filter=wasmcustom\n",
        stage.authority().display(),
        stage.admin(),
    );
}

const USER: &str = "alice";
