//! Health and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::Service;

/// The process runs.
pub(super) async fn live() -> StatusCode {
    StatusCode::OK
}

/// The database has been read: its tables, and what is revoked. An outage after that changes nothing: what is cached is
/// still answered.
pub(super) async fn ready(State(service): State<Service>) -> StatusCode {
    if service.readiness.is_set() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(super) async fn metrics(State(service): State<Service>) -> impl IntoResponse {
    service.metrics.working_on(service.lookup.under_way());
    if let Some(revoking) = &service.revoking {
        service.metrics.following(revoking.revocations.state());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], service.metrics.render())
}
