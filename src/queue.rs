//! The queue that wakes a root context.

use std::cell::OnceCell;

use jwe_gate_core::queues::{self, QueueName};
use jwe_gate_core::shared::{Change, QueueId, SharedData, change};

use crate::host;

/// A queue of one's own, registered when it is needed first: configuration also runs in VMs that are dropped, and a queue
/// that was registered there would take messages for ever. Its name goes to somebody else afterwards.
#[derive(Default)]
pub(crate) struct WakeQueue(OnceCell<Option<Held>>);

struct Held {
    name: QueueName,
    queue: QueueId,
}

impl WakeQueue {
    /// Its number; nothing if there is none to be had.
    pub(crate) fn id(&self, shared: &dyn SharedData) -> Option<QueueId> {
        self.0.get_or_init(|| register(shared)).as_ref().map(|held| held.queue)
    }

    /// Lets another root context have the name.
    pub(crate) fn give_back(&self, shared: &dyn SharedData) {
        if let Some(Some(held)) = self.0.get() {
            change(shared, &queues::key(), |value| Change::Replace(queues::give_back(value, held.name), ()));
        }
    }
}

fn register(shared: &dyn SharedData) -> Option<Held> {
    let taken = change(shared, &queues::key(), |value| match queues::take(value) {
        Some((value, name)) => Change::Replace(value, Some(name)),
        None => Change::Keep(None),
    });
    let name = taken.outcome.flatten()?;
    let queue = host::register_queue(&name.queue())?;
    // What was meant for whoever had the name before.
    host::drain(queue.0);
    Some(Held { name, queue })
}
