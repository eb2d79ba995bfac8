//! Which token a Cookie header shows: the same client sends the same header again and again.

use std::ops::Range;

use super::{L0Key, WAYS};

/// Keys of tokens by keys of headers. Bounded, and in sets as the entries are: where each header had but one slot, users whose
/// headers fall on the same would put each other out at each request.
#[derive(Debug)]
pub(super) struct Shown(Vec<Option<(L0Key, L0Key)>>);

impl Shown {
    /// This many slots, a power of two and at least [`WAYS`].
    pub(super) fn new(slots: usize) -> Self {
        Self(vec![None; slots])
    }

    /// Remembers a header. In a full set the one that came first is forgotten.
    pub(super) fn insert(&mut self, line: L0Key, token: L0Key) {
        let set = self.set(line);
        let slots = self.0.get_mut(set).unwrap_or_default();
        let own = slots.iter().position(|slot| slot.is_some_and(|(known, _)| known == line));
        let until = own.map_or(slots.len(), |own| own + 1);
        let moved = slots.get_mut(..until).unwrap_or_default();
        moved.rotate_right(usize::from(until > 0));
        if let Some(first) = moved.first_mut() {
            *first = Some((line, token));
        }
    }

    pub(super) fn get(&self, line: L0Key) -> Option<L0Key> {
        let set = self.0.get(self.set(line))?;
        set.iter().flatten().find(|(known, _)| *known == line).map(|(_, token)| *token)
    }

    fn set(&self, line: L0Key) -> Range<usize> {
        let set = line.0 as usize & (self.0.len() / WAYS - 1);
        set * WAYS..(set + 1) * WAYS
    }
}
