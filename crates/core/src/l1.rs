//! L1: judgements that all workers of a proxy share, in a fixed number of slots of its shared data.
//!
//! Shared data has no limit and no delete, so there is never a key per token: a record's tag names a *set*, one value
//! of fixed size that holds [`WAYS`] slots. The slots are shared by all realms of the process, so that the memory stays
//! bounded however many configurations come and go; a record of another realm is occupied space and nothing more.

use crate::record::{Codec, Outline, Tag, outline};
use crate::shared::SharedKey;
use crate::time::UnixMillis;
use crate::verdict::{Judgement, Verdict};

/// Slots in a set.
pub const WAYS: usize = 4;

/// Slots of a set that denials may take, so that unknown users never push out all known ones.
const DENIAL_WAYS: usize = WAYS / 2;

/// The shape of the slots and how to read them.
#[derive(Debug)]
pub struct L1 {
    codec: Codec,
    sets: u32,
    record_bytes: usize,
}

/// What became of a judgement that was to be stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// The set's new value.
    Changed {
        /// The value.
        value: Vec<u8>,
        /// Whether a record that was not over had to go.
        evicted: bool,
    },
    /// A newer judgement stands there already.
    Superseded(Judgement),
    /// It is larger than a slot.
    TooLarge,
}

impl L1 {
    /// Slots for `records` records of `record_bytes` bytes each.
    #[must_use]
    pub fn new(codec: Codec, records: usize, record_bytes: usize) -> Self {
        let sets = u32::try_from(records.div_ceil(WAYS)).unwrap_or(u32::MAX).max(1);
        Self { codec, sets, record_bytes }
    }

    /// The set that holds the record of a tag.
    #[must_use]
    pub fn set_of(&self, tag: Tag) -> SharedKey {
        let [a, b, c, d, ..] = tag.0;
        SharedKey(format!("jwe_gate/{:x}", u32::from_le_bytes([a, b, c, d]) % self.sets))
    }

    /// The judgement on `tag` in this value of its set.
    #[must_use]
    pub fn find(&self, tag: Tag, set: &[u8]) -> Option<Judgement> {
        self.slots(set).find_map(|slot| self.codec.decode(tag, slot))
    }

    /// Puts a judgement into its set.
    #[must_use]
    pub fn store(&self, tag: Tag, judgement: &Judgement, set: &[u8], now: UnixMillis) -> Stored {
        if let Some(known) = self.find(tag, set)
            && known.limits.hard_until > now
            && !judgement.replaces(&known)
        {
            return Stored::Superseded(known);
        }
        let Some(record) = self.codec.encode(tag, judgement, self.record_bytes) else { return Stored::TooLarge };
        let outlines: Vec<Option<Outline>> = (0..WAYS).map(|way| self.slots(set).nth(way).and_then(outline)).collect();
        let (way, evicted) = self.victim(tag, judgement, &outlines, now);
        let mut value = set.to_vec();
        // Also mends a value of another size, written under another configuration.
        value.resize(WAYS * self.record_bytes, 0);
        if let Some(slot) = value.chunks_exact_mut(self.record_bytes).nth(way) {
            slot.copy_from_slice(&record);
        }
        Stored::Changed { value, evicted }
    }

    fn slots<'a>(&self, set: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // A value of another size was written under another configuration: its slots do not lie where ours do.
        let set = if set.len() == WAYS * self.record_bytes { set } else { &[] };
        set.chunks_exact(self.record_bytes)
    }

    /// The way to overwrite, and whether something is lost by it: its own, an empty one, one that is over, the oldest.
    fn victim(&self, tag: Tag, new: &Judgement, ways: &[Option<Outline>], now: UnixMillis) -> (usize, bool) {
        let own = |way: &Option<Outline>| way.is_some_and(|way| way.tag == tag && way.realm == self.codec.realm());
        let free = |way: &Option<Outline>| way.is_none_or(|way| way.hard_until <= now);
        let denials = ways.iter().flatten().filter(|way| !way.admits && way.hard_until > now).count();
        if let Some(way) = ways.iter().position(own) {
            return (way, false);
        }
        let crowded = new.verdict != Verdict::Allow && denials >= DENIAL_WAYS;
        if let Some(way) = ways.iter().position(free)
            && !crowded
        {
            return (way, false);
        }
        let candidates = ways.iter().enumerate().filter_map(|(way, outline)| Some((way, (*outline)?)));
        let oldest = candidates.filter(|(_, outline)| !crowded || !outline.admits).min_by_key(|(_, way)| way.as_of);
        (oldest.map_or(0, |(way, _)| way), true)
    }
}

#[cfg(test)]
mod tests;
