//! `jwe-gate inspect`: is the session of this request accepted, and if not, why?

mod request;

use std::io::Read;
use std::process::ExitCode;

use jwe_gate_core::config::Config;
use jwe_gate_core::time::UnixMillis;
use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use request::{Found, Reason, Request};

use crate::arguments::InspectArguments;
use crate::failure::Failure;
use crate::{check, hints, mint};

/// Far more than any proxy lets through; what is cut off here is refused as too large anyway.
const MAX_INPUT: u64 = 16 << 20;

/// What is printed.
#[derive(Serialize)]
struct Report {
    valid: bool,
    reason: &'static str,
    sub: Option<String>,
    claims: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

pub(crate) fn run(arguments: &InspectArguments) -> Result<ExitCode, Failure> {
    let config = check::read(&arguments.config)?;
    let mut header = Vec::new();
    std::io::stdin().take(MAX_INPUT).read_to_end(&mut header).map_err(Failure::io("standard input"))?;
    let header = header.strip_suffix(b"\n").unwrap_or(&header);
    let header = header.strip_suffix(b"\r").unwrap_or(header);

    let request = Request {
        cookie: header,
        authorization: arguments.authorization.as_deref().map(str::as_bytes),
        now: UnixMillis::from_seconds(arguments.now.unwrap_or_else(mint::now)),
    };
    let report = report(&config, &request)?;
    println!("{}", serde_json::to_string(&report).map_err(|error| Failure::Io("output".into(), error.into()))?);
    Ok(if report.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(config: &Config, request: &Request<'_>) -> Result<Report, Failure> {
    let judged = request.judge(config).map_err(Failure::Derive)?;
    let hints = hints::all(config, request, judged.as_ref().err().copied());
    Ok(match judged {
        Ok(session) => Report {
            valid: true,
            reason: "ok",
            sub: Some(session.subject().to_owned()),
            claims: Some(session.claims().clone()),
            hints,
        },
        Err(reason) => Report { valid: false, reason: reason.as_str(), sub: None, claims: None, hints },
    })
}
