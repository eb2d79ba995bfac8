//! The service's HTTP side: lookups, revocations, keys, and three pages for those who run it.

mod keys;
mod lookup;
mod pages;
mod revocations;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use jwe_gate_contract::{LOOKUP_PATH, LookupSecret, MAX_BODY_BYTES, REVOCATIONS_PATH};
use tower_http::timeout::TimeoutLayer;

pub use keys::KeySet;
pub use revocations::{AdminToken, Revoking};

use crate::lookup::Lookup;
use crate::metrics::Metrics;

/// What the handlers share.
#[derive(Clone)]
pub struct Service {
    /// Authenticates questions and answers.
    pub secret: LookupSecret,
    /// The one realm that is served.
    pub realm: Arc<str>,
    /// Answers.
    pub lookup: Lookup,
    /// Ends sessions early, if it is to.
    pub revoking: Option<Revoking>,
    /// What verifies signed identities.
    pub keys: KeySet,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether the service can answer from the database.
    pub readiness: Readiness,
}

/// Whether the database's tables have been read. Clones show the same state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on the service is ready.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Every route of the service.
pub fn router(service: Service) -> Router {
    Router::new()
        .route(LOOKUP_PATH, post(lookup::lookup))
        .route(REVOCATIONS_PATH, get(revocations::feed).post(revocations::revoke))
        .route(revocations::SESSIONS_PATH, delete(revocations::end_sessions))
        .route(keys::PATH, get(keys::keys))
        .route("/livez", get(pages::live))
        .route("/readyz", get(pages::ready))
        .route("/metrics", get(pages::metrics))
        // No body is longer than the contract allows.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // A client that sends slowly does not hold a request for ever. Answers themselves have deadlines.
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LONGEST_REQUEST))
        .with_state(service)
}

const LONGEST_REQUEST: Duration = Duration::from_mins(1);
