//! A configuration compiled for use: keys instead of secrets, lists instead of options.

use std::rc::Rc;
use std::time::Duration;

use jwe_gate_contract::{Kind, LookupSecret};

use crate::capabilities::Capabilities;
use crate::claims::{self, Condition, Keep};
use crate::config::{
    AccessLog, CacheConfig, Config, FailureLimit, IdentityConfig, LookupConfig, OnLookupError, OnStaleFeed,
    RevocationConfig, RoutesConfig, SessionConfig, SignOutConfig, WaitingLimits,
};
use crate::cookie::{Limits, Name};
use crate::gate::{BYPASS_MARKER, Guarded, Replies, STATUS_HEADER};
use crate::identity::{Identity, Source};
use crate::jwe::{DeriveError, KeyRing};
use crate::l1::L1;
use crate::leads::Leads;
use crate::lifetime::Lifetime;
use crate::mac::{MacKey, digest};
use crate::record::{Codec, Generation, Realm, Tag};
use crate::revocation::Feed;
use crate::route::Rules;
use crate::secret::Secret;
use crate::sign_in::SignIn;

/// What the gate goes by. It never changes; another configuration is another policy.
#[derive(Debug)]
pub struct Policy {
    pub(crate) capabilities: Capabilities,
    pub(crate) sessions: Vec<SessionPolicy>,
    /// The configured cookie names, each once, in order of preference.
    pub(crate) names: Vec<Name>,
    pub(crate) lookup: Option<LookupPolicy>,
    pub(crate) revocation: Option<RevocationPolicy>,
    pub(crate) cache: CacheConfig,
    pub(crate) routes: RoutesPolicy,
    pub(crate) sign_in: Option<SignIn>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) replies: Replies,
    pub(crate) issuer_paths: Vec<String>,
    pub(crate) identity: IdentityConfig,
    /// What the app is told of nobody, where it must be told something.
    pub(crate) nobody: Rc<Identity>,
    /// Headers that only the gate may set.
    pub(crate) guarded: Guarded,
    pub(crate) bypass: Option<Bypass>,
    pub(crate) limits: Limits,
    pub(crate) waiting_limits: WaitingLimits,
    pub(crate) failures: Option<FailureLimit>,
    pub(crate) access_log: AccessLog,
    pub(crate) audit: bool,
    pub(crate) subject_key: MacKey,
    pub(crate) debug_header: bool,
    pub(crate) warnings: Vec<String>,
}

/// Who may pass where.
#[derive(Debug)]
pub(crate) struct RoutesPolicy {
    pub(crate) rules: Rules,
    pub(crate) names: Vec<Rc<str>>,
    /// What is kept of a token, so that rules and headers can be told of it.
    pub(crate) keep: Keep,
    /// What rules ask of the user's fields, each at the place of its bit.
    pub(crate) fields: Vec<Option<Condition>>,
}

/// One kind of session token.
#[derive(Debug)]
pub(crate) struct SessionPolicy {
    /// Its place among the configured sessions.
    pub(crate) kind: usize,
    /// What rules and logs call it.
    pub(crate) label: Rc<str>,
    /// Which of the policy's cookie names carries it.
    pub(crate) name: usize,
    pub(crate) keys: KeyRing,
    pub(crate) rules: claims::Rules,
    pub(crate) bearer: bool,
}

/// How users are looked up.
#[derive(Debug)]
pub(crate) struct LookupPolicy {
    pub(crate) cluster: Rc<str>,
    pub(crate) authority: Rc<str>,
    pub(crate) timeout: Duration,
    pub(crate) secret: LookupSecret,
    pub(crate) realm: Rc<str>,
    /// What is asked for of each user, in order.
    pub(crate) fields: Vec<String>,
    pub(crate) lifetime: Lifetime,
    pub(crate) on_error: OnLookupError,
    pub(crate) l1: L1,
    pub(crate) leads: Leads,
}

/// How revocations are followed.
#[derive(Debug)]
pub(crate) struct RevocationPolicy {
    pub(crate) cluster: Rc<str>,
    pub(crate) authority: Rc<str>,
    pub(crate) feed: Feed,
    pub(crate) max_age: Duration,
    pub(crate) on_stale: OnStaleFeed,
    /// Where it is said whether the feed lets sessions be admitted.
    pub(crate) ready_path: Option<String>,
    pub(crate) sign_out: Option<SignOutPolicy>,
    /// Whether the app's own sign-out ends sessions.
    pub(crate) observes_sign_out: bool,
}

