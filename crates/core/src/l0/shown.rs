//! Which token a Cookie header shows: the same client sends the same header again and again.

use super::L0Key;

/// Keys of tokens by keys of headers. Bounded: each header has one slot, which belongs to the header that came last.
#[derive(Debug)]
pub(super) struct Shown(Vec<Option<(L0Key, L0Key)>>);

impl Shown {
    /// This many slots, a power of two.
    pub(super) fn new(slots: usize) -> Self {
        Self(vec![None; slots])
    }

    pub(super) fn insert(&mut self, line: L0Key, token: L0Key) {
        let slot = self.slot(line);
        if let Some(slot) = self.0.get_mut(slot) {
            *slot = Some((line, token));
        }
    }

    pub(super) fn get(&self, line: L0Key) -> Option<L0Key> {
        let (known, token) = self.0.get(self.slot(line))?.as_ref()?;
        (*known == line).then_some(*token)
    }

    fn slot(&self, line: L0Key) -> usize {
        line.0 as usize & (self.0.len() - 1)
    }
}
