//! `POST /v1/lookup`.
//!
//! An unsigned message learns nothing, not even whether it would have parsed. A signed one gets an answer to each of its
//! questions within the time that it gave.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jwe_gate_contract::{
    Answer, Cause, LookupAnswer, LookupQuestion, MAC_HEADER, MAX_QUESTIONS, Outcome, Question, VERSION,
};

use super::Service;
use crate::lookup::Wanted;
use crate::metrics::{Layer, Rejection};

pub(super) async fn lookup(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    match service.read(&headers, &body) {
        Ok(question) => service.reply(question).await,
        Err(rejection) => {
            service.metrics.rejected(rejection);
            status(rejection).into_response()
        }
    }
}

impl Service {
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<LookupQuestion, Rejection> {
        let mac = headers.get(MAC_HEADER).ok_or(Rejection::Unsigned)?;
        if !self.secret.is_question(body, mac.as_bytes()) {
            return Err(Rejection::Unsigned);
        }
        let question: LookupQuestion = serde_json::from_slice(body).map_err(|_| wrong_version(body))?;
        if question.version != VERSION {
            return Err(Rejection::Version);
        }
        if question.questions.len() > MAX_QUESTIONS {
            return Err(Rejection::TooMany);
        }
        Ok(question)
    }

    async fn reply(&self, question: LookupQuestion) -> Response {
        let answers = self.answer(question).await;
        self.metrics.message();
        let Ok(body) = serde_json::to_vec(&LookupAnswer { version: VERSION, answers }) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mac = self.secret.sign_answer(&body);
        let headers =
            [(header::CONTENT_TYPE.as_str(), "application/json"), (header::CACHE_CONTROL.as_str(), "no-store")];
        (headers, [(MAC_HEADER, mac)], body).into_response()
    }

    async fn answer(&self, question: LookupQuestion) -> Vec<Answer> {
        let patience = patience(question.deadline_ms);
        let (served, unsupported): (Vec<_>, Vec<_>) =
            question.questions.into_iter().partition(|question| self.serves(question));
        let wanted = served.iter().map(|question| Wanted {
            kind: question.kind,
            key: question.key.clone(),
            issued_at_ms: question.issued_at_ms,
            fields: question.fields.clone(),
        });
        let outcomes = self.lookup.answer(wanted.collect(), patience).await;
        let mut answers: Vec<_> = served.into_iter().zip(outcomes).map(|(it, outcome)| answer(it, outcome)).collect();
        answers.extend(unsupported.into_iter().map(|question| {
            let outcome = Outcome::Failed { cause: Cause::Unsupported };
            self.metrics.answered(&outcome, Layer::None);
            answer(question, outcome)
        }));
        answers
    }

    /// One realm.
    fn serves(&self, question: &Question) -> bool {
        *question.realm == *self.realm
    }
}

fn answer(question: Question, outcome: Outcome) -> Answer {
    let Question { realm, kind, key, nonce, .. } = question;
    Answer { realm, kind, key, nonce, outcome }
}

/// Another version may well have other fields.
fn wrong_version(body: &[u8]) -> Rejection {
    let value = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(VERSION) => Rejection::Version,
        _ => Rejection::Malformed,
    }
}

/// A tenth of the time is left for the way back, and no asker keeps the service waiting for long.
fn patience(deadline_ms: u64) -> Duration {
    Duration::from_millis((deadline_ms - deadline_ms / 10).min(LONGEST_MS))
}

fn status(rejection: Rejection) -> StatusCode {
    match rejection {
        Rejection::Forbidden => StatusCode::FORBIDDEN,
        Rejection::Malformed | Rejection::TooMany | Rejection::Version => StatusCode::BAD_REQUEST,
        Rejection::Unsigned => StatusCode::UNAUTHORIZED,
    }
}

const LONGEST_MS: u64 = 30_000;
