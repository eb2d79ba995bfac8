//! The filter's configuration: JSON in, a [`Config`] out, or the path of the field that is wrong and why.
//!
//! Parsing has two stages, in two files: `raw` is what the operator wrote, [`Config`] is what it means once the
//! environment has been read. There is no default policy: what cannot be understood is refused and the proxy keeps
//! the configuration that it had.

mod check;
mod environment;
mod error;
mod host;
mod identity;
mod json;
mod raw;
mod reader;
mod replies;
mod revocation;
mod routes;
mod scalar;
#[cfg(feature = "schema")]
mod schema;
mod sign_in;
mod structure;

use std::rc::Rc;
use std::time::Duration;

pub use environment::Environment;
pub use error::{ConfigError, Fault};
#[cfg(feature = "schema")]
pub use schema::schema;

use crate::capabilities::Host;
use crate::claims::{self, Condition};
use crate::cookie::{Limits, Name};
use crate::gate::Replies;
use crate::identity::{Entry, Issuer};
use crate::jwe::Profile;
use crate::mac::MacKey;
use crate::route::Rules;
use crate::secret::Secret;
use crate::sign_in::SignIn;

type Checked<T> = Result<T, ConfigError>;

/// A configuration that has been checked. It holds secrets, so it is compiled into keys and dropped.
#[derive(Debug)]
pub struct Config {
    /// The proxy that the filter runs in.
    pub host: Host,
    /// The sessions that are accepted, in order of preference; never empty.
    pub sessions: Vec<SessionConfig>,
    /// How users are looked up; without it every valid token passes.
    pub lookup: Option<LookupConfig>,
    /// How sessions are ended early; without it none is.
    pub revocation: Option<RevocationConfig>,
    /// Sizes of the caches.
    pub cache: CacheConfig,
    /// Who may pass where.
    pub routes: RoutesConfig,
    /// Where browsers are sent to sign in.
    pub sign_in: Option<SignIn>,
    /// Origins whose pages are the app's own, besides the one that a request is for.
    pub allowed_origins: Vec<String>,
    /// The bodies of replies.
    pub replies: Replies,
    /// Paths on which the app turns a shown token into a fresh one.
    pub issuer_paths: Vec<String>,
    /// What the app is told of the user.
    pub identity: IdentityConfig,
    /// The door for maintenance, if it is open.
    pub bypass: Option<BypassConfig>,
    /// What is read of a request before it is called too large.
    pub limits: Limits,
    /// How much one worker lets wait for lookups.
    pub waiting_limits: WaitingLimits,
    /// How often a client may show a token that is none; without it as often as it likes.
    pub failures: Option<FailureLimit>,
    /// What access logs are told.
    pub access_log: AccessLog,
    /// Whether denials are told to the proxy's log.
    pub audit: bool,
    /// Whether replies name the reason in a header.
    pub debug_header: bool,
    /// What works but should be put right, in words for the operator.
    pub warnings: Vec<String>,
}

/// Who may pass where.
#[derive(Debug, Default)]
pub struct RoutesConfig {
    /// The rules, in order. The last one matches every request.
    pub rules: Rules,
    /// What each rule is called.
    pub names: Vec<Rc<str>>,
    /// What rules ask of claims, each at the place of its bit.
    pub claims: Vec<Option<Condition>>,
    /// What rules ask of the user's fields, each at the place of its bit.
    pub fields: Vec<Option<Condition>>,
}

/// What the app is told of the user.
#[derive(Debug)]
pub struct IdentityConfig {
    /// The headers; never none.
    pub entries: Vec<Entry>,
    /// Whether the session's cookies are kept from the app.
    pub remove_cookie: bool,
    /// Whether the session's Bearer value is kept from the app.
    pub remove_authorization: bool,
    /// Who signs it, for apps that want proof.
    pub jwt: Option<Issuer>,
}

/// One kind of session token.
#[derive(Debug)]
pub struct SessionConfig {
    /// What rules call it.
    pub name: String,
    /// How the issuer makes tokens.
    pub profile: Profile,
    /// The cookie that carries them.
    pub cookie: Name,
    /// The HKDF salt, where it is not the profile's own.
    pub salt: Option<String>,
    /// The issuer's secrets, newest first; never empty.
    pub secrets: Vec<Secret>,
    /// What claims must say.
    pub rules: claims::Rules,
    /// Whether `Authorization: Bearer` is taken when there is no cookie.
    pub bearer: bool,
}

