//! The cache inside the process: small, bounded, and never behind what was put into it.
//!
//! Denials have a place of their own, so that any number of unknown users never pushes out the known ones. It also
//! remembers who has been changed since: what is known of them from before is of no use, wherever it is kept.

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::key::RecordKey;
use crate::record::{Held, Record};

/// A bounded map of records, where an older one never replaces a newer one.
pub struct MemoryCache {
    positives: Cache<RecordKey, Held>,
    denials: Cache<RecordKey, Held>,
    /// When they were changed, by the database's clock.
    changes: Cache<RecordKey, u64>,
}

impl MemoryCache {
    /// Holds at most about `capacity` positives, and a quarter as many denials.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let sized = |capacity| Cache::builder().max_capacity(capacity).expire_after(HardLimit).build();
        // The latest are those that matter, however often others are asked for.
        let changes = Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru()).build();
        Self { positives: sized(capacity), denials: sized(capacity / 4), changes }
    }

    /// What is known from before this moment, by the database's clock, has been overtaken.
    pub fn change(&self, key: &RecordKey, as_of_ms: u64) {
        self.changes.entry(key.clone()).and_compute_with(|old| {
            if old.is_some_and(|old| old.into_value() >= as_of_ms) { Op::Nop } else { Op::Put(as_of_ms) }
        });
    }

    /// Whether the user has been changed since.
    #[must_use]
    pub fn is_overtaken(&self, key: &RecordKey, record: &Record) -> bool {
        self.changes.get(key).is_some_and(|changed| record.as_of_ms < changed)
    }

    /// The record, if it may still be used at all.
    #[must_use]
    pub fn find(&self, key: &RecordKey, now: Instant) -> Option<Held> {
        self.newest(key).filter(|held| held.remaining(now).hard_ms > 0)
    }

    /// Puts a record, unless there is one that it does not replace.
    pub fn put(&self, key: &RecordKey, new: Held) {
        // Under the lock of the key's denial, whichever it is that is put: nothing comes between the look and the change.
        self.denials.entry(key.clone()).and_compute_with(|denial| {
            let denial = denial.map(moka::Entry::into_value);
            let old = newer(denial, self.positives.get(key));
            if old.is_some_and(|old| !new.record.replaces(&old.record)) {
                return Op::Nop;
            }
            // The old one goes before the new one comes, lest it stand alone again once the new one is evicted.
            if new.record.is_denial() {
                self.positives.invalidate(key);
                Op::Put(new)
            } else {
                self.positives.insert(key.clone(), new);
                Op::Remove
            }
        });
    }

    fn newest(&self, key: &RecordKey) -> Option<Held> {
        newer(self.denials.get(key), self.positives.get(key))
    }
}

fn newer(denial: Option<Held>, positive: Option<Held>) -> Option<Held> {
    match (denial, positive) {
        (Some(denial), Some(positive)) if positive.record.replaces(&denial.record) => Some(positive),
        (None, positive) => positive,
        (denial, _) => denial,
    }
}

/// Frees the memory of what may no longer be used. What may be used is decided by the record, when it is read.
struct HardLimit;

impl Expiry<RecordKey, Held> for HardLimit {
    fn expire_after_create(&self, _key: &RecordKey, held: &Held, _now: Instant) -> Option<Duration> {
        Some(Duration::from_millis(held.record.limits.hard_ms))
    }

    fn expire_after_update(
        &self,
        _key: &RecordKey,
        held: &Held,
        _now: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(Duration::from_millis(held.record.limits.hard_ms))
    }
}

#[cfg(test)]
mod tests {
    use jwe_gate_contract::{Kind, Limits, Reason};

    use super::*;
    use crate::record::{Record, Verdict};
    use crate::store::UserFields;

    const DENY: Verdict = Verdict::Deny { reason: Reason::UnknownUser };

    fn held(verdict: Verdict, as_of_ms: u64, since: Instant) -> Held {
        let limits = Limits { fresh_ms: 1_000, stale_ms: 1_000, hard_ms: 60_000 };
        Held { record: Record { verdict, as_of_ms, limits }, since }
    }

    fn allow(user: &str) -> Verdict {
        Verdict::Allow { user: user.into(), fields: UserFields::new() }
    }

    fn key(user: &str) -> RecordKey {
        RecordKey::new(Kind::Subject, user)
    }

    #[test]
    fn a_late_positive_does_not_undo_a_denial_and_the_hard_limit_ends_both() {
        let (cache, key, now) = (MemoryCache::new(10), key("7"), Instant::now());
        cache.put(&key, held(DENY, 5, now));
        cache.put(&key, held(allow("7"), 5, now));
        cache.put(&key, held(allow("7"), 4, now));
        assert_eq!(cache.find(&key, now).unwrap().record.verdict, DENY);
        assert!(cache.find(&key, now + Duration::from_mins(1)).is_none());
    }

    #[test]
    fn of_two_verdicts_on_one_key_only_the_newest_is_kept_at_all() {
        let (cache, key, now) = (MemoryCache::new(10), key("7"), Instant::now());
        cache.put(&key, held(allow("7"), 1, now));
        cache.put(&key, held(DENY, 2, now));
        assert!(cache.positives.get(&key).is_none() && cache.denials.get(&key).is_some());
        cache.put(&key, held(allow("7"), 1, now));
        assert!(cache.positives.get(&key).is_none());
        cache.put(&key, held(allow("7"), 3, now));
        assert!(cache.positives.get(&key).is_some() && cache.denials.get(&key).is_none());
        cache.put(&key, held(DENY, 2, now));
        assert_eq!(cache.find(&key, now).unwrap().record.verdict, allow("7"));
    }

    #[test]
    fn what_is_known_from_before_a_change_is_overtaken() {
        let (cache, now) = (MemoryCache::new(10), Instant::now());
        let is_overtaken = |as_of_ms| cache.is_overtaken(&key("7"), &held(allow("7"), as_of_ms, now).record);
        assert!(!is_overtaken(0));
        cache.change(&key("7"), 5);
        cache.change(&key("7"), 3);
        assert!(is_overtaken(4) && !is_overtaken(5));
        assert!(!cache.is_overtaken(&key("8"), &held(allow("8"), 4, now).record));
    }

    #[test]
    fn its_size_is_bounded() {
        let (cache, now) = (MemoryCache::new(100), Instant::now());
        for number in 0..1_000 {
            let number = number.to_string();
            cache.put(&key(&number), held(allow(&number), 1, now));
        }
        cache.positives.run_pending_tasks();
        assert!(cache.positives.entry_count() <= 100);
    }

    #[test]
    fn any_number_of_denials_leaves_the_known_users_where_they_are() {
        let (cache, now) = (MemoryCache::new(100), Instant::now());
        let known: Vec<_> = (0..50).map(|number| key(&number.to_string())).collect();
        for key in &known {
            cache.put(key, held(allow("7"), 1, now));
        }
        for number in 1_000..11_000 {
            cache.put(&key(&number.to_string()), held(DENY, 1, now));
        }
        cache.positives.run_pending_tasks();
        cache.denials.run_pending_tasks();
        assert!(cache.denials.entry_count() <= 25);
        assert!(known.iter().all(|key| cache.find(key, now).is_some()));
    }
}
