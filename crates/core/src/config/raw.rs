//! What the operator wrote, as JSON. Unknown fields are refused, so that a misspelt rule is not a missing one.

use serde::Deserialize;

use super::error::{ConfigError, Fault};
use super::identity::RawIdentity;
use super::json::Json;
use super::replies::RawReplies;
use super::routes::RawRoute;
use super::scalar::{MaxAge, SecretRef, Whole};
use super::structure;
use super::{OnLookupError, OnStaleFeed, StreamPolicy, SubjectLog};
use crate::capabilities::Host;
use crate::jwe::Profile;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) version: Option<Whole>,
    #[serde(default)]
    pub(super) host: Host,
    pub(super) sessions: Option<Vec<RawSession>>,
    pub(super) lookup: Option<RawLookup>,
    pub(super) on_lookup_error: Option<OnLookupError>,
    pub(super) revocation: Option<RawRevocation>,
    #[serde(default)]
    pub(super) cache: RawCache,
    pub(super) routes: Option<Vec<RawRoute>>,
    #[serde(default)]
    pub(super) report: bool,
    pub(super) public_url: Option<String>,
    pub(super) sign_in: Option<String>,
    pub(super) allowed_origins: Option<Vec<String>>,
    #[serde(default)]
    pub(super) replies: RawReplies,
    pub(super) issuer_paths: Option<Vec<String>>,
    #[serde(default)]
    pub(super) identity: RawIdentity,
    pub(super) bypass: Option<RawBypass>,
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) access_log: RawAccessLog,
    #[serde(default)]
    pub(super) audit: bool,
    #[serde(default)]
    pub(super) debug_header: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSession {
    pub(super) name: Option<String>,
    pub(super) profile: Profile,
    pub(super) cookie: String,
    pub(super) salt: Option<String>,
    pub(super) secrets: Option<Vec<SecretRef>>,
    pub(super) max_session_age: Option<MaxAge>,
    pub(super) require_exp: Option<bool>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) bearer: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLookup {
    pub(super) cluster: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) timeout_ms: Option<Whole>,
    pub(super) secret: Option<SecretRef>,
    pub(super) realm: Option<String>,
    pub(super) max_fresh_seconds: Option<Whole>,
    #[serde(default)]
    pub(super) fields: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRevocation {
    pub(super) cluster: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) poll_ms: Option<Whole>,
    pub(super) max_feed_age_seconds: Option<Whole>,
    pub(super) on_stale_feed: Option<OnStaleFeed>,
    pub(super) stream_policy: Option<StreamPolicy>,
    pub(super) sign_out: Option<RawSignOut>,
    #[serde(default)]
    pub(super) observe_sign_out: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignOut {
    pub(super) path: String,
    pub(super) location: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCache {
    pub(super) l0_entries: Option<Whole>,
    pub(super) l1_records: Option<Whole>,
    pub(super) record_bytes: Option<Whole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBypass {
    pub(super) header: Option<String>,
    pub(super) value: SecretRef,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) token_bytes: Option<Whole>,
    pub(super) chunks: Option<Whole>,
    pub(super) cookie_bytes: Option<Whole>,
    pub(super) waiting_requests: Option<Whole>,
    pub(super) waiting_bytes: Option<Whole>,
    pub(super) failures: Option<RawFailures>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawFailures {
    pub(super) per_client: Option<Whole>,
    pub(super) window_seconds: Option<Whole>,
    pub(super) clients: Option<Whole>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each fact is asked for by itself")]
pub(super) struct RawAccessLog {
    #[serde(default)]
    pub(super) reason: bool,
    #[serde(default)]
    pub(super) subject: SubjectLog,
    #[serde(default)]
    pub(super) session: bool,
    #[serde(default)]
    pub(super) verdict: bool,
    #[serde(default)]
    pub(super) rule: bool,
    #[serde(default)]
    pub(super) cache: bool,
    #[serde(default)]
    pub(super) lookup_ms: bool,
}

/// Reads the JSON, or a `Struct` in its place. An empty document stands for `{}`, so that the variables alone can
/// configure the filter.
pub(super) fn parse(document: &[u8]) -> Result<RawConfig, ConfigError> {
    let json = match structure::json(document) {
        Some(json) => json,
        None if document.is_empty() => Json::Object(Vec::new()),
        None => serde_json::from_slice(document).map_err(|error| ConfigError::new(".", Fault::Form(words(&error))))?,
    };
    if !matches!(json, Json::Object(_)) {
        return Err(ConfigError::new(".", Fault::Form("must be an object".to_owned())));
    }
    RawConfig::deserialize(json).map_err(|refusal| ConfigError::new(refusal.path(), Fault::Form(refusal.words)))
}

/// The parser's message without the position, which means nothing once a proxy has rewritten the JSON.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words).to_owned()
}
