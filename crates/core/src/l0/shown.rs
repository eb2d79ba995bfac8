//! Which token a Cookie header shows: the same client sends the same header again and again.

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
        let set = line.set_of(self.0.len());
        let slots = self.0.get_mut(set).unwrap_or_default();
        let own = slots.iter().position(|slot| slot.is_some_and(|(known, _)| known == line));
        if let Some(moved) = slots.get_mut(..=own.unwrap_or(WAYS - 1)) {
            moved.rotate_right(1);
            if let Some(first) = moved.first_mut() {
                *first = Some((line, token));
            }
        }
    }

    pub(super) fn get(&self, line: L0Key) -> Option<L0Key> {
        let set = self.0.get(line.set_of(self.0.len()))?;
        set.iter().flatten().find(|(known, _)| *known == line).map(|(_, token)| *token)
    }
}
