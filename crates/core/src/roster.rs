//! The roster: which workers are there to be waited for and to be woken.
//!
//! A worker that looks something up for others, or waits for another's lookup, takes one of [`WORKERS`] numbers. Under
//! that number stands its entry, in which it says on each tick that it is still there. One that has not said so for
//! [`SILENCE`] is gone; whoever needs its number takes it.
//!
//! ```text
//! offset 0  layout, 1 byte                      8   incarnation, 8 bytes
//!        1  nothing, 3 bytes                    16  when it last said that it is there, 8 bytes, milliseconds
//!        4  number of its queue, 4 bytes
//! ```
//! Numbers are little-endian. What has another layout or length is no entry.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::shared::{QueueId, SharedData, SharedKey};
use crate::time::UnixMillis;

/// How many workers there may be, each configuration of each proxy thread being one.
pub const WORKERS: usize = 1 << u8::BITS;

/// How long a worker may say nothing before it counts as gone.
pub const SILENCE: Duration = Duration::from_secs(1);

const LAYOUT: u8 = 1;
const BYTES: usize = 24;

/// The number of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerNumber(pub u8);

/// Tells the holder of a number from those before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation(pub u64);

/// An entry of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who it is.
    pub incarnation: Incarnation,
    /// What wakes it.
    pub queue: QueueId,
    /// When it last said that it is there.
    pub seen: UnixMillis,
}

impl WorkerNumber {
    /// Where the entry of this number stands.
    #[must_use]
    pub fn key(self) -> SharedKey {
        SharedKey(format!("jwe_gate/worker/{:x}", self.0))
    }
}

impl Incarnation {
    /// The numbers to try, in order. Few enough to be read in one go, and no two workers begin with the same ones.
    pub fn candidates(self) -> impl Iterator<Item = WorkerNumber> {
        self.0.to_le_bytes().into_iter().map(WorkerNumber)
    }
}

impl Entry {
    /// The bytes of an entry.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend([LAYOUT, 0, 0, 0]);
        bytes.extend(self.queue.0.to_le_bytes());
        bytes.extend(self.incarnation.0.to_le_bytes());
        bytes.extend(self.seen.0.to_le_bytes());
        bytes
    }

    /// The entry that these bytes hold.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let ([LAYOUT, ..], rest) = bytes.split_first_chunk::<4>()? else { return None };
        let (queue, rest) = rest.split_first_chunk()?;
        let (incarnation, rest) = rest.split_first_chunk()?;
        let (seen, _) = rest.split_first_chunk()?;
        Some(Self {
            incarnation: Incarnation(u64::from_le_bytes(*incarnation)),
            queue: QueueId(u32::from_le_bytes(*queue)),
            seen: UnixMillis(u64::from_le_bytes(*seen)),
        })
    }

    /// Writes the entry under a key that is free or its own. Returns whether it is there now.
    #[must_use]
    pub fn take(&self, key: &SharedKey, now: UnixMillis, shared: &dyn SharedData) -> bool {
        let (value, cas) = shared.get(key);
        let holder = value.as_deref().and_then(Self::decode).filter(|holder| holder.is_alive(now));
        let is_free = holder.is_none_or(|holder| holder.incarnation == self.incarnation);
        is_free && shared.put(key, &self.encode(), cas)
    }

    /// Whether the worker is there. A clock that was set back or forward makes it neither dead for long nor immortal.
    #[must_use]
    pub fn is_alive(&self, now: UnixMillis) -> bool {
        u128::from(now.0.abs_diff(self.seen.0)) < SILENCE.as_millis()
    }
}

/// The roster as it stands now, each entry read once at most.
pub struct Roster<'a> {
    now: UnixMillis,
    shared: &'a dyn SharedData,
    entries: BTreeMap<WorkerNumber, Option<Entry>>,
}

impl<'a> Roster<'a> {
    /// The roster in this shared data.
    pub fn new(now: UnixMillis, shared: &'a dyn SharedData) -> Self {
        Self { now, shared, entries: BTreeMap::new() }
    }

    /// The worker that has this number, if it is there.
    pub fn worker(&mut self, number: WorkerNumber) -> Option<Entry> {
        let Self { now, shared, entries } = self;
        let read = || Entry::decode(&shared.get(&number.key()).0?).filter(|entry| entry.is_alive(*now));
        *entries.entry(number).or_insert_with(read)
    }

    /// Every worker that is there.
    pub fn all(&mut self) -> Vec<Entry> {
        (0..=u8::MAX).filter_map(|number| self.worker(WorkerNumber(number))).collect()
    }

    /// Writes an entry under a number that is free or its own. Returns whether it is there now.
    #[must_use]
    pub fn take(&self, number: WorkerNumber, own: &Entry) -> bool {
        own.take(&number.key(), self.now, self.shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry = Entry { incarnation: Incarnation(7), queue: QueueId(3), seen: UnixMillis(5000) };

    #[test]
    fn an_entry_reads_as_it_was_written_and_nothing_else_reads_at_all() {
        let bytes = ENTRY.encode();
        assert_eq!(Entry::decode(&bytes), Some(ENTRY));
        assert_eq!(Entry::decode(&bytes[1..]), None);
        assert_eq!(Entry::decode(&[bytes.as_slice(), &[0]].concat()), None);
        assert_eq!(Entry::decode(&[&[2], &bytes[1..]].concat()), None);
        assert_eq!(Entry::decode(&[]), None);
    }

    #[test]
    fn a_worker_is_gone_after_a_second_of_silence() {
        for (now, alive) in [(4001, true), (4000, false), (5000, true), (5999, true), (6000, false)] {
            assert_eq!(ENTRY.is_alive(UnixMillis(now)), alive, "{now}");
        }
    }
}
