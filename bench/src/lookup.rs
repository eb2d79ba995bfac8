//! A lookup service that knows everybody, so that the bench measures the filter and not a database.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use jwe_gate_contract::{
    Answer, Limits, LookupAnswer, LookupQuestion, LookupSecret, MAC_HEADER, Outcome, Question, VERSION,
};
use jwe_gate_test_parts::server::{self, Server};

/// The secret that it shares with the filter.
pub const SECRET: &str = "bench-only: 2Yk5s0Gx8m1n";

/// The running service.
#[derive(Debug)]
pub struct Lookup {
    server: Server,
    questions: Arc<AtomicU64>,
}

impl Lookup {
    /// Starts it, as an HTTP/1.1 server.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let secret = LookupSecret::new(SECRET)?;
        let questions = Arc::new(AtomicU64::new(0));
        let asked = Arc::clone(&questions);
        let server = Server::start(move |request| {
            let answer = serde_json::from_slice::<LookupQuestion>(&request.body).map(answer);
            asked.fetch_add(answer.as_ref().map_or(0, |answer| answer.answers.len() as u64), Ordering::SeqCst);
            let body = answer.and_then(|answer| serde_json::to_vec(&answer)).unwrap_or_default();
            let mac = secret.sign_answer(&body);
            server::Answer::new("application/json", body).header(MAC_HEADER, mac)
        })?;
        Ok(Self { server, questions })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many messages have come. One may hold many questions.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.server.requests()
    }

    /// How many questions have been answered.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.questions.load(Ordering::SeqCst)
    }
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
