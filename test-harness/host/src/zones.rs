//! Shared data as nginx has it: zones of fixed size, in which 32 bits of a key are all that is compared.

use std::collections::BTreeMap;

use crate::abi::Status;
use crate::profile::Zone;
use crate::shared::SharedSize;

/// The zones of a process.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    entries: BTreeMap<Slot, Entry>,
    clock: u32,
    /// What another worker is writing while the next value is read.
    pub(crate) tearing: Option<Vec<u8>>,
}

/// A zone, by the prefix that leads to it, and the checksum of a key.
type Slot = (Vec<u8>, u32);

#[derive(Debug)]
struct Entry {
    /// Kept for tests alone: nginx does not look at it.
    key: Vec<u8>,
    value: Vec<u8>,
    cas: u32,
    used: u32,
}

/// Why a value could not be written.
pub(crate) enum Unwritten {
    Mismatch,
    /// The worker is brought down.
    Fatal(&'static str),
}

impl From<Unwritten> for crate::guest::Halt {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Mismatch => Self::Status(Status::CasMismatch),
            Unwritten::Fatal(cause) => Self::Trap(wasmtime::Error::msg(cause)),
        }
    }
}

impl Zones {
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.clock += 1;
        let entry = self.entries.get_mut(&slot(key))?;
        entry.used = self.clock;
        let mut value = entry.value.clone();
        if let Some(newer) = self.tearing.take() {
            let half = value.len() / 2;
            value.iter_mut().zip(newer).take(half).for_each(|(old, new)| *old = new);
        }
        Some((value, entry.cas))
    }

    /// Sets a value. A `cas` of zero means that there must be none, any other that it must be the entry's own.
    pub(crate) fn set(&mut self, zone: Zone, key: &[u8], value: Vec<u8>, cas: u32) -> Result<(), Unwritten> {
        let slot = slot(key);
        let present = self.entries.get(&slot);
        if present.map_or(0, |entry| entry.cas) != cas {
            return Err(Unwritten::Mismatch);
        }
        let before = present.map(|entry| entry.value.len());
        self.make_room(zone, &slot, before, value.len())?;
        self.clock += 1;
        let entry = Entry { key: key.to_vec(), value, cas: self.clock, used: self.clock };
        self.entries.insert(slot, entry);
        Ok(())
    }

    fn make_room(&mut self, zone: Zone, slot: &Slot, before: Option<usize>, size: usize) -> Result<(), Unwritten> {
        if size > zone.bytes {
            return Err(Unwritten::Fatal("the value is larger than its zone"));
        }
        while self.used(&slot.0) - before.unwrap_or_default() + size > zone.bytes {
            if before.is_some() {
                return Err(Unwritten::Fatal("a value grew in a full zone"));
            }
            let oldest =
                self.entries.iter().filter(|((name, _), _)| *name == slot.0).min_by_key(|(_, entry)| entry.used);
            match oldest.map(|(slot, _)| slot.clone()).filter(|_| zone.evicts) {
                Some(oldest) => drop(self.entries.remove(&oldest)),
                None => return Err(Unwritten::Fatal("the zone is full")),
            }
        }
        Ok(())
    }

    fn used(&self, name: &[u8]) -> usize {
        self.entries.iter().filter(|((zone, _), _)| zone == name).map(|(_, entry)| entry.value.len()).sum()
    }

    /// Writes a value past all rules.
    pub(crate) fn force(&mut self, key: &[u8], value: Vec<u8>) {
        self.clock += 1;
        self.entries.insert(slot(key), Entry { key: key.to_vec(), value, cas: self.clock, used: self.clock });
    }

    pub(crate) fn peek(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(&slot(key)).map(|entry| entry.value.clone())
    }

    pub(crate) fn size(&self) -> SharedSize {
        let bytes = |entry: &Entry| entry.key.len() + entry.value.len();
        SharedSize { keys: self.entries.len(), bytes: self.entries.values().map(bytes).sum() }
    }

    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.entries.values().map(|entry| entry.key.clone()).collect()
    }

    /// A reload of the configuration begins with empty zones.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

fn slot(key: &[u8]) -> Slot {
    let zone = key.split(|byte| *byte == b'/').next().filter(|zone| zone.len() < key.len());
    (zone.unwrap_or_default().to_vec(), crc32fast::hash(key))
}