/// How users are looked up.
#[derive(Debug)]
pub struct LookupConfig {
    /// The proxy's cluster for the lookup service.
    pub cluster: String,
    /// The `:authority` of questions.
    pub authority: String,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// Authenticates both directions.
    pub secret: jwe_gate_contract::LookupSecret,
    /// Which user table is meant; the lookup service has the same name.
    pub realm: String,
    /// The longest that a verdict is used without asking again.
    pub max_fresh: Duration,
    /// The fields of users that are asked for besides, each once and in order.
    pub fields: Vec<String>,
    /// What passes while it fails.
    pub on_error: OnLookupError,
    /// Authenticates what stands in shared data about revocations.
    pub feed_key: MacKey,
}

/// How revocations are followed.
#[derive(Debug)]
pub struct RevocationConfig {
    /// The proxy's cluster for the feed: not that of lookups, since its answers are held back.
    pub cluster: String,
    /// The `:authority` of questions.
    pub authority: String,
    /// How long an answer that says nothing is held back.
    pub poll: Duration,
    /// The oldest that what is known may be.
    pub max_age: Duration,
    /// What becomes of sessions when it is older.
    pub on_stale: OnStaleFeed,
    /// A path on which the gate says whether the feed lets sessions be admitted.
    pub ready_path: Option<String>,
    /// A path on which the gate itself signs users out.
    pub sign_out: Option<SignOutConfig>,
    /// Whether a session ends when the application takes all its cookies away.
    pub observe_sign_out: bool,
}

/// A path on which the gate itself signs users out.
#[derive(Debug)]
pub struct SignOutConfig {
    /// The path.
    pub path: String,
    /// Where a browser goes then; without it the reply is empty.
    pub location: Option<String>,
}

/// What becomes of sessions while nobody knows which have been ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnStaleFeed {
    /// 503 where a session is required, and otherwise as while a verdict cannot be had.
    #[default]
    Deny,
    /// They pass, unless they are known to have been ended.
    Serve,
}

/// What becomes of a stream whose token expires. From the mildest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StreamPolicy {
    /// It goes on to its end.
    Finish,
    /// It is cut.
    #[default]
    Cut,
}

/// What passes while lookups fail, besides records that are fresh or stale. A denial stays a denial in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnLookupError {
    /// Known users up to the hard limit of their record, and every good token of users of whom nothing is known.
    Allow,
    /// Nobody.
    Deny,
    /// Known users, up to the hard limit of their record.
    #[default]
    Stale,
}

/// Sizes of the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Tokens that each worker remembers.
    pub l0_entries: usize,
    /// Records that all workers share.
    pub l1_records: usize,
    /// The size of one shared record, in bytes. A larger one is not shared.
    pub record_bytes: usize,
}

/// How much one worker lets wait for lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingLimits {
    /// Requests.
    pub requests: usize,
    /// What is kept for them in the filter, in bytes.
    pub bytes: usize,
}

/// Who may pass. From the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everybody; no token is looked at, no identity is given, and no session cookie goes on.
    Open,
    /// Everybody; who has a session is named to the application.
    Optional,
    /// Only who has a session.
    Required,
}

/// A door for maintenance: requests that show a secret value pass without a session and without an identity.
#[derive(Debug)]
pub struct BypassConfig {
    /// The header, in lower case.
    pub header: String,
    /// Its value.
    pub value: Secret,
}

/// How often a client may show a token that is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimit {
    /// So often in a window, in each worker.
    pub per_client: u32,
    /// How long a window lasts, from the first failure.
    pub window: Duration,
    /// How many clients each worker keeps count of.
    pub clients: usize,
}

/// What access logs are told, as filter state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each fact is asked for by itself")]
pub struct AccessLog {
    /// The reason of each decision.
    pub reason: bool,
    /// Who the user is.
    pub subject: SubjectLog,
    /// The name of the session that was accepted.
    pub session: bool,
    /// `allow`, `deny` or `none`.
    pub verdict: bool,
    /// The name of the rule that the request fell under.
    pub rule: bool,
    /// Which cache the verdict came from.
    pub cache: bool,
    /// How long the request waited for its lookup, in milliseconds.
    pub lookup_ms: bool,
}

impl AccessLog {
    /// Whether they are told anything.
    #[must_use]
    pub fn says_anything(&self) -> bool {
        *self != Self::default()
    }
}

/// How access logs name the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubjectLog {
    /// By a keyed hash: one user's requests belong together, and nobody can tell whose they are.
    Hash,
    /// Not at all.
    #[default]
    Off,
    /// By the id itself.
    Plain,
}

impl Config {
    /// Reads the configuration, and the variables that it refers to from `environment`.
    ///
    /// # Errors
    /// [`ConfigError`] with the path of the first field that is wrong, and why.
    pub fn from_json(json: &[u8], environment: Environment<'_>) -> Result<Self, ConfigError> {
        host::suits(check::checked(raw::parse(json)?, environment)?, json)
    }
}

#[cfg(test)]
mod tests;
