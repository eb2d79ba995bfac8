//! Shared data: what all workers of a proxy process see, changed by compare-and-swap.
//!
//! It survives a swap of the filter and has neither a limit nor a delete, so the gate uses a fixed number of keys. Other
//! versions of the filter, and other filters, write there too: whatever is read may be anything.

/// A key of shared data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedKey(pub String);

/// A queue of messages that wakes the worker that it belongs to, as the proxy numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId(pub u32);

/// What a value looked like when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cas {
    /// There was none.
    Absent,
    /// It had this number.
    Version(u32),
}

/// The proxy's shared data, as far as the gate uses it.
pub trait SharedData {
    /// A value, and what [`SharedData::put`] needs to replace just that value.
    fn get(&self, key: &SharedKey) -> (Option<Vec<u8>>, Cas);

    /// Replaces the value that was read. Returns whether it has: not if another worker was there first.
    fn put(&self, key: &SharedKey, value: &[u8], cas: Cas) -> bool;

    /// The queue whose messages come back as [`Event::QueueMessages`](crate::gate::Event::QueueMessages), registered
    /// when it is first asked for; `None` where the proxy gives none.
    fn queue(&self) -> Option<QueueId>;
}

/// What is to become of a value.
#[derive(Debug)]
pub enum Change<T> {
    /// It stays as it is.
    Keep(T),
    /// It is replaced.
    Replace(Vec<u8>, T),
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// What came of it; `None` when other workers were there first each time.
    pub outcome: Option<T>,
    /// How often another worker was there first.
    pub conflicts: u64,
}

/// How often a change is tried against other workers.
const MAX_TRIES: u64 = 10;

/// Changes a value: reads it (empty when there is none), decides, writes, and does so again when another worker has
/// changed it in between.
pub fn change<T>(shared: &dyn SharedData, key: &SharedKey, mut decide: impl FnMut(&[u8]) -> Change<T>) -> Changed<T> {
    for conflicts in 0..MAX_TRIES {
        let (value, cas) = shared.get(key);
        match decide(value.as_deref().unwrap_or_default()) {
            Change::Keep(outcome) => return Changed { outcome: Some(outcome), conflicts },
            Change::Replace(value, outcome) => {
                if shared.put(key, &value, cas) {
                    return Changed { outcome: Some(outcome), conflicts };
                }
            }
        }
    }
    Changed { outcome: None, conflicts: MAX_TRIES }
}
