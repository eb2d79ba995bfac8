//! What a proxy must have heard by now: the promise, as the model understands it.

use crate::service::RULES;

/// The oldest that what a proxy knows may be, as it is configured.
pub(crate) const MAX_AGE_MS: u64 = 4_000;

/// For so long after its contact changed, or too much failed, a proxy may refuse sessions that are good.
const RECOVERY_MS: u64 = 5_000;

/// A question that went unheard is given up after this time, and only then asked again: the longest poll and a second.
const GIVEN_UP_MS: u64 = 1_300;

/// A proxy's contact with the service. All times are the database's.
#[derive(Debug)]
pub(crate) struct Contact {
    /// Since when, if there is any.
    since: Option<u64>,
    /// When something failed last that others make up for.
    failed: u64,
    /// Before this it may refuse sessions that are good.
    recovered: u64,
    /// What ended before this has been heard of.
    heard: u64,
    /// Whether nothing passes on old knowledge.
    denies_if_stale: bool,
}

impl Contact {
    /// Of a proxy that starts: it lets nobody in before it has read everything.
    pub(crate) fn new(now: u64, denies_if_stale: bool) -> Self {
        Self { since: Some(now), failed: 0, recovered: now + RECOVERY_MS, heard: now, denies_if_stale }
    }

    /// Whether there is contact now.
    pub(crate) fn set(&mut self, exists: bool, now: u64) {
        if exists != self.since.is_some() {
            self.recovered = now + RECOVERY_MS;
            self.since = exists.then_some(now + GIVEN_UP_MS);
        }
    }

    /// Something failed that others make up for: a replica, a worker. One such failure at a time changes nothing.
    pub(crate) fn failure(&mut self, now: u64) {
        if now < self.failed + 2 * delay_ms() {
            self.since = self.since.map(|since| since.max(now));
            self.recovered = now + RECOVERY_MS;
        }
        self.failed = now;
    }

    /// Time has passed.
    pub(crate) fn passed(&mut self, now: u64) {
        let promised = now - delay_ms();
        if self.since.is_some_and(|since| since <= promised) {
            self.heard = self.heard.max(promised);
        }
    }

    /// Whether open requests of a session that ended then must be over.
    pub(crate) fn has_heard(&self, ended: u64) -> bool {
        ended < self.heard
    }

    /// Whether a session that ended then must be refused.
    pub(crate) fn must_refuse(&self, ended: u64, now: u64) -> bool {
        self.has_heard(ended) || self.denies_if_stale && ended < now - MAX_AGE_MS
    }

    /// Whether a session that nobody ended must be admitted.
    pub(crate) fn must_admit(&self, now: u64) -> bool {
        self.since.is_some() && self.recovered <= now
    }
}

fn delay_ms() -> u64 {
    u64::try_from(RULES.delay.as_millis()).expect("a short delay")
}
