//! The cache inside the process: small, bounded, and never behind what was put into it.

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::ops::compute::Op;
use moka::sync::Cache;

use crate::key::RecordKey;
use crate::record::Held;

/// A bounded map of records, where an older one never replaces a newer one.
pub struct MemoryCache {
    records: Cache<RecordKey, Held>,
}

impl MemoryCache {
    /// Holds at most about `capacity` records.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { records: Cache::builder().max_capacity(capacity).expire_after(HardLimit).build() }
    }

    /// The record, if it may still be used at all.
    #[must_use]
    pub fn find(&self, key: &RecordKey, now: Instant) -> Option<Held> {
        self.records.get(key).filter(|held| held.remaining(now).hard_ms > 0)
    }

    /// Puts a record, unless there is one that it does not replace.
    pub fn put(&self, key: RecordKey, new: Held) {
        self.records.entry(key).and_compute_with(|old| match old {
            Some(old) if !new.record.replaces(&old.value().record) => Op::Nop,
            _ => Op::Put(new),
        });
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

    fn held(verdict: Verdict, as_of_ms: u64, since: Instant) -> Held {
        let limits = Limits { fresh_ms: 1_000, stale_ms: 1_000, hard_ms: 60_000 };
        Held { record: Record { verdict, as_of_ms, limits }, since }
    }

    #[test]
    fn a_late_positive_does_not_undo_a_denial_and_the_hard_limit_ends_both() {
        let (cache, key, now) = (MemoryCache::new(10), RecordKey::new(Kind::Subject, "7"), Instant::now());
        let deny = Verdict::Deny { reason: Reason::UnknownUser };
        cache.put(key.clone(), held(deny.clone(), 5, now));
        cache.put(key.clone(), held(Verdict::Allow { user: "7".into() }, 5, now));
        cache.put(key.clone(), held(Verdict::Allow { user: "7".into() }, 4, now));
        assert_eq!(cache.find(&key, now).unwrap().record.verdict, deny);
        assert!(cache.find(&key, now + Duration::from_mins(1)).is_none());
    }

    #[test]
    fn its_size_is_bounded() {
        let (cache, now) = (MemoryCache::new(100), Instant::now());
        for number in 0..1_000 {
            let key = RecordKey::new(Kind::Subject, &number.to_string());
            cache.put(key, held(Verdict::Allow { user: number.to_string() }, 1, now));
        }
        cache.records.run_pending_tasks();
        assert!(cache.records.entry_count() <= 100);
    }
}
