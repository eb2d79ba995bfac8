//! From a credential to a session and what is known of its user.

use std::borrow::Cow;
use std::rc::Rc;

use jwe_gate_contract::Kind;

use super::annotate::Layer;
use super::decide::{Pass, cookie_edit};
use super::event::{Edits, Effect, HeaderEdit};
use super::read::Request;
use super::waiting::{LookupKey, Waiter};
use super::{Effects, Gate};
use crate::claims::{self, Condition, Session};
use crate::cookie::{self, Credential};
use crate::fields::Fields;
use crate::identity::{Facts, Identity, Proof};
use crate::l0::{Known, L0Key};
use crate::metrics::Metric;
use crate::policy::{LookupPolicy, SessionPolicy, tag_of};
use crate::record::Tag;
use crate::shared::SharedData;
use crate::time::UnixMillis;
use crate::verdict::{Denial, Freshness, Judgement, Limits, Verdict};

/// How far a request has come without asking anybody.
pub(super) enum Progress {
    /// There is a judgement to go by. `again` says what to ask if it is time to.
    Known { known: Rc<Known>, layer: Layer, again: Option<LookupKey> },
    /// The session is good, and nothing is known of its user.
    Unknown(Unknown),
    /// The request has no session.
    Denied(Denial),
}

/// A good session of a user that must be looked up.
pub(super) struct Unknown {
    key: LookupKey,
    session: Rc<Session>,
    l0_key: L0Key,
    fallback: Option<Judgement>,
}

impl Unknown {
    /// The session.
    pub(super) fn session(self) -> Rc<Session> {
        self.session
    }
}

/// What has become of the search for a credential.
pub(super) struct Found {
    pub(super) progress: Progress,
    /// The changes that the request needs if the session is accepted.
    pub(super) edits: Edits,
    pub(super) source: Source,
}

/// Where a credential came from. Part of the L0 key: what is true of a cookie need not be true of a Bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Cookie = 0,
    Bearer = 1,
}

impl Gate {
    /// Looks for a session, and says which changes the request needs if it is accepted.
    pub(super) fn authenticate(&mut self, now: UnixMillis, request: &Request<'_>, shared: &dyn SharedData) -> Found {
        let policy = self.policy.clone();
        let lines = &request.cookies;
        let edits = Edits { remove: request.forged.clone(), ..Edits::default() };
        let scan = match cookie::scan(lines, &policy.names, &policy.limits) {
            Ok(scan) => scan,
            Err(error) => {
                let progress = Progress::Denied(Denial::Credential(error));
                return Found { progress, edits, source: Source::Cookie };
            }
        };
        let Some(credential) = scan.credential() else {
            let strangers = scan.has_strangers().then(|| cookie::keep(lines, &policy.names, None));
            let is_removed = policy.identity.remove_authorization && !request.issuer_path;
            let edits = Edits {
                cookie: strangers.map(cookie_edit).unwrap_or_default(),
                authorization: if is_removed { HeaderEdit::Remove } else { HeaderEdit::Keep },
                ..edits
            };
            return Found { progress: self.bearer_session(now, request, shared), edits, source: Source::Bearer };
        };
        let key = self.l0.key(credential.name(), Source::Cookie as u8, credential.pieces());
        let keeps = !policy.identity.remove_cookie || request.issuer_path;
        let accepted = (scan.has_strangers() || !keeps)
            .then(|| cookie::keep(lines, &policy.names, Some(credential).filter(|_| keeps)));
        let edits = Edits {
            cookie: accepted.map(cookie_edit).unwrap_or_default(),
            authorization: request.authorization_without_session(),
            ..edits
        };
        let progress = self.cookie_session(now, key, credential, shared);
        if let (Progress::Known { .. }, [line], false) = (&progress, lines.as_slice(), scan.has_strangers())
            && policy.remembers_cookies()
        {
            self.l0.note_shown(line, key);
        }
        Found { progress, edits, source: Source::Cookie }
    }

