//! L0: what one worker remembers of tokens that it has opened, so that a known token costs one hash.
//!
//! Bounded and set-associative. A key says under which cookie name the token was configured, where it came from, and
//! a 128-bit SipHash of its bytes under a seed that nobody outside knows: nobody can make two tokens meet on purpose.

mod shown;

use std::hash::Hasher;
use std::ops::Range;
use std::rc::Rc;

use siphasher::sip128::{Hasher128, SipHasher13};

use shown::Shown;

use crate::claims::Session;
use crate::identity::{Identity, Proof};
use crate::time::UnixMillis;
use crate::verdict::{Judgement, Verdict};

/// Slots in a set.
const WAYS: usize = 4;

/// Slots of a set that denials may take, so that refused tokens never push out all that are admitted.
const DENIAL_WAYS: usize = WAYS / 2;

/// A longer Cookie header is looked through each time: to look at it twice would cost more than is saved.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// In keys of whole headers, in place of a cookie's name.
const LINE: usize = usize::MAX;

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L0Key(u128);

impl L0Key {
    /// Which of so many slots are its own: a set of [`WAYS`]. There is a power of two of sets.
    fn set_of(self, slots: usize) -> Range<usize> {
        let set = self.0 as usize & (slots / WAYS - 1);
        set * WAYS..(set + 1) * WAYS
    }
}

/// A token that has been opened: whose it is, and what the lookup said.
#[derive(Debug)]
pub struct Known {
    /// The session of the token.
    pub session: Rc<Session>,
    /// What the lookup said of its user.
    pub judgement: Judgement,
    /// What the app and logs are told; no headers for a denial.
    pub identity: Rc<Identity>,
    /// What the app is told with a signature.
    pub proof: Proof,
    /// Which of the rules' conditions are met, one bit for each.
    pub met: u64,
}

/// The entries of one worker.
#[derive(Debug)]
pub struct L0 {
    seed: [u8; 16],
    /// A power of two sets of [`WAYS`] slots each.
    slots: Vec<Slot>,
    shown: Shown,
    /// Counts uses, to tell which slot has not been used for longest.
    clock: u64,
}

#[derive(Debug, Default)]
struct Slot {
    key: Option<L0Key>,
    used: u64,
    known: Option<Rc<Known>>,
}

impl L0 {
    /// Room for `entries` tokens, rounded up to a power of two.
    #[must_use]
    pub fn new(entries: usize, seed: [u8; 16]) -> Self {
        let slots = entries.max(WAYS).next_power_of_two();
        let shown = Shown::new(slots);
        Self { seed, slots: std::iter::repeat_with(Slot::default).take(slots).collect(), shown, clock: 0 }
    }

    /// The key of a token, given as the pieces in which it came.
    pub fn key<'a>(&self, name: usize, source: u8, pieces: impl IntoIterator<Item = &'a [u8]>) -> L0Key {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        hasher.write_usize(name);
        hasher.write_u8(source);
        for piece in pieces {
            hasher.write(piece);
            // No token holds this byte, so pieces cannot be cut in another place.
            hasher.write_u8(0xff);
        }
        L0Key(hasher.finish128().as_u128())
    }

    /// Remembers that this is how a Cookie header reads that shows this token as its session, and no other.
    pub fn note_shown(&mut self, line: &[u8], key: L0Key) {
        if let Some(line) = self.line_key(line) {
            self.shown.insert(line, key);
        }
    }

    /// What is known of the token that a Cookie header shows which reads so, if that is remembered.
    pub fn get_shown(&mut self, line: &[u8]) -> Option<Rc<Known>> {
        let key = self.shown.get(self.line_key(line)?)?;
        self.get(key)
    }

    fn line_key(&self, line: &[u8]) -> Option<L0Key> {
        (line.len() <= MAX_LINE_BYTES).then(|| self.key(LINE, 0, [line]))
    }

    /// What is known of a token.
    pub fn get(&mut self, key: L0Key) -> Option<Rc<Known>> {
        self.clock += 1;
        let clock = self.clock;
        let slot = self.set(key).iter_mut().find(|slot| slot.key == Some(key))?;
        slot.used = clock;
        slot.known.clone()
    }

    /// Remembers a token. Returns whether another one, still of use, was forgotten for it.
    pub fn put(&mut self, key: L0Key, known: Rc<Known>, now: UnixMillis) -> bool {
        self.clock += 1;
        let clock = self.clock;
        let set = self.set(key);
        let own = set.iter().position(|slot| slot.key == Some(key));
        let denials = set.iter().filter(|slot| slot.denies() && !slot.is_over(now)).count();
        let crowded = known.judgement.verdict != Verdict::Allow && denials >= DENIAL_WAYS;
        let free = || set.iter().position(|slot| slot.is_over(now)).filter(|_| !crowded);
        let way = own.or_else(free);
        let evicted = way.is_none();
        let candidates = set.iter().enumerate().filter(|(_, slot)| !crowded || slot.denies());
        let oldest = || candidates.min_by_key(|(_, slot)| slot.used).map_or(0, |(way, _)| way);
        let way = way.unwrap_or_else(oldest);
        if let Some(slot) = set.get_mut(way) {
            *slot = Slot { key: Some(key), used: clock, known: Some(known) };
        }
        evicted
    }

    /// Forgets a token.
    pub fn forget(&mut self, key: L0Key) {
        if let Some(slot) = self.set(key).iter_mut().find(|slot| slot.key == Some(key)) {
            *slot = Slot::default();
        }
    }

    fn set(&mut self, key: L0Key) -> &mut [Slot] {
        let set = key.set_of(self.slots.len());
        self.slots.get_mut(set).unwrap_or_default()
    }
}

impl Slot {
    /// Whether it holds nothing that is of use.
    fn is_over(&self, now: UnixMillis) -> bool {
        self.known.as_ref().is_none_or(|known| known.judgement.limits.hard_until <= now)
    }

    /// Whether it holds a token that is refused.
    fn denies(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.judgement.verdict != Verdict::Allow)
    }
}

#[cfg(test)]
mod tests;
