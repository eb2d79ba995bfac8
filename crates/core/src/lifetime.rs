//! From the limits that an answer allows to those that a record gets: the one place where that is decided.
//!
//! A record never holds for longer than the answer allows. It holds for a little less, a different share for each subject
//! and answer, so that the records of one burst do not all have to be renewed in the same moment.

use std::time::Duration;

use jwe_gate_contract::Limits as Allowed;

use crate::mac::MacKey;
use crate::record::Tag;
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::verdict::{Limits, Verdict};

/// The largest part of its time that a record gives up is one in this many.
const LARGEST_SHARE: u64 = 10;

/// The longest that a denial is used without asking again, whatever an answer allows: nobody who has been let in
/// meanwhile should wait for longer.
const MAX_FRESH_DENIAL: Duration = Duration::from_mins(1);

/// How long records hold.
#[derive(Debug)]
pub(crate) struct Lifetime {
    max_fresh: Duration,
    /// Keyed, so that nobody outside can tell which records are renewed together.
    jitter: MacKey,
}

impl Lifetime {
    /// Records of at most this freshness.
    pub(crate) fn new(max_fresh: Duration, secret: &Secret) -> Self {
        Self { max_fresh, jitter: MacKey::derive(secret, b"jwe-gate jitter") }
    }

    /// The limits of a record that is made now. The same for the same subject and answer wherever it is made.
    pub(crate) fn limits(
        &self,
        now: UnixMillis,
        about: (Tag, UnixMillis),
        verdict: Verdict,
        allowed: Allowed,
    ) -> Limits {
        let admits = verdict == Verdict::Allow;
        let max_fresh = if admits { self.max_fresh } else { self.max_fresh.min(MAX_FRESH_DENIAL) };
        let max_fresh = u64::try_from(max_fresh.as_millis()).unwrap_or(u64::MAX);
        // A denial is not used while it is being asked again: who has just been let in would be refused once more.
        let max_stale = if admits { u64::MAX } else { max_fresh };
        let stale = allowed.stale_ms.min(allowed.hard_ms).min(max_stale);
        let fresh = allowed.fresh_ms.min(stale).min(max_fresh);
        let share = self.share(about);
        // A denial must not be over before the verdict that it has replaced: an outage would let the banned in again.
        let hard = if admits { shortened(allowed.hard_ms, share) } else { allowed.hard_ms };
        let until = |ms: u64| now.after(Duration::from_millis(ms));
        Limits {
            fresh_until: until(shortened(fresh, share)),
            stale_until: until(shortened(stale, share)),
            hard_until: until(hard),
        }
    }

    /// Which share of the largest share this record gives up, in parts of 65536.
    fn share(&self, (tag, as_of): (Tag, UnixMillis)) -> u16 {
        let [a, b, ..] = self.jitter.tag(&[tag.0.as_slice(), &as_of.0.to_le_bytes()].concat());
        u16::from_le_bytes([a, b])
    }
}

/// The same share of each limit, so that their order stays.
fn shortened(ms: u64, share: u16) -> u64 {
    let given_up = u128::from(ms) * u128::from(share) / (u128::from(LARGEST_SHARE) << 16);
    ms.saturating_sub(u64::try_from(given_up).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::digest;
    use crate::verdict::Barred;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
    const ALLOWED: Allowed = Allowed { fresh_ms: 600_000, stale_ms: 660_000, hard_ms: 4_200_000 };

    fn lifetime(max_fresh: Duration) -> Lifetime {
        Lifetime::new(max_fresh, &Secret::new("a secret for tests"))
    }

    fn subject(number: u32) -> (Tag, UnixMillis) {
        (Tag(digest("test", &[&number.to_le_bytes()])), UnixMillis(7))
    }

    #[test]
    fn a_thousand_records_of_one_moment_are_spread_and_none_holds_longer_than_allowed() {
        for (max_fresh, fresh_ms) in [(Duration::from_hours(1), 600_000), (Duration::from_mins(2), 120_000)] {
            let lifetime = lifetime(max_fresh);
            let mut tenths = [0_u32; 10];
            for number in 0..1000 {
                let limits = lifetime.limits(NOW, subject(number), Verdict::Allow, ALLOWED);
                for (until, allowed) in
                    [(limits.fresh_until, fresh_ms), (limits.stale_until, 660_000), (limits.hard_until, 4_200_000)]
                {
                    let lasts = until.0 - NOW.0;
                    assert!((allowed * 9 / 10..=allowed).contains(&lasts), "{lasts} of {allowed}");
                }
                assert!(limits.fresh_until <= limits.stale_until && limits.stale_until <= limits.hard_until);
                let early = NOW.0 + fresh_ms - limits.fresh_until.0;
                tenths[usize::try_from(early * 10 / (fresh_ms / 10)).unwrap().min(9)] += 1;
            }
            // 100 are to be expected in each.
            assert!(tenths.iter().all(|tenth| (50..=160).contains(tenth)), "{tenths:?}");
        }
    }

    #[test]
    fn a_record_has_the_same_limits_wherever_it_is_made_and_others_at_the_next_answer() {
        let limits = |about| lifetime(Duration::from_hours(1)).limits(NOW, about, Verdict::Allow, ALLOWED);
        let (tag, as_of) = subject(1);
        assert_eq!(limits((tag, as_of)), limits((tag, as_of)));
        assert_ne!(limits((tag, as_of)), limits((tag, UnixMillis(as_of.0 + 1))));
    }

    #[test]
    fn a_denial_is_asked_about_again_after_a_minute_whatever_is_allowed() {
        let denied = |reason, allowed| {
            let limits = lifetime(Duration::from_hours(1)).limits(NOW, subject(1), Verdict::Deny(reason), allowed);
            [limits.fresh_until, limits.stale_until, limits.hard_until].map(|until| until.0 - NOW.0)
        };
        for reason in [Barred::Banned, Barred::UnknownSession, Barred::UnknownUser] {
            let [fresh, stale, hard] = denied(reason, ALLOWED);
            assert!(fresh <= 60_000 && stale <= 60_000, "{fresh} {stale}");
            // It stays a denial while asking fails.
            assert_eq!(hard, ALLOWED.hard_ms);
        }
        let brief = Allowed { fresh_ms: 10_000, stale_ms: 10_000, hard_ms: 20_000 };
        assert!(denied(Barred::UnknownUser, brief)[0] <= 10_000);
    }

    #[test]
    fn limits_out_of_order_or_beyond_all_time_are_put_right() {
        let odd = Allowed { fresh_ms: u64::MAX, stale_ms: 5, hard_ms: 3 };
        let limits = lifetime(Duration::from_hours(1)).limits(NOW, subject(1), Verdict::Allow, odd);
        assert!(limits.hard_until.0 <= NOW.0 + 3);
        assert!(limits.fresh_until <= limits.stale_until && limits.stale_until <= limits.hard_until);
        let endless = Allowed { fresh_ms: u64::MAX, stale_ms: u64::MAX, hard_ms: u64::MAX };
        let limits = lifetime(Duration::from_secs(1)).limits(NOW, subject(1), Verdict::Allow, endless);
        assert!(limits.fresh_until.0 <= NOW.0 + 1000);
        assert!(limits.stale_until <= limits.hard_until);
    }
}