/// The path that signs out.
#[derive(Debug)]
pub(crate) struct SignOutPolicy {
    pub(crate) path: String,
    /// Where a browser goes then.
    pub(crate) location: Option<String>,
}

/// The maintenance door.
#[derive(Debug)]
pub(crate) struct Bypass {
    pub(crate) header: String,
    pub(crate) value: Secret,
}

/// The header of the bypass in the system that is replaced; clients never get it through to an app.
const LEGACY_BYPASS_HEADER: &str = "x-bypass-auth";

/// Headers by which some apps take another path for the one that was asked for.
const REWRITING: [&str; 3] = ["x-original-url", "x-original-uri", "x-rewrite-url"];

impl Policy {
    /// Derives all keys. The secrets are wiped when this returns.
    ///
    /// # Errors
    /// [`DeriveError`] for a session without a usable secret, which a checked configuration does not hold.
    pub fn compile(config: Config) -> Result<Self, DeriveError> {
        let names = names(&config.sessions);
        let lookups = config.waiting_limits.requests;
        let revocation = compile_revocation(config.revocation, config.lookup.as_ref(), &config.sessions);
        let lookup = config.lookup.map(|lookup| compile_lookup(lookup, &config.sessions, config.cache, lookups));
        let subject_key = MacKey::derive(newest_secret(&config.sessions), b"jwe-gate subject in logs");
        let sessions = config.sessions.into_iter().enumerate();
        let sessions = sessions.map(|(kind, session)| compile_session(kind, session, &names));
        let sessions = sessions.collect::<Result<_, _>>()?;
        let bypass = config.bypass.map(|bypass| Bypass { header: bypass.header, value: bypass.value });
        let bypass_header = bypass.as_ref().map_or(LEGACY_BYPASS_HEADER, |bypass| &bypass.header);
        let own = [BYPASS_MARKER, STATUS_HEADER, bypass_header].into_iter().chain(REWRITING);
        let signed = config.identity.jwt.iter().map(|jwt| &*jwt.header);
        let identity = config.identity.entries.iter().map(|entry| &*entry.header).chain(signed);
        let guarded = Guarded::new(own.chain(identity).map(str::to_owned).collect());
        let routes = compile_routes(config.routes, &config.identity);
        Ok(Self {
            capabilities: config.host.capabilities(),
            sessions,
            names,
            lookup,
            revocation,
            cache: config.cache,
            routes,
            sign_in: config.sign_in,
            allowed_origins: config.allowed_origins,
            replies: config.replies,
            issuer_paths: config.issuer_paths,
            nobody: Rc::new(nobody(&config.identity)),
            identity: config.identity,
            guarded,
            bypass,
            limits: config.limits,
            waiting_limits: config.waiting_limits,
            failures: config.failures,
            access_log: config.access_log,
            audit: config.audit,
            subject_key,
            debug_header: config.debug_header,
            warnings: config.warnings,
        })
    }
}

/// The tag of what a lookup is about.
pub(crate) fn tag_of(kind: Kind, key: &str) -> Tag {
    let kind: &[u8] = match kind {
        Kind::Opaque => b"opaque",
        Kind::Subject => b"subject",
    };
    Tag(digest("jwe-gate key", &[kind, key.as_bytes()]))
}

fn names(sessions: &[SessionConfig]) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for session in sessions {
        if !names.contains(&session.cookie) {
            names.push(session.cookie.clone());
        }
    }
    names
}

fn newest_secret(sessions: &[SessionConfig]) -> &Secret {
    // Checked configurations hold at least one session with at least one secret.
    static NONE: std::sync::LazyLock<Secret> = std::sync::LazyLock::new(|| Secret::new(""));
    sessions.iter().flat_map(|session| &session.secrets).next().unwrap_or(&NONE)
}

fn nobody(identity: &IdentityConfig) -> Identity {
    let signed = identity.jwt.iter().map(|jwt| jwt.header.clone());
    Identity::nobody(identity.entries.iter().map(|entry| entry.header.clone()).chain(signed))
}

/// Longer ones would make the caches larger than they are configured to be.
const MAX_KEPT_BYTES: usize = 4096;

