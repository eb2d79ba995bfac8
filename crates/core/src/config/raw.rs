//! What the operator wrote, as JSON. Unknown fields are refused, so that a misspelt rule is not a missing one.
//!
//! These types are also the reference: with the feature `schema` their comments and bounds become a JSON Schema.

use serde::Deserialize;

use super::error::{ConfigError, Fault};
use super::identity::RawIdentity;
use super::json::Json;
use super::replies::RawReplies;
use super::routes::RawRoute;
use super::scalar::{MaxAge, RawClaimPath, SecretRef, Whole};
use super::structure;
use super::{OnLookupError, OnStaleFeed, StreamPolicy, SubjectLog};
use crate::capabilities::Host;
use crate::jwe::Profile;

/// The configuration of the filter.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// The version of this format.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1)))]
    pub(super) version: Option<Whole<0, { u64::MAX }, 1>>,
    /// The proxy that the filter runs in. With another one it refuses to start.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "envoy")))]
    #[serde(default)]
    pub(super) host: Host,
    /// The kinds of session that are accepted, in order of preference. The first cookie name that is present in a
    /// request counts. Without this field the variables of the environment describe one session. No two entries may have
    /// the same profile, cookie and salt.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64)))]
    pub(super) sessions: Option<Vec<RawSession>>,
    /// How users are looked up. Without it, and without `ENABLE_DB_CHECK=true`, every good token passes.
    pub(super) lookup: Option<RawLookup>,
    /// What passes while lookups fail, besides records that are fresh or stale. A denial stays a denial in any case.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "stale")))]
    pub(super) on_lookup_error: Option<OnLookupError>,
    /// How sessions are ended before their tokens expire: the filter follows the feed of the lookup service, under the
    /// secret and realm of `lookup`. Needs `lookup`, and Envoy. Without it no session is ended early.
    pub(super) revocation: Option<RawRevocation>,
    /// Sizes of the caches.
    #[serde(default)]
    pub(super) cache: RawCache,
    /// Rules, in order; the first that matches decides. The last one, and no other, matches every request. Without this
    /// field every request needs a session.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64)))]
    pub(super) routes: Option<Vec<RawRoute>>,
    /// Whether every rule reports: what should be refused is let through, and counted.
    #[serde(default)]
    pub(super) report: bool,
    /// The origin under which browsers find the application, such as `https://www.example.com`.
    pub(super) public_url: Option<String>,
    /// The sign-in page, as a path or a URL; needs `public_url`. It gets the way back as `callbackUrl`. A path must not
    /// fall under a rule that requires a session.
    pub(super) sign_in: Option<String>,
    /// Origins whose pages count as the application's own, besides `public_url` and the host that a request is for.
    pub(super) allowed_origins: Option<Vec<String>>,
    /// Bodies instead of the filter's own.
    #[serde(default)]
    pub(super) replies: RawReplies,
    /// Paths where the application turns a shown session into a fresh one; each stands for all that begin with it. With
    /// `open` sessions are checked there all the same, and with `open` and `optional` the answer is 503 while a verdict
    /// cannot be had. A path that could be read in two ways counts as one of these.
    #[cfg_attr(feature = "schema", schemars(inner(pattern("^/")), extend("default" = ["/api/auth/"])))]
    pub(super) issuer_paths: Option<Vec<String>>,
    /// What the application is told of the user.
    #[serde(default)]
    pub(super) identity: RawIdentity,
    /// A door for maintenance: a request that shows a secret value passes without a session and without an identity.
    /// Each use is counted and logged. `ALLOW_BYPASS=false` closes it.
    pub(super) bypass: Option<RawBypass>,
    /// What is read of a request before it is called too large, and how much may wait.
    #[serde(default)]
    pub(super) limits: RawLimits,
    /// What the access log is told, as filter state.
    #[serde(default)]
    pub(super) access_log: RawAccessLog,
    /// Whether each denial, each sign-out and each use of the bypass is one line of JSON in the proxy's log: why, under which rule, and
    /// the keyed hash of whom. At most 50 a second and worker; what was left out is counted in the next line.
    #[serde(default)]
    pub(super) audit: bool,
    /// Whether refusals name their reason in `X-Jwe-Gate-Reason`. It tells an attacker what was right and what was
    /// wrong: not for production.
    #[serde(default)]
    pub(super) debug_header: bool,
}

