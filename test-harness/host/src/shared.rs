//! What all VMs of a process share: data under keys with compare-and-swap, and queues. Both are kept apart by `vm_id`.

use std::collections::{BTreeMap, VecDeque};

use crate::abi::Status;
use crate::ids::At;

/// The shared data of a process.
#[derive(Debug, Default)]
pub(crate) struct SharedData {
    entries: BTreeMap<(String, Vec<u8>), Entry>,
    last_cas: u32,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    cas: u32,
}

impl SharedData {
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        let entry = self.entries.get(&(vm_id.to_owned(), key.to_vec()))?;
        Some((entry.value.clone(), entry.cas))
    }

    /// Sets a value. A `cas` of zero always wins; any other must be the entry's own, unless there is no entry.
    pub(crate) fn set(&mut self, vm_id: &str, key: Vec<u8>, value: Vec<u8>, cas: u32) -> Result<(), Status> {
        let key = (vm_id.to_owned(), key);
        if self.entries.get(&key).is_some_and(|entry| cas != 0 && cas != entry.cas) {
            return Err(Status::CasMismatch);
        }
        self.last_cas += 1;
        self.entries.insert(key, Entry { value, cas: self.last_cas });
        Ok(())
    }

    pub(crate) fn keys(&self, vm_id: &str) -> Vec<Vec<u8>> {
        self.entries.keys().filter(|(id, _)| id == vm_id).map(|(_, key)| key.clone()).collect()
    }

    pub(crate) fn size(&self) -> SharedSize {
        let bytes = |((_, key), entry): (&(String, Vec<u8>), &Entry)| key.len() + entry.value.len();
        SharedSize { keys: self.entries.len(), bytes: self.entries.iter().map(bytes).sum() }
    }
}

/// How much shared data there is, over all VM ids: keys and values, without what a map adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedSize {
    /// Number of keys.
    pub keys: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// The shared queues of a process.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    queues: Vec<Queue>,
}

#[derive(Debug)]
struct Queue {
    vm_id: String,
    name: Vec<u8>,
    owner: At,
    messages: VecDeque<Vec<u8>>,
}

impl Queues {
    /// Registers a queue. A name that exists keeps its number and its messages, and changes its owner.
    pub(crate) fn register(&mut self, vm_id: &str, name: &[u8], owner: At) -> u32 {
        if let Some(index) = self.position(vm_id, name) {
            if let Some(queue) = self.queues.get_mut(index) {
                queue.owner = owner;
            }
            return token(index);
        }
        self.queues.push(Queue { vm_id: vm_id.to_owned(), name: name.to_vec(), owner, messages: VecDeque::new() });
        token(self.queues.len() - 1)
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        self.position(vm_id, name).map(token)
    }

    /// Appends a message and says whom to wake.
    pub(crate) fn enqueue(&mut self, token: u32, message: Vec<u8>) -> Result<At, Status> {
        let queue = self.queue(token)?;
        queue.messages.push_back(message);
        Ok(queue.owner)
    }

    pub(crate) fn dequeue(&mut self, token: u32) -> Result<Vec<u8>, Status> {
        self.queue(token)?.messages.pop_front().ok_or(Status::Empty)
    }

    pub(crate) fn count(&self) -> usize {
        self.queues.len()
    }

    /// How many messages lie in a queue that anybody registered under this name.
    pub(crate) fn depth(&self, name: &[u8]) -> usize {
        self.queues.iter().filter(|queue| queue.name == name).map(|queue| queue.messages.len()).sum()
    }

    fn position(&self, vm_id: &str, name: &[u8]) -> Option<usize> {
        self.queues.iter().position(|queue| queue.vm_id == vm_id && queue.name == name)
    }

    fn queue(&mut self, token: u32) -> Result<&mut Queue, Status> {
        let index = usize::try_from(token).ok().and_then(|token| token.checked_sub(1)).ok_or(Status::NotFound)?;
        self.queues.get_mut(index).ok_or(Status::NotFound)
    }
}

/// Zero stands for no queue, so numbers start at one.
fn token(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}
