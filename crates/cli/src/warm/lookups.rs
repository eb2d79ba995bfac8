//! Questions to the lookup service, as the filter asks them: signed, and believed only if the answer is.

use jwe_gate_contract::{
    Cause, Kind, LOOKUP_PATH, LookupAnswer, LookupQuestion, MAC_HEADER, MAX_BODY_BYTES, Outcome, Question, VERSION,
};
use jwe_gate_core::config::LookupConfig;
use ureq::Agent;

use super::tally::Seen;
use crate::failure::Failure;
use crate::mint;

/// What the service knows of each of `users`, in order.
pub(super) fn ask(agent: &Agent, url: &str, lookup: &LookupConfig, users: &[String]) -> Vec<Seen> {
    let questions = users.iter().map(|user| question(lookup, user)).collect::<Result<Vec<_>, Failure>>();
    let answers = questions.map_err(|_| "no random numbers to be had").and_then(|questions| {
        let message = LookupQuestion { version: VERSION, deadline_ms: DEADLINE_MS, questions };
        Ok((send(agent, url, lookup, &message)?, message.questions))
    });
    match answers {
        Ok((answers, questions)) => questions.iter().map(|question| seen(question, &answers)).collect(),
        Err(why) => vec![Seen::Failed(why); users.len()],
    }
}

fn question(lookup: &LookupConfig, user: &str) -> Result<Question, Failure> {
    let nonce = u128::from_be_bytes(mint::random()?);
    Ok(Question {
        realm: lookup.realm.clone(),
        kind: Kind::Subject,
        key: user.to_owned(),
        nonce: format!("{nonce:032x}"),
        issued_at_ms: None,
        fields: Vec::new(),
    })
}

fn send(
    agent: &Agent,
    url: &str,
    lookup: &LookupConfig,
    message: &LookupQuestion,
) -> Result<LookupAnswer, &'static str> {
    let body = serde_json::to_vec(message).map_err(|_| "not to be written as JSON")?;
    let url = format!("{}{LOOKUP_PATH}", url.trim_end_matches('/'));
    let request = agent.post(url).header("content-type", "application/json");
    let request = request.header(MAC_HEADER, lookup.secret.sign_question(&body));
    let mut answer = request.send(&body).map_err(|_| "without an answer")?;
    let mac = answer.headers().get(MAC_HEADER).map(|mac| mac.as_bytes().to_vec());
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_BODY_BYTES as u64).read_to_vec();
    let body = body.map_err(|_| "with an answer that broke off or is too long")?;
    match mac {
        Some(mac) if lookup.secret.is_answer(&body, &mac) => {}
        None if status == 401 => return Err("refused: the service has another secret"),
        _ => return Err("with an answer that is not the service's"),
    }
    let answer: LookupAnswer = serde_json::from_slice(&body).map_err(|_| "with an answer that is not understood")?;
    if answer.version == VERSION { Ok(answer) } else { Err("with an answer of another version") }
}

fn seen(question: &Question, answers: &LookupAnswer) -> Seen {
    let answer = answers.answers.iter().find(|answer| {
        (&answer.realm, answer.kind, &answer.key, &answer.nonce)
            == (&question.realm, question.kind, &question.key, &question.nonce)
    });
    match answer.map(|answer| &answer.outcome) {
        None => Seen::Failed("left out of an answer"),
        Some(Outcome::Allow { user, .. }) if *user == question.key => Seen::Passed,
        Some(Outcome::Allow { .. }) => Seen::Failed("answered with another user"),
        Some(Outcome::Deny { .. }) => Seen::Refused,
        Some(Outcome::Failed { cause: Cause::Late }) => Seen::Failed("late: the database is slow"),
        Some(Outcome::Failed { cause: Cause::Unavailable }) => Seen::Failed("unavailable: no answer of the database"),
        Some(Outcome::Failed { cause: Cause::Unsupported }) => Seen::Failed("unsupported: another realm"),
    }
}

/// Nobody waits for these.
const DEADLINE_MS: u64 = 10_000;