    fn cookie_session(
        &mut self,
        now: UnixMillis,
        key: L0Key,
        credential: &Credential<'_>,
        shared: &dyn SharedData,
    ) -> Progress {
        let policy = self.policy.clone();
        let name = credential.name();
        if let Some(known) = self.remembered(now, key) {
            return self.again(now, key, known, shared);
        }
        let candidates = policy.sessions.iter().filter(|session| session.name == name);
        match open(candidates, |session| credential.token(session.keys.profile()), now) {
            Ok((kind, session)) => self.fresh(now, key, (kind, session), shared),
            Err(denial) => Progress::Denied(denial),
        }
    }

    fn bearer_session(&mut self, now: UnixMillis, request: &Request<'_>, shared: &dyn SharedData) -> Progress {
        let policy = self.policy.clone();
        let value = match cookie::bearer(&request.authorization, &policy.limits) {
            Ok(Some(value)) => value,
            Ok(None) => return Progress::Denied(Denial::NoToken),
            Err(error) => return Progress::Denied(Denial::Credential(error)),
        };
        let key = self.l0.key(policy.names.len(), Source::Bearer as u8, [&*value]);
        if let Some(known) = self.remembered(now, key) {
            return self.again(now, key, known, shared);
        }
        let candidates = policy.sessions.iter().filter(|session| session.bearer);
        match open(candidates, |_| Cow::Borrowed(&*value), now) {
            Ok((kind, session)) => self.fresh(now, key, (kind, session), shared),
            Err(denial) => Progress::Denied(denial),
        }
    }

    /// What L0 knows of a token that has not expired.
    fn remembered(&mut self, now: UnixMillis, key: L0Key) -> Option<Rc<Known>> {
        let known = self.l0.get(key);
        if let Some(known) = &known
            && known.session.expires_at() <= now
        {
            // The claims say best what is wrong with it, so let them.
            self.l0.forget(key);
            return None;
        }
        if known.is_none() {
            self.counters.count(Metric::L0Miss);
        }
        known
    }

    /// A token that has been opened before.
    fn again(&mut self, now: UnixMillis, key: L0Key, known: Rc<Known>, shared: &dyn SharedData) -> Progress {
        if self.holds(&known, now) {
            self.counters.count(Metric::L0Hit);
            return Progress::Known { known, layer: Layer::L0, again: None };
        }
        self.judge(now, key, known.session.clone(), Some(known.judgement.clone()), shared)
    }

    /// A token that has just been opened.
    fn fresh(
        &mut self,
        now: UnixMillis,
        key: L0Key,
        (kind, session): (usize, Session),
        shared: &dyn SharedData,
    ) -> Progress {
        match session.kept(kind, &self.policy.routes.keep) {
            Some(session) => self.judge(now, key, Rc::new(session), None, shared),
            None => Progress::Denied(Denial::ClaimTooLarge),
        }
    }

    /// What is known of the user of a session, here and in the shared data.
    fn judge(
        &mut self,
        now: UnixMillis,
        l0_key: L0Key,
        session: Rc<Session>,
        remembered: Option<Judgement>,
        shared: &dyn SharedData,
    ) -> Progress {
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else {
            let judgement = without_lookup(now, &session);
            let known = self.remember(now, l0_key, session, judgement);
            return Progress::Known { known, layer: Layer::None, again: None };
        };
        let tag = tag_of(Kind::Subject, session.subject());
        let shared = Self::l1(lookup, tag, shared);
        let newest = Judgement::newest(shared, remembered);
        let newest = newest.filter(|judgement| judgement.applies_to(&session));
        let outdated = newest.as_ref().is_some_and(|newest| self.is_outdated(newest, &session));
        let newest = newest.filter(|newest| !outdated || newest.verdict != Verdict::Allow);
        let freshness = newest.as_ref().filter(|_| !outdated);
        let freshness = freshness.map_or(Freshness::Expired, |newest| newest.limits.freshness(now));
        match (newest, freshness) {
            (Some(judgement), Freshness::Fresh) => {
                self.counters.count(Metric::L1Hit);
                let known = self.remember(now, l0_key, session, judgement);
                Progress::Known { known, layer: Layer::L1, again: None }
            }
            (Some(judgement), Freshness::Stale) => {
                self.counters.count(Metric::L1Hit);
                let key = LookupKey::subject(tag, &session);
                let known = self.remember(now, l0_key, session, judgement);
                Progress::Known { known, layer: Layer::L1, again: Some(key) }
            }
            (newest, _) => {
                self.counters.count(Metric::L1Miss);
                let fallback = newest.filter(|newest| newest.counts(now));
                let key = LookupKey::subject(tag, &session);
                Progress::Unknown(Unknown { key, session, l0_key, fallback })
            }
        }
    }

