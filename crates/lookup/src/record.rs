//! What a cache holds: a verdict, when the database gave it, and how long it may be used.
//!
//! Two orders matter. In time: a record with an older `as_of` never replaces a newer one, and of two with the same
//! `as_of` the denial stays. In age: what an answer may promise is what *remains* of the limits.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use jwe_gate_contract::{Limits, Outcome, Reason};
use serde::{Deserialize, Serialize};

use crate::clock::whole_ms;
use crate::key::RecordKey;
use crate::store::UserFields;

/// A verdict of the database. The limits count from when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who passes, or why not.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The database's clock when it was read, in milliseconds since 1970.
    pub as_of_ms: u64,
    /// How long it may be used, counted from then.
    #[serde(flatten)]
    pub limits: Limits,
}

/// Who passes, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// A known user, by the canonical id.
    Allow {
        /// The id.
        user: String,
        /// All fields that are served.
        #[serde(default, skip_serializing_if = "UserFields::is_empty")]
        fields: UserFields,
    },
    /// Must not pass.
    Deny {
        /// Why.
        reason: Reason,
    },
}

/// A record in hand, and the moment from which its limits count.
#[derive(Clone, Debug)]
pub struct Held {
    /// The record.
    pub record: Record,
    /// When the database was read, by the local clock.
    pub since: Instant,
}

/// How long verdicts may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Positives are used without asking again for this long.
    pub positive: Duration,
    /// Negatives are used without asking again for this long.
    pub negative: Duration,
    /// After `positive`, used this much longer while being asked again.
    pub stale: Duration,
    /// After `positive`, used this much longer while asking fails.
    pub hard: Duration,
    /// By how many per cent, at most, the limits of a record are shortened, so that what was read in one burst does not
    /// have to be read again in one.
    pub spread: u8,
}

impl Record {
    /// Whether this one takes the place of `old`.
    #[must_use]
    pub fn replaces(&self, old: &Self) -> bool {
        (self.as_of_ms, self.is_denial()) > (old.as_of_ms, old.is_denial())
    }

    /// Whether it says anything about a token that was issued then. A user who was unknown may have signed up since.
    ///
    /// Tokens count whole seconds, so one of the same second is taken to be later.
    #[must_use]
    pub fn speaks_of(&self, issued_at_ms: Option<u64>) -> bool {
        let unknown = self.verdict == Verdict::Deny { reason: Reason::UnknownUser };
        !unknown || issued_at_ms.is_none_or(|issued| issued.saturating_add(1000) <= self.as_of_ms)
    }

    /// Whether it keeps someone out.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(self.verdict, Verdict::Deny { .. })
    }
}

impl Held {
    /// What remains of the limits at `now`.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Limits {
        let age = whole_ms(now.saturating_duration_since(self.since));
        let Limits { fresh_ms, stale_ms, hard_ms } = self.record.limits;
        Limits {
            fresh_ms: fresh_ms.saturating_sub(age),
            stale_ms: stale_ms.saturating_sub(age),
            hard_ms: hard_ms.saturating_sub(age),
        }
    }

    /// Whether it is used without asking the database.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.remaining(now).fresh_ms > 0
    }

    /// The answer while the database answers.
    #[must_use]
    pub fn outcome(&self, now: Instant) -> Outcome {
        self.outcome_within(self.remaining(now))
    }

    /// The answer while the database cannot be asked: to be used only as long as asking fails, and `None` once the hard
    /// limit has passed.
    #[must_use]
    pub fn last_resort(&self, now: Instant) -> Option<Outcome> {
        let hard_ms = self.remaining(now).hard_ms;
        (hard_ms > 0).then(|| self.outcome_within(Limits { fresh_ms: 0, stale_ms: 0, hard_ms }))
    }

    fn outcome_within(&self, limits: Limits) -> Outcome {
        let as_of_ms = self.record.as_of_ms;
        match &self.record.verdict {
            Verdict::Allow { user, fields } => {
                Outcome::Allow { user: user.clone(), as_of_ms, limits, fields: fields.clone() }
            }
            Verdict::Deny { reason } => Outcome::Deny { reason: *reason, as_of_ms, limits },
        }
    }
}

