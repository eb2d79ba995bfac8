//! `jwe-gate revoke`: ends sessions early, on every proxy that follows the lookup service.
//!
//! The request is sent again until it is answered, always with the same id, so that it is written once. Neither the
//! administrator's secret nor the user's id is printed.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use jwe_gate_contract::{MAX_BODY_BYTES, REVOCATIONS_PATH, Receipt, RevocationRequest, Target, VERSION};
use ureq::Agent;

use crate::agent::agent;
use crate::arguments::{RevokeArguments, RevokeTarget};
use crate::failure::Failure;
use crate::mint;

pub(crate) fn run(arguments: &RevokeArguments) -> Result<ExitCode, Failure> {
    let name = &arguments.token_env;
    let token = std::env::var(name).map_err(|_| Failure::Environment(name.clone()))?;
    let target = match &arguments.target {
        RevokeTarget { session: Some(sid), .. } => Target::Session { sid: sid.clone() },
        RevokeTarget { subject, .. } => Target::Subject { sub: subject.clone().unwrap_or_default() },
    };
    let id = format!("{:032x}", u128::from_be_bytes(mint::random()?));
    let request = RevocationRequest { version: VERSION, realm: arguments.realm.clone(), id, target };
    let agent = agent(arguments.ca.as_deref())?;
    Ok(match send_until_answered(&agent, &arguments.service, &token, &request) {
        Ok(receipt) => {
            let Receipt { seq, promised_delay_ms, .. } = receipt;
            println!("written as number {seq}; every proxy applies it within {promised_delay_ms} ms");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("not known to be written: {why}");
            ExitCode::FAILURE
        }
    })
}

fn send_until_answered(
    agent: &Agent,
    service: &str,
    token: &str,
    request: &RevocationRequest,
) -> Result<Receipt, String> {
    let mut tried = 0;
    loop {
        tried += 1;
        match send(agent, service, token, request) {
            Err(Unwritten::Unanswered(_)) if tried < TRIES => thread::sleep(BETWEEN_TRIES),
            Err(Unwritten::Unanswered(why) | Unwritten::Refused(why)) => return Err(why),
            Ok(receipt) => return Ok(receipt),
        }
    }
}

enum Unwritten {
    /// It will not be written.
    Refused(String),
    /// It may have been written, or may be.
    Unanswered(String),
}

fn send(agent: &Agent, service: &str, token: &str, request: &RevocationRequest) -> Result<Receipt, Unwritten> {
    let unanswered = |why: &str| Unwritten::Unanswered(why.to_owned());
    let body = serde_json::to_vec(request).map_err(|_| Unwritten::Refused("not to be written as JSON".into()))?;
    let url = format!("{}{REVOCATIONS_PATH}", service.trim_end_matches('/'));
    let post = agent.post(url).header("content-type", "application/json");
    let post = post.header("authorization", format!("Bearer {token}"));
    let mut answer = post.send(&body).map_err(|_| unanswered("the service does not answer"))?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_BODY_BYTES as u64).read_to_vec();
    let body = body.map_err(|_| unanswered("the answer broke off"))?;
    match status {
        200 | 201 => serde_json::from_slice::<Receipt>(&body)
            .ok()
            .filter(|receipt| (receipt.version, &receipt.realm, &receipt.id) == (VERSION, &request.realm, &request.id))
            .ok_or_else(|| Unwritten::Refused("the answer is no receipt of a lookup service".into())),
        503 => Err(unanswered("the service cannot write now")),
        status => Err(Unwritten::Refused(format!("refused with {status}: {}", reason(&body)))),
    }
}

/// What the service says about it, in one line.
fn reason(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason of a lookup service");
    message.chars().filter(|char| !char.is_control()).take(200).collect()
}

const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
