//! What a test can ask a world about.

use std::collections::BTreeMap;

use super::World;
use crate::abi::Level;
use crate::ids::VmId;
use crate::report::{LogLine, Misuse, Trap};
use crate::shared::SharedSize;

impl World {
    /// Everything that was logged, canaries included.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.store.data().log
    }

    /// The texts that were logged at a level or above, outside canaries.
    #[must_use]
    pub fn log_texts(&self, level: Level) -> Vec<&str> {
        let lines = self.log().iter().filter(|line| !line.canary && line.level >= level);
        lines.map(|line| line.text.as_str()).collect()
    }

    /// Forgets what was logged.
    pub fn clear_log(&mut self) {
        self.host().log.clear();
    }

    /// The callbacks that did not come back.
    #[must_use]
    pub fn traps(&self) -> &[Trap] {
        &self.store.data().traps
    }

    /// What a correct filter would not have done.
    #[must_use]
    pub fn misuses(&self) -> &[Misuse] {
        &self.store.data().misuses
    }

    /// How often each host function was called, outside canaries.
    #[must_use]
    pub fn hostcalls(&self) -> &BTreeMap<String, u64> {
        &self.store.data().counts
    }

    /// Forgets the calls counted so far and the work measured so far.
    pub fn reset_counts(&mut self) {
        self.host().counts.clear();
        self.fuel_used = 0;
    }

    /// The work that all callbacks did: repeatable, about one unit an instruction, host functions not included.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.fuel_used
    }

    /// How much shared data there is.
    #[must_use]
    pub fn shared_size(&self) -> SharedSize {
        if self.setup.profile.nginx().is_some() {
            return self.store.data().zones.size();
        }
        self.store.data().shared.size()
    }

    /// The keys of the world's own `vm_id`.
    #[must_use]
    pub fn shared_keys(&self) -> Vec<Vec<u8>> {
        if self.setup.profile.nginx().is_some() {
            return self.store.data().zones.keys();
        }
        self.store.data().shared.keys(&self.setup.vm_id)
    }

    /// A value under the world's own `vm_id`.
    #[must_use]
    pub fn shared_data(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        if self.setup.profile.nginx().is_some() {
            return self.store.data().zones.peek(key.as_ref());
        }
        self.store.data().shared.get(&self.setup.vm_id, key.as_ref()).map(|(value, _)| value)
    }

    /// Sets a value under the world's own `vm_id`, as a foreign or a broken writer would.
    pub fn set_shared_data(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        if self.setup.profile.nginx().is_some() {
            return self.host().zones.force(&key.into(), value.into());
        }
        let vm_id = self.setup.vm_id.clone();
        // Without a condition there is nothing that could mismatch.
        self.host().shared.set(&vm_id, key.into(), value.into(), 0).ok();
    }

    /// How many queues have ever been registered. A proxy forgets none of them.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.store.data().queues.count()
    }

    /// How many messages lie in a queue.
    #[must_use]
    pub fn queue_depth(&self, name: impl AsRef<[u8]>) -> usize {
        self.store.data().queues.depth(name.as_ref())
    }

    /// The value of a counter or gauge; `None` if nobody defined it.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.store.data().metrics.value(name)
    }

    /// The samples of a histogram.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        self.store.data().metrics.samples(name)
    }

    /// The names of all metrics.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        self.store.data().metrics.names()
    }

    /// Whether the VM of a worker has failed. One that was never started has not.
    #[must_use]
    pub fn has_failed(&self, vm: VmId) -> bool {
        let instance = self.workers.get(vm.0).and_then(|worker| worker.instance);
        instance.is_some_and(|instance| self.failed(instance))
    }

    /// How much memory the VM of a worker has, in bytes.
    #[must_use]
    pub fn memory_size(&self, vm: VmId) -> usize {
        let instance = self.workers.get(vm.0).and_then(|worker| worker.instance);
        let memory = instance.and_then(|instance| self.store.data().instances.get(instance)?.memory);
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }
}