/// One kind of session token.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSession {
    /// What rules and logs call it; the cookie's name if not given. Entries may share a name.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) name: Option<String>,
    /// Which package makes the tokens.
    pub(super) profile: Profile,
    /// The session cookie, with its prefix: `__Secure-authjs.session-token` where the application is served over https.
    /// Chunks (`.0`, `.1`, …) are found by themselves.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) cookie: String,
    /// The HKDF salt. By default `authjs` takes the cookie's name, the others take none. Set it only if the application
    /// does.
    pub(super) salt: Option<String>,
    /// The application's secrets, newest first. Without this field the variables for secrets are read. Every byte
    /// counts; nothing is trimmed.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) secrets: Option<Vec<SecretRef>>,
    /// The longest that a session may last in seconds, from `iat` to `exp` and from `iat` to now. A token without `iat`,
    /// or from the future, is refused. `"off"` switches all of this off.
    pub(super) max_session_age: Option<MaxAge>,
    /// Whether a token must say when it expires.
    #[cfg_attr(feature = "schema", schemars(extend("default" = true)))]
    pub(super) require_exp: Option<bool>,
    /// The only `iss` that is accepted. Without it `iss` is not looked at.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) issuer: Option<String>,
    /// What `aud` must be or contain. Without it `aud` is not looked at.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) audience: Option<String>,
    /// Whether a token in `Authorization: Bearer` is taken when the request has no session cookie.
    #[cfg_attr(feature = "schema", schemars(extend("default" = true)))]
    pub(super) bearer: Option<bool>,
    /// Where the token says what stays the same however often it is issued again: what a session is ended by.
    #[serde(default)]
    pub(super) claims: RawLasting,
}

/// Where a token says what stays the same however often it is issued again.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawLasting {
    /// The name of the session: a text of 1 to 1024 bytes, another one for each sign-in. A sign-out ends this session
    /// alone. A session without it, or with anything else there, is ended with all others of its user.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "sid")))]
    pub(super) sid: Option<RawClaimPath>,
    /// When the user signed in, in seconds since 1970. Without it `iat` counts, and a new sign-in is refused for longer
    /// after all sessions of the user were ended.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "auth_time")))]
    pub(super) auth_time: Option<RawClaimPath>,
}

/// How users are looked up.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawLookup {
    /// Envoy's cluster of the lookup service. In nginx its address, as `host:port`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("default" = "jwe_gate_lookup")))]
    pub(super) cluster: Option<String>,
    /// The `:authority` of questions.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("default" = "jwe-gate-lookup")))]
    pub(super) authority: Option<String>,
    /// How long an answer is waited for, in milliseconds. The service is told nine tenths of it.
    pub(super) timeout_ms: Option<Whole<10, 60_000, 1_000>>,
    /// Authenticates questions and answers; 16 bytes or more. The service has the same.
    #[cfg_attr(feature = "schema", schemars(extend("default" = { "env": "JWE_GATE_LOOKUP_SECRET" })))]
    pub(super) secret: Option<SecretRef>,
    /// Which user table is meant. The service's `JWE_GATE_REALM` must be the same.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("default" = "default")))]
    pub(super) realm: Option<String>,
    /// The longest that a verdict is used without asking again, in seconds, whatever the service allows. A denial is
    /// never used for more than a minute. The variable `REDIS_CACHE_TTL` changes the default.
    pub(super) max_fresh_seconds: Option<Whole<1, 86_400, 600>>,
    /// What is asked for of each user besides the verdict: names of fields that the service serves, each of 1 to 63
    /// letters, digits and `_`, no digit first. An answer without one of them is none, so that a name which is not
    /// served refuses everybody with 503. Changing the list starts with an empty cache.
    #[cfg_attr(
        feature = "schema",
        schemars(length(max = 32), inner(pattern("^[A-Za-z_][A-Za-z0-9_]{0,62}$")), extend("uniqueItems" = true))
    )]
    #[serde(default)]
    pub(super) fields: Vec<String>,
}

/// How revocations are followed.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRevocation {
    /// Envoy's cluster of the feed: the lookup service once more, but not the cluster of `lookup`, since answers that
    /// are held back would count against the health of lookups.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("default" = "jwe_gate_revocations")))]
    pub(super) cluster: Option<String>,
    /// The `:authority` of questions; `lookup.authority` if not given.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) authority: Option<String>,
    /// How long the service holds back an answer that says nothing, in milliseconds. A revocation is answered at once,
    /// whatever this is.
    pub(super) poll_ms: Option<Whole<100, 10_000, 500>>,
    /// The oldest that what is known may be, in seconds; more than three polls.
    pub(super) max_feed_age_seconds: Option<Whole<1, 86_400, 30>>,
    /// What becomes of sessions when it is older.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "deny")))]
    pub(super) on_stale_feed: Option<OnStaleFeed>,
    /// What becomes of open replies when their token expires, where a rule does not say it. Those whose session is ended
    /// are cut in any case.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "cut")))]
    pub(super) stream_policy: Option<StreamPolicy>,
    /// A path on which the gate says whether sessions can be admitted as far as the feed is concerned, to the letter:
    /// 503 until it has been read, and while it is too old where that denies; otherwise 200.
    #[cfg_attr(feature = "schema", schemars(pattern("^/([^/].*)?$")))]
    pub(super) ready_path: Option<String>,
    /// A path on which the gate itself signs users out.
    pub(super) sign_out: Option<RawSignOut>,
    /// Whether a session is ended everywhere when the application signs out in its own way: a reply on `issuer_paths`
    /// that takes every cookie of the session away and sets no new one.
    #[serde(default)]
    pub(super) observe_sign_out: bool,
}

