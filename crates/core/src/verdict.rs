//! What the lookup said of a user, how long it holds, and why a request is refused.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::claims::{ClaimsError, Session};
use crate::cookie::CredentialError;
use crate::fields::Fields;
use crate::jwe::JweError;
use crate::time::UnixMillis;

/// Whether a user may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user is known.
    Allow,
    /// The user must not pass.
    Deny(Barred),
}

/// Why a user must not pass, although the token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// The user exists and is barred.
    Banned,
    /// No live database session has this token.
    UnknownSession,
    /// No user has this id.
    UnknownUser,
}

/// A verdict with its age and its limits, as the caches hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The canonical user id; empty where the verdict is a denial.
    pub user: Rc<str>,
    /// What the lookup was asked for besides; empty where the verdict is a denial.
    pub fields: Fields,
    /// When the database said so, by its own clock. Of two judgements the later one holds.
    pub as_of: UnixMillis,
    /// How long it may be used, by the proxy's clock.
    pub limits: Limits,
}

/// How long a judgement may be used: `fresh_until <= stale_until <= hard_until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Used without asking again.
    pub fresh_until: UnixMillis,
    /// Used while it is being asked again.
    pub stale_until: UnixMillis,
    /// Used while asking fails.
    pub hard_until: UnixMillis,
}

/// What may be done with a judgement now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Use it.
    Fresh,
    /// Use it and ask again.
    Stale,
    /// Ask, and use it only if asking fails.
    Fallback,
    /// It is over.
    Expired,
}

impl Limits {
    /// Where `now` lies.
    #[must_use]
    pub fn freshness(&self, now: UnixMillis) -> Freshness {
        match now {
            now if now < self.fresh_until => Freshness::Fresh,
            now if now < self.stale_until => Freshness::Stale,
            now if now < self.hard_until => Freshness::Fallback,
            _ => Freshness::Expired,
        }
    }
}

impl Judgement {
    /// What the lookup says of the user besides the verdict.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Whether the judgement says anything about this session.
    ///
    /// "Unknown user" does not apply to a token issued after it: a new sign-up behind a lagging replica works at once.
    /// Tokens count whole seconds, so one of the same second is taken to be later; that costs a lookup and admits nobody.
    #[must_use]
    pub fn applies_to(&self, session: &Session) -> bool {
        match self.verdict {
            Verdict::Deny(Barred::UnknownUser) => {
                session.issued_at().is_none_or(|issued_at| issued_at.after(SECOND) <= self.as_of)
            }
            _ => true,
        }
    }

    /// Whether it says anything at this time. A denial that is over refuses nobody by itself, but it is not forgotten:
    /// where nobody can be asked it keeps its user from passing for an unknown one.
    #[must_use]
    pub fn counts(&self, now: UnixMillis) -> bool {
        now < self.limits.hard_until || self.verdict != Verdict::Allow
    }

    /// The one of two judgements that holds; the first where they are alike.
    #[must_use]
    pub fn newest(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if one.replaces(&other) { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    /// Whether this one takes the place of `other`. Of two that are equally old the denial holds; where they agree, the
    /// one that came later, whose limits are the current ones.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        let keeps_denial = other.verdict == Verdict::Allow || self.verdict != Verdict::Allow;
        self.as_of > other.as_of || self.as_of == other.as_of && keeps_denial
    }
}

/// Why a request is refused. Closed, so that the names below are all that metrics and logs ever see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The user must not pass.
    Barred(Barred),
    /// The claims do not hold.
    Claims(ClaimsError),
    /// It cannot be told which credential is meant, or it is too large.
    Credential(CredentialError),
    /// The token is not authentic.
    Jwe(JweError),
    /// A page of another site asks with the user's cookie for something that may have effects.
    CrossSite,
    /// The session, or its user, is not what the rule asks for.
    Condition,
    /// The rule does not accept this kind of session.
    OtherSession,
    /// The lookup failed, and nothing is known that could be used instead.
    LookupFailed,
    /// The host does not show all headers of the request, or lets some pass that must not.
    Headers,
    /// Nothing is known of revocations yet.
    NoFeed,
    /// There is no credential.
    NoToken,
    /// Too many requests are waiting for lookups.
    Overloaded,
    /// Something has ended the session early.
    Revoked,
    /// What is known of revocations is too old.
    StaleFeed,
    /// A claim that the gate keeps is longer than it handles.
    ClaimTooLarge,
    /// The client has shown too many tokens that are none.
    TooManyFailures {
        /// When it may try again.
        wait: Duration,
    },
}

/// Whom a denial tells to do something, and so the status of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 401: sign in.
    Unauthenticated,
    /// 400: the request itself is at fault.
    BadRequest,
    /// 403: signing in again does not help.
    Forbidden,
    /// 429: not so often.
    Limited {
        /// When to try again.
        wait: Duration,
    },
    /// 503: try again later.
    Unavailable,
}

impl Answer {
    /// The name that clients and apps are told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Forbidden => "forbidden",
            Self::Limited { .. } => "limited",
            Self::Unauthenticated => "unauthenticated",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Denial {
    /// The only place that decides what a client is told.
    #[must_use]
    pub fn answer(self) -> Answer {
        match self {
            // Signing in again makes a new database session, but not a new user.
            Self::Barred(Barred::UnknownSession)
            | Self::ClaimTooLarge
            | Self::Claims(_)
            | Self::Credential(_)
            | Self::Jwe(_)
            | Self::NoToken
            | Self::OtherSession
            | Self::Revoked => Answer::Unauthenticated,
            Self::Barred(Barred::Banned | Barred::UnknownUser) | Self::Condition | Self::CrossSite => Answer::Forbidden,
            Self::Headers => Answer::BadRequest,
            Self::LookupFailed | Self::NoFeed | Self::Overloaded | Self::StaleFeed => Answer::Unavailable,
            Self::TooManyFailures { wait } => Answer::Limited { wait },
        }
    }

    /// The stable name for metrics and access logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Barred(Barred::Banned) => "banned",
            Self::Barred(Barred::UnknownSession) => "unknown_session",
            Self::Barred(Barred::UnknownUser) => "unknown_user",
            Self::Claims(error) => error.as_str(),
            Self::Credential(error) => error.as_str(),
            Self::Jwe(error) => error.as_str(),
            Self::Condition => "condition",
            Self::CrossSite => "cross_site",
            Self::OtherSession => "other_session",
            Self::LookupFailed => "lookup_failed",
            Self::Headers => "headers",
            Self::NoFeed => "no_feed",
            Self::NoToken => "no_token",
            Self::Overloaded => "overloaded",
            Self::Revoked => "revoked",
            Self::StaleFeed => "stale_feed",
            Self::ClaimTooLarge => "claim_too_large",
            Self::TooManyFailures { .. } => "too_many_failures",
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
