//! The public keys of signed identities, for the applications that verify them.
//!
//! They are no secret: whoever reaches the service may have them, and any cache may keep them for a while.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jwe_gate_contract::PublicKey;
use serde_json::{Value, json};

use super::Service;

/// Where libraries expect keys to be.
pub(super) const PATH: &str = "/.well-known/jwks.json";

/// The keys as they are published: a JWK Set (RFC 7517 section 5), or nothing.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Option<Bytes>);

impl KeySet {
    /// Publishes these. Without any there is no set: an empty one would be kept by those who ask too early.
    #[must_use]
    pub fn new(keys: &[PublicKey]) -> Self {
        let keys: Vec<Value> = keys.iter().map(PublicKey::jwk).collect();
        Self((!keys.is_empty()).then(|| json!({ "keys": keys }).to_string().into()))
    }
}

pub(super) async fn keys(State(service): State<Service>) -> Response {
    let Some(set) = service.keys.0 else { return StatusCode::NOT_FOUND.into_response() };
    ([(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, CACHE)], set).into_response()
}

/// A new key should be published this long before it signs.
const CACHE: &str = "public, max-age=300";
