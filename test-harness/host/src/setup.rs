//! What a world is made of before it begins.

use crate::abi::Level;
use crate::profile::Profile;
use crate::report::FailurePolicy;
use crate::{HostError, World};

/// Settings of a world. Every one has a default.
#[derive(Debug, Clone)]
#[must_use]
pub struct Setup {
    pub(crate) profile: Profile,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) vm_id: String,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) seed: u64,
    pub(crate) start_ms: u64,
    pub(crate) canary: bool,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) fuel: u64,
    pub(crate) log_level: Level,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            profile: Profile::Envoy,
            environment: Vec::new(),
            vm_id: "test".to_owned(),
            vm_configuration: Vec::new(),
            seed: 1,
            start_ms: 1_750_000_000_000,
            canary: true,
            failure_policy: FailurePolicy::FailReload,
            // Some seconds of work: no callback of a filter comes near.
            fuel: 5_000_000_000,
            log_level: Level::Trace,
        }
    }
}

impl Setup {
    /// The settings that need no mention.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which proxy to imitate.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets an environment variable of the VMs.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The `vm_id`, which keeps shared data and queues apart.
    pub fn vm_id(mut self, vm_id: &str) -> Self {
        vm_id.clone_into(&mut self.vm_id);
        self
    }

    /// The configuration of the VM, as opposed to that of a filter in it.
    pub fn vm_configuration(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.vm_configuration = bytes.into();
        self
    }

    /// The seed of all randomness.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What the clock on the wall shows at the beginning, in Unix milliseconds.
    pub fn start_ms(mut self, unix_ms: u64) -> Self {
        self.start_ms = unix_ms;
        self
    }

    /// Whether each configuration is first tried in a VM that is then dropped, as Envoy does. On by default.
    pub fn canary(mut self, canary: bool) -> Self {
        self.canary = canary;
        self
    }

    /// What follows when a VM has failed.
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// How much work one callback may do before it counts as looping; a unit is about one instruction.
    pub fn fuel(mut self, units: u64) -> Self {
        self.fuel = units;
        self
    }

    /// The least important level that is kept, and that the filter is told.
    pub fn log_level(mut self, level: Level) -> Self {
        self.log_level = level;
        self
    }

    /// Makes the world, of a module in binary or in text form.
    ///
    /// # Errors
    ///
    /// When wasmtime cannot be set up, or the module does not compile.
    pub fn build(self, wasm: &[u8]) -> Result<World, HostError> {
        World::with(self, wasm)
    }
}