impl Freshness {
    /// As it holds for one key: shortened by a part of the spread that is always the same for that key. So its denial still
    /// outlasts its positive of before.
    #[must_use]
    pub fn of_key(self, key: &RecordKey) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        // In thousandths of a per cent.
        let share = u32::try_from(hasher.finish() % 1000).unwrap_or(0) * u32::from(self.spread);
        let shortened = |limit: Duration| limit.saturating_sub(limit * share / 100_000);
        Self {
            positive: shortened(self.positive),
            negative: shortened(self.negative),
            stale: shortened(self.stale),
            hard: shortened(self.hard),
            spread: 0,
        }
    }

    /// The limits of a positive verdict. A session's own end bounds all of them.
    #[must_use]
    pub fn of_known(&self, ends_in_ms: Option<u64>) -> Limits {
        let end = ends_in_ms.unwrap_or(u64::MAX);
        let fresh = whole_ms(self.positive);
        Limits {
            fresh_ms: fresh.min(end),
            stale_ms: fresh.saturating_add(whole_ms(self.stale)).min(end),
            hard_ms: fresh.saturating_add(whole_ms(self.hard)).min(end),
        }
    }

    /// The limits of a denial. In an outage that of a user lasts as long as a positive would, lest the outage re-admit
    /// who was barred. That of a session is short: its token may be any text that a client made up, and caches must not
    /// fill with those.
    #[must_use]
    pub fn of_denied(&self, reason: Reason) -> Limits {
        let fresh_ms = whole_ms(self.negative);
        let hard_ms = match reason {
            Reason::UnknownSession => fresh_ms,
            Reason::Banned | Reason::UnknownUser => self.of_known(None).hard_ms.max(fresh_ms),
        };
        Limits { fresh_ms, stale_ms: fresh_ms, hard_ms }
    }
}

#[cfg(test)]
mod tests {
    use jwe_gate_contract::Kind;

    use super::*;

    const FRESHNESS: Freshness = Freshness {
        positive: Duration::from_mins(10),
        negative: Duration::from_secs(10),
        stale: Duration::from_mins(1),
        hard: Duration::from_hours(1),
        spread: 10,
    };

    fn allow(as_of_ms: u64) -> Record {
        Record {
            verdict: Verdict::Allow { user: "7".into(), fields: UserFields::new() },
            as_of_ms,
            limits: FRESHNESS.of_known(None),
        }
    }

    fn deny(as_of_ms: u64) -> Record {
        let reason = Reason::UnknownUser;
        Record { verdict: Verdict::Deny { reason }, as_of_ms, limits: FRESHNESS.of_denied(reason) }
    }

    #[test]
    fn a_newer_record_replaces_an_older_one_and_a_denial_wins_a_tie() {
        assert!(allow(2).replaces(&deny(1)));
        assert!(!allow(1).replaces(&deny(2)));
        assert!(deny(1).replaces(&allow(1)));
        assert!(!allow(1).replaces(&deny(1)));
        assert!(!allow(1).replaces(&allow(1)));
    }

    #[test]
    fn an_answer_promises_only_what_remains() {
        let since = Instant::now();
        let held = Held { record: allow(1), since };
        let later = since + Duration::from_secs(630);
        assert!(!held.is_fresh(later));
        assert_eq!(held.remaining(later), Limits { fresh_ms: 0, stale_ms: 30_000, hard_ms: 3_570_000 });
        assert!(held.last_resort(since + Duration::from_mins(70)).is_none());
    }

    #[test]
    fn the_end_of_a_session_bounds_every_limit() {
        let limits = FRESHNESS.of_known(Some(620_000));
        assert_eq!(limits, Limits { fresh_ms: 600_000, stale_ms: 620_000, hard_ms: 620_000 });
        assert_eq!(FRESHNESS.of_known(Some(5)), Limits { fresh_ms: 5, stale_ms: 5, hard_ms: 5 });
    }

    #[test]
    fn an_unknown_user_stays_unknown_in_an_outage_for_as_long_as_a_known_one_would_pass() {
        assert_eq!(FRESHNESS.of_denied(Reason::UnknownUser).hard_ms, FRESHNESS.of_known(None).hard_ms);
        let session = FRESHNESS.of_denied(Reason::UnknownSession);
        assert_eq!(session, Limits { fresh_ms: 10_000, stale_ms: 10_000, hard_ms: 10_000 });
    }

    #[test]
    fn the_limits_of_a_burst_are_spread_over_a_tenth_and_never_lengthened() {
        let of = |number: u32| FRESHNESS.of_key(&RecordKey::new(Kind::Subject, &number.to_string()));
        let mut fresh: Vec<_> = (0..1_000).map(|number| of(number).of_known(None).fresh_ms).collect();
        fresh.sort_unstable();
        assert!(fresh[0] >= 540_000 && fresh[999] <= 600_000);
        // No more than about a twentieth of them within any twentieth of that.
        assert!((0..900).all(|first| fresh[first + 100] - fresh[first] > 3_000), "{fresh:?}");
        let end = FRESHNESS.of_key(&RecordKey::new(Kind::Opaque, "7")).of_known(Some(5));
        assert_eq!(end, Limits { fresh_ms: 5, stale_ms: 5, hard_ms: 5 });
    }

    #[test]
    fn one_key_is_always_shortened_by_the_same_so_that_its_denial_outlasts_its_positive() {
        for number in 0..1_000 {
            let freshness = FRESHNESS.of_key(&RecordKey::new(Kind::Subject, &number.to_string()));
            let (known, denied) = (freshness.of_known(None), freshness.of_denied(Reason::UnknownUser));
            assert_eq!(known.hard_ms, denied.hard_ms);
            assert!(known.fresh_ms <= known.stale_ms && known.stale_ms <= known.hard_ms);
        }
    }
}