fn compile_routes(routes: RoutesConfig, identity: &IdentityConfig) -> RoutesPolicy {
    let signed = identity.jwt.iter().flat_map(|jwt| &jwt.claims).map(|(_, source)| source);
    let told = identity.entries.iter().map(|entry| &entry.source).chain(signed);
    let claims = told.flat_map(Source::claims).collect();
    RoutesPolicy {
        rules: routes.rules,
        names: routes.names,
        keep: Keep { claims, conditions: routes.claims, max_bytes: MAX_KEPT_BYTES },
        fields: routes.fields,
    }
}

fn compile_session(kind: usize, session: SessionConfig, names: &[Name]) -> Result<SessionPolicy, DeriveError> {
    let name = names.iter().position(|name| *name == session.cookie).unwrap_or(names.len());
    let keys = KeyRing::derive(session.profile, session.salt.as_deref(), session.cookie.as_str(), &session.secrets)?;
    let label = Rc::from(session.name);
    Ok(SessionPolicy { kind, label, name, keys, rules: session.rules, bearer: session.bearer })
}

fn compile_lookup(
    lookup: LookupConfig,
    sessions: &[SessionConfig],
    cache: CacheConfig,
    lookups: usize,
) -> LookupPolicy {
    let realm = realm(&lookup, sessions);
    let purpose = [b"jwe-gate record ".as_slice(), &realm.0].concat();
    let secrets = sessions.iter().flat_map(|session| &session.secrets);
    let keys = secrets.map(|secret| MacKey::derive(secret, &purpose)).collect();
    let generation = generation(&lookup.fields);
    let codec = Codec::new(realm, generation, keys);
    LookupPolicy {
        cluster: Rc::from(lookup.cluster),
        authority: Rc::from(lookup.authority),
        timeout: lookup.timeout,
        secret: lookup.secret,
        realm: Rc::from(lookup.realm),
        fields: lookup.fields,
        lifetime: Lifetime::new(lookup.max_fresh, newest_secret(sessions)),
        on_error: lookup.on_error,
        l1: L1::new(codec, cache.l1_records, cache.record_bytes),
        leads: Leads::new(realm, generation, lookups),
    }
}

fn compile_revocation(
    revocation: Option<RevocationConfig>,
    lookup: Option<&LookupConfig>,
    sessions: &[SessionConfig],
) -> Option<RevocationPolicy> {
    let (revocation, lookup) = (revocation?, lookup?);
    let max_session_age = sessions.iter().filter_map(|session| session.rules.max_session_age).max();
    let feed = Feed {
        secret: lookup.secret.clone(),
        realm: Rc::from(lookup.realm.as_str()),
        parts: [&revocation.cluster, &revocation.authority, &lookup.realm].map(Clone::clone).into(),
        key: lookup.feed_key.clone(),
        poll: revocation.poll,
        max_session_age: max_session_age.unwrap_or(Duration::MAX),
    };
    Some(RevocationPolicy {
        cluster: Rc::from(revocation.cluster),
        authority: Rc::from(revocation.authority),
        feed,
        max_age: revocation.max_age,
        on_stale: revocation.on_stale,
        ready_path: revocation.ready_path,
        observes_sign_out: revocation.observe_sign_out,
        sign_out: revocation.sign_out.map(|SignOutConfig { path, location }| SignOutPolicy { path, location }),
    })
}

/// Who may share judgements: the same kinds of session, looked up in the same place and table.
fn realm(lookup: &LookupConfig, sessions: &[SessionConfig]) -> Realm {
    let mut parts: Vec<&[u8]> = vec![lookup.cluster.as_bytes(), lookup.authority.as_bytes(), lookup.realm.as_bytes()];
    for session in sessions {
        parts.extend([session.profile.as_str().as_bytes(), session.cookie.as_str().as_bytes()]);
    }
    Realm(digest("jwe-gate realm", &parts))
}

/// What the lookup is asked for. Routes and secrets are not part of it, so that editing them keeps the caches.
fn generation(fields: &[String]) -> Generation {
    let version = jwe_gate_contract::VERSION.to_le_bytes();
    let parts: Vec<&[u8]> = [version.as_slice()].into_iter().chain(fields.iter().map(String::as_bytes)).collect();
    Generation(digest("jwe-gate generation", &parts))
}
