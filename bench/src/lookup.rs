//! A lookup service that knows everybody, so that the bench measures the filter and not a database.
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use jwe_gate_contract::{
    Answer, Limits, LookupAnswer, LookupQuestion, LookupSecret, MAC_HEADER, Outcome, Question, VERSION,
};
use jwe_gate_test_parts::server::{self, Server};

/// The secret that it shares with the filter.
pub const SECRET: &str = "bench-only: 2Yk5s0Gx8m1n";

/// Starts it, as an HTTP/1.1 server.
///
/// # Errors
/// When no port can be had.
pub fn start() -> Result<Server> {
    let secret = LookupSecret::new(SECRET)?;
    Server::start(move |request| {
        let answer = serde_json::from_slice::<LookupQuestion>(&request.body).map(answer);
        let body = answer.and_then(|answer| serde_json::to_vec(&answer)).unwrap_or_default();
        let mac = secret.sign_answer(&body);
        server::Answer::new("application/json", body).header(MAC_HEADER, mac)
    })
}

fn answer(question: LookupQuestion) -> LookupAnswer {
    LookupAnswer { version: VERSION, answers: question.questions.into_iter().map(known).collect() }
}

fn known(question: Question) -> Answer {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let outcome = Outcome::Allow {
        user: question.key.clone(),
        as_of_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        limits: Limits { fresh_ms: 600_000, stale_ms: 900_000, hard_ms: 3_600_000 },
        fields: BTreeMap::new(),
    };
    Answer { realm: question.realm, kind: question.kind, key: question.key, nonce: question.nonce, outcome }
}