    pub(super) fn l1(lookup: &LookupPolicy, tag: Tag, shared: &dyn SharedData) -> Option<Judgement> {
        let (value, _) = shared.get(&lookup.l1.set_of(tag));
        lookup.l1.find(tag, &value?)
    }

    /// Lets L0 know a token and what was judged of its user.
    pub(super) fn remember(
        &mut self,
        now: UnixMillis,
        key: L0Key,
        session: Rc<Session>,
        judgement: Judgement,
    ) -> Rc<Known> {
        let known = self.known(session, judgement);
        if self.l0.put(key, known.clone(), now) {
            self.counters.count(Metric::L0Eviction);
        }
        known
    }

    /// A session with what was judged of its user, and what the app is told.
    pub(super) fn known(&self, session: Rc<Session>, judgement: Judgement) -> Rc<Known> {
        let policy = &self.policy;
        let is_admitted = judgement.verdict == Verdict::Allow;
        let fields = judgement.fields();
        let facts = Facts {
            user: if is_admitted { &judgement.user } else { session.subject() },
            claims: session.claims(),
            fields,
        };
        let table = if is_admitted { policy.identity.entries.as_slice() } else { &[] };
        let identity = Identity::new(table, &facts, &policy.subject_key);
        // A variable that is not set keeps what it was.
        let is_spelt_out = !policy.capabilities.edits_headers;
        let identity = Rc::new(if is_spelt_out { identity.spelt_out(&policy.identity.entries) } else { identity });
        let met = session.met() | Condition::met(&policy.routes.fields, fields);
        Rc::new(Known { session, judgement, identity, proof: Proof::default(), met })
    }

    /// Holds a request until its user has been looked up.
    pub(super) fn park(&mut self, now: UnixMillis, pass: Pass, unknown: Unknown, effects: &mut Effects) {
        let Unknown { key, session, l0_key, fallback } = unknown;
        let key = self.lookup_of(pass.context, key);
        let waiter = Waiter { pass: Pass { parked: Some(now), ..pass }, session, l0_key, fallback };
        if !self.waiting.has_room(&waiter) {
            return self.finish(waiter.pass, Err(Denial::Overloaded), effects);
        }
        self.counters.count(Metric::Parked);
        effects.push(Effect::Park { context: waiter.pass.context });
        let wake = self.waiting.wait(&key, waiter);
        if key.alone.is_some() {
            self.ask_alone(now, key, effects);
        } else if wake {
            effects.push(Effect::Enqueue);
        }
    }
}

/// The session of a token, by the first configured derivation that opens it, and which one that is.
fn open<'a, 'b>(
    candidates: impl Iterator<Item = &'a SessionPolicy>,
    token: impl Fn(&SessionPolicy) -> Cow<'b, [u8]>,
    now: UnixMillis,
) -> Result<(usize, Session), Denial> {
    let mut first_error = None;
    for session in candidates {
        match session.keys.open(&token(session)) {
            Ok(opened) => {
                let checked = claims::check(opened.plaintext(), opened.replicated(), &session.rules, now);
                return checked.map(|checked| (session.kind, checked)).map_err(Denial::Claims);
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.map_or(Denial::NoToken, Denial::Jwe))
}

/// Where no lookup is configured a good token is all that is asked for.
fn without_lookup(now: UnixMillis, session: &Session) -> Judgement {
    let until = session.expires_at();
    Judgement {
        verdict: Verdict::Allow,
        user: Rc::from(session.subject()),
        fields: Fields::default(),
        as_of: now,
        limits: Limits { fresh_until: until, stale_until: until, hard_until: until },
    }
}
