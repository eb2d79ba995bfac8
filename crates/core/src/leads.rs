//! Leads: who is looking somebody up right now, so that one worker of a process asks and the others follow it.
//!
//! Like records, leads stand in a fixed number of slots of shared data, [`WAYS`] to a set. A lead decides nothing: what a
//! lookup said is read from L1 alone. So losing one, or finding no slot for it, costs a second lookup and no more.
//!
//! ```text
//! offset 0   layout, 1 byte                     44  number of the lead, 8 bytes
//!        1   number of the leader, 1 byte       52  incarnation of the leader, 8 bytes
//!        2   nothing, 2 bytes                   60  when it is over, 8 bytes, milliseconds
//!        4   realm, 16 bytes                    68  followers, a bit for each worker, 32 bytes
//!        20  generation, 8 bytes
//!        28  tag of the key, 16 bytes
//! ```
//! Numbers are little-endian. What has another layout, and what is over, is an empty slot.

use std::time::Duration;

use crate::record::{Generation, Realm, Tag};
use crate::roster::{Incarnation, WORKERS, WorkerNumber};
use crate::shared::SharedKey;
use crate::time::UnixMillis;

/// Slots in a set.
pub const WAYS: usize = 8;

const LAYOUT: u8 = 1;
const BYTES: usize = 100;
const FOLLOWERS: usize = WORKERS / 8;

/// No lead lasts longer, whatever its slot says: the longest timeout of a lookup is a minute.
const LONGEST: Duration = Duration::from_secs(65);

/// Names a lead: no two have the same, and nobody can guess one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeadNumber(pub u64);

/// That a worker is looking somebody up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Its name.
    pub number: LeadNumber,
    /// Who leads.
    pub worker: WorkerNumber,
    /// Which holder of that number.
    pub incarnation: Incarnation,
    /// When the lookup has certainly come to an end.
    pub until: UnixMillis,
    /// Who is to be woken then.
    pub followers: Followers,
}

/// A set of workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followers([u8; FOLLOWERS]);

impl Followers {
    /// Adds a worker. Returns whether it is new.
    pub fn insert(&mut self, WorkerNumber(number): WorkerNumber) -> bool {
        let Some(byte) = self.0.get_mut(usize::from(number) / 8) else { return false };
        let before = *byte;
        *byte |= 1 << (number % 8);
        *byte != before
    }

    /// The workers.
    pub fn iter(&self) -> impl Iterator<Item = WorkerNumber> {
        let is_set =
            |number: &u8| self.0.get(usize::from(*number) / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1);
        (0..=u8::MAX).filter(is_set).map(WorkerNumber)
    }
}

/// The leads of one realm and generation.
#[derive(Debug)]
pub struct Leads {
    realm: Realm,
    generation: Generation,
    sets: u32,
}

impl Leads {
    /// Slots for `lookups` lookups at a time, and as many again so that sets are rarely full.
    #[must_use]
    pub fn new(realm: Realm, generation: Generation, lookups: usize) -> Self {
        let sets = u32::try_from((2 * lookups).div_ceil(WAYS)).unwrap_or(u32::MAX).max(1);
        Self { realm, generation, sets }
    }

    /// The set that holds the lead of a tag.
    #[must_use]
    pub fn set_of(&self, tag: Tag) -> SharedKey {
        // Not the bytes that choose the set of L1.
        let [.., a, b, c, d] = tag.0;
        SharedKey(format!("jwe_gate/lead/{:x}", u32::from_le_bytes([a, b, c, d]) % self.sets))
    }

    /// Who is looking this up, as this value of the set says.
    #[must_use]
    pub fn find(&self, tag: Tag, set: &[u8], now: UnixMillis) -> Option<Lead> {
        slots(set).filter(|slot| self.is_about(tag, slot)).find_map(|slot| decode(slot, now))
    }

    /// The value of the set with this lead, in place of any other about the same; `None` when the set is full.
    #[must_use]
    pub fn put(&self, tag: Tag, lead: &Lead, set: &[u8], now: UnixMillis) -> Option<Vec<u8>> {
        let own = slots(set).position(|slot| self.is_about(tag, slot));
        let free = || (0..WAYS).find(|way| slots(set).nth(*way).is_none_or(|slot| decode(slot, now).is_none()));
        let way = own.or_else(free)?;
        Some(replaced(set, way, &self.encode(tag, lead)))
    }

    /// The value of the set without this lead, and who followed it; `None` when it is not there.
    #[must_use]
    pub fn remove(&self, tag: Tag, number: LeadNumber, set: &[u8], now: UnixMillis) -> Option<(Vec<u8>, Followers)> {
        let lead = self.find(tag, set, now).filter(|lead| lead.number == number)?;
        let way = slots(set).position(|slot| self.is_about(tag, slot))?;
        Some((replaced(set, way, &[0; BYTES]), lead.followers))
    }

    fn is_about(&self, tag: Tag, slot: &[u8]) -> bool {
        slot.get(4..44) == Some(&self.identity(tag)) && slot.first() == Some(&LAYOUT)
    }

    fn identity(&self, tag: Tag) -> [u8; 40] {
        let mut identity = [0; 40];
        let bytes = self.realm.0.into_iter().chain(self.generation.0).chain(tag.0);
        identity.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        identity
    }

    fn encode(&self, tag: Tag, lead: &Lead) -> Vec<u8> {
        let mut slot = Vec::with_capacity(BYTES);
        slot.extend([LAYOUT, lead.worker.0, 0, 0]);
        slot.extend(self.identity(tag));
        slot.extend(lead.number.0.to_le_bytes());
        slot.extend(lead.incarnation.0.to_le_bytes());
        slot.extend(lead.until.0.to_le_bytes());
        slot.extend(lead.followers.0);
        slot
    }
}

/// A value of another size was written by another version: nothing in it lies where ours does.
fn slots(set: &[u8]) -> impl Iterator<Item = &[u8]> {
    let set = if set.len() == WAYS * BYTES { set } else { &[] };
    set.chunks_exact(BYTES)
}

fn replaced(set: &[u8], way: usize, slot: &[u8]) -> Vec<u8> {
    let mut value = if set.len() == WAYS * BYTES { set.to_vec() } else { vec![0; WAYS * BYTES] };
    if let Some(old) = value.chunks_exact_mut(BYTES).nth(way) {
        old.copy_from_slice(slot);
    }
    value
}

/// The lead in a slot, whoever it is about, unless it is over.
fn decode(slot: &[u8], now: UnixMillis) -> Option<Lead> {
    let ([LAYOUT, worker, ..], rest) = slot.split_first_chunk::<44>()? else { return None };
    let (number, rest) = rest.split_first_chunk()?;
    let (incarnation, rest) = rest.split_first_chunk()?;
    let (until, rest) = rest.split_first_chunk()?;
    let (followers, _) = rest.split_first_chunk()?;
    let until = UnixMillis(u64::from_le_bytes(*until));
    let lead = Lead {
        number: LeadNumber(u64::from_le_bytes(*number)),
        worker: WorkerNumber(*worker),
        incarnation: Incarnation(u64::from_le_bytes(*incarnation)),
        until,
        followers: Followers(*followers),
    };
    (now < until && until <= now.after(LONGEST)).then_some(lead)
}

#[cfg(test)]
mod tests;
