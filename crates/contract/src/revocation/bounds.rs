//! Which sessions of a subject a revocation ends: the one rule, for the service that writes it and the filter that
//! applies it.
//!
//! Three clocks meet. The app's writes `auth_time` and `iat`, in whole seconds, rounded down. The database's says when
//! the revocation was written. They may be up to `skew` apart either way. The proxy's clock takes no part.
//!
//! With `R` the moment of the revocation:
//!
//! - A session whose user signed in before `R` has `auth_time < R + skew`, and is ended: none is spared.
//! - A sign-in at `R + 2 * skew + 1 s` or later has `auth_time >= R + skew`, and is spared. In between, it depends on
//!   how far the clocks are apart: for so long a new sign-in may be refused. With clocks that agree, `skew + 1 s`.
//! - Without `auth_time`, `iat` is all there is, and a copy of the token that is refreshed before every proxy has heard
//!   of the revocation comes back with a later one. So the promised `delay` is added, here and to both figures above.
//!
//! The bound itself is the first moment that is spared; with whole seconds and this skew, that tie is always a new
//! session's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The moments before which a subject's sessions have ended, by the app's clock, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// For sessions that say when their user signed in: those from before this moment.
    pub signed_in_before_ms: u64,
    /// For sessions that do not: those whose token was issued before this moment.
    pub issued_before_ms: u64,
}

impl Bounds {
    /// Those of a revocation at `now_ms` by the database's clock, which every proxy follows within `delay`, where the
    /// app's clock is at most `skew` from the database's.
    #[must_use]
    pub fn at(now_ms: u64, skew: Duration, delay: Duration) -> Self {
        let signed_in_before_ms = now_ms.saturating_add(milliseconds(skew));
        Self { signed_in_before_ms, issued_before_ms: signed_in_before_ms.saturating_add(milliseconds(delay)) }
    }

    /// The same, and it ends a session with these times whatever the clocks say: the one that was shown.
    #[must_use]
    pub fn and_session(self, auth_time_ms: Option<u64>, issued_at_ms: u64, delay: Duration) -> Self {
        let signed_in = auth_time_ms.filter(|signed_in| *signed_in <= issued_at_ms);
        self.or_later(Self {
            signed_in_before_ms: signed_in.map_or(0, |signed_in| signed_in.saturating_add(1)),
            issued_before_ms: issued_at_ms.saturating_add(1).saturating_add(milliseconds(delay)),
        })
    }

    /// What two revocations of one subject end together: all that either ends.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        Self {
            signed_in_before_ms: self.signed_in_before_ms.max(other.signed_in_before_ms),
            issued_before_ms: self.issued_before_ms.max(other.issued_before_ms),
        }
    }

    /// Whether a sealed session with this `auth_time` and `iat`, in milliseconds, has ended.
    ///
    /// Nobody signs in after the token was issued: an `auth_time` later than `iat` (such as one in milliseconds where
    /// seconds are due) says nothing, and `iat` is used, which ends more. A session that says neither has ended.
    #[must_use]
    pub fn end(self, auth_time_ms: Option<u64>, issued_at_ms: Option<u64>) -> bool {
        match (auth_time_ms, issued_at_ms) {
            (Some(signed_in), Some(issued)) if signed_in <= issued => signed_in < self.signed_in_before_ms,
            (_, Some(issued)) => issued < self.issued_before_ms,
            (_, None) => true,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: Duration = Duration::from_secs(5);
    const DELAY: Duration = Duration::from_secs(2);
    /// When the revocation is written, by a true clock; not on a whole second.
    const NOW: i64 = 1_700_000_000_400;

    /// What an app writes whose clock is `off` from true: whole seconds.
    fn claim(true_ms: i64, off: i64) -> Option<u64> {
        u64::try_from((true_ms + off).div_euclid(1000) * 1000).ok()
    }

    fn revoked_now() -> Bounds {
        Bounds::at(NOW.unsigned_abs(), SKEW, DELAY)
    }

    #[test]
    fn every_session_from_before_has_ended_however_the_clocks_differ() {
        for off in [-5_000, -4_999, -1, 0, 1, 4_999, 5_000] {
            for before in [1, 399, 400, 401, 1_000, 60_000] {
                let signed_in = claim(NOW - before, off);
                assert!(revoked_now().end(signed_in, signed_in), "{before} ms before, clock off by {off} ms");
                // Refreshed since, up to the promised delay.
                let refreshed = claim(NOW + 1_999, off);
                assert!(revoked_now().end(signed_in, refreshed), "refreshed, clock off by {off} ms");
                assert!(revoked_now().end(None, refreshed), "without auth_time, clock off by {off} ms");
            }
        }
    }

    #[test]
    fn a_new_sign_in_is_spared_after_the_stated_time_however_the_clocks_differ() {
        for off in [-5_000, -1, 0, 1, 5_000] {
            let with_auth_time = claim(NOW + 11_000, off);
            assert!(!revoked_now().end(with_auth_time, with_auth_time), "clock off by {off} ms");
            assert!(!revoked_now().end(None, claim(NOW + 13_000, off)), "clock off by {off} ms");
        }
        assert!(!revoked_now().end(claim(NOW + 6_000, 0), claim(NOW + 6_000, 0)), "clocks that agree");
    }

    #[test]
    fn the_bound_itself_is_spared() {
        let bounds = Bounds { signed_in_before_ms: 10, issued_before_ms: 20 };
        assert!(bounds.end(Some(9), Some(30)));
        assert!(!bounds.end(Some(10), Some(30)));
        assert!(bounds.end(None, Some(19)));
        assert!(!bounds.end(None, Some(20)));
    }

    #[test]
    fn an_auth_time_after_iat_or_without_one_spares_nothing() {
        let bounds = Bounds { signed_in_before_ms: 10, issued_before_ms: 20 };
        assert!(bounds.end(Some(15_000), Some(15)));
        assert!(!bounds.end(Some(15_000), Some(20)));
        assert!(bounds.end(Some(15_000), None));
        assert!(bounds.end(None, None));
    }

    #[test]
    fn the_session_that_was_shown_has_ended_even_if_the_app_is_an_hour_ahead() {
        let (signed_in, issued) = (claim(NOW, 3_600_000), claim(NOW + 900, 3_600_000));
        assert!(!revoked_now().end(signed_in, issued));
        let bounds = revoked_now().and_session(signed_in, issued.unwrap(), DELAY);
        assert!(bounds.end(signed_in, issued));
        assert!(bounds.end(None, issued));
        assert!(bounds.end(None, claim(NOW + 2_000, 3_600_000)));
        // And no less than it would without.
        assert_eq!(revoked_now().and_session(Some(1), 1, DELAY), revoked_now());
        // Nor does a time that cannot be lock anybody out.
        assert_eq!(revoked_now().and_session(Some(u64::MAX), 1, DELAY), revoked_now());
    }

    #[test]
    fn of_two_revocations_each_bound_is_the_later() {
        let one = Bounds { signed_in_before_ms: 1, issued_before_ms: 9 };
        let other = Bounds { signed_in_before_ms: 5, issued_before_ms: 6 };
        assert_eq!(one.or_later(other), Bounds { signed_in_before_ms: 5, issued_before_ms: 9 });
    }
}