/// A path on which the gate itself signs users out.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignOut {
    /// The path, to the letter: without query, escapes, `;` and empty segments.
    #[cfg_attr(feature = "schema", schemars(pattern("^/([^/].*)?$")))]
    pub(super) path: String,
    /// The path where a browser goes then, with 303. Without it the answer is an empty 204.
    #[cfg_attr(feature = "schema", schemars(pattern("^/([^/].*)?$")))]
    pub(super) location: Option<String>,
}

/// Sizes of the caches.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCache {
    /// Tokens that each worker remembers; rounded up to a power of two.
    pub(super) l0_entries: Option<Whole<16, 1_048_576, 4096>>,
    /// Records that all workers share. The same for all filters with one `vm_id`.
    pub(super) l1_records: Option<Whole<16, 4_194_304, 65_536>>,
    /// The size of one record, in bytes. A user id and the fields of the user together, as JSON, may have 96 bytes less;
    /// what is longer is not shared. The same for all filters with one `vm_id`.
    pub(super) record_bytes: Option<Whole<256, 4096, 512>>,
}

/// A door for maintenance.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawBypass {
    /// The header that shows the value; not one of the identity's.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64), extend("default" = "x-bypass-auth")))]
    pub(super) header: Option<String>,
    /// The value; 16 bytes or more.
    pub(super) value: SecretRef,
}

/// What is read of a request before it is called too large, and how much may wait.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    /// The largest token, in bytes.
    pub(super) token_bytes: Option<Whole<256, 1_048_576, 98_304>>,
    /// The most chunks of one session cookie.
    pub(super) chunks: Option<Whole<1, 1000, 64>>,
    /// All `Cookie` headers of a request together, in bytes.
    pub(super) cookie_bytes: Option<Whole<256, 1_048_576, 131_072>>,
    /// The most requests that wait for lookups in one worker. One more gets 503. The same for all filters with one
    /// `vm_id` that share a realm, or their workers do not wait for each other.
    pub(super) waiting_requests: Option<Whole<1, 100_000, 4096>>,
    /// The most bytes that the filter of one worker keeps for them, mostly the cookies that go on afterwards. One more
    /// gets 503. Bodies are not among them: those are Envoy's to bound.
    pub(super) waiting_bytes: Option<Whole<65_536, 1_073_741_824, 16_777_216>>,
    /// How many tokens that are none a client may show before it gets 429. Without it as many as it likes; `{}` stands
    /// for the defaults.
    pub(super) failures: Option<RawFailures>,
}

/// How many tokens that are none a client may show.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawFailures {
    /// So many in a window, in each worker.
    pub(super) per_client: Option<Whole<1, 1_000_000, 300>>,
    /// How long a window lasts, in seconds, from the first failure.
    pub(super) window_seconds: Option<Whole<1, 3600, 60>>,
    /// How many clients each worker keeps count of, in 32 to 48 bytes each. Who has failed most is remembered longest.
    pub(super) clients: Option<Whole<16, 65_536, 4096>>,
}

/// What the access log is told, as filter state.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each fact is asked for by itself")]
pub(super) struct RawAccessLog {
    /// The reason of each decision, as `wasm.jwe_gate_reason`.
    #[serde(default)]
    pub(super) reason: bool,
    /// Who was admitted, as `wasm.jwe_gate_subject`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "off")))]
    #[serde(default)]
    pub(super) subject: SubjectLog,
    /// The name of the session, as `wasm.jwe_gate_session`.
    #[serde(default)]
    pub(super) session: bool,
    /// `allow`, `deny` or `none` (nobody was asked for a session), as `wasm.jwe_gate_verdict`.
    #[serde(default)]
    pub(super) verdict: bool,
    /// The name of the rule, as `wasm.jwe_gate_rule`.
    #[serde(default)]
    pub(super) rule: bool,
    /// Where the verdict came from, as `wasm.jwe_gate_cache`: `l0`, `l1`, `lookup` or `none`.
    #[serde(default)]
    pub(super) cache: bool,
    /// How long the request waited for its lookup, in milliseconds, as `wasm.jwe_gate_lookup_ms`.
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
