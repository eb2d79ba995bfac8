//! The world of a test: workers, what they share, the clients before them and the upstreams behind them.

mod calls;
mod inspect;
mod invoke;
mod nginx;
mod requests;
mod roots;
mod time;

use std::fmt;

use wasmtime::{Module, Store};

use crate::host::Host;
use crate::ids::{At, VmId};
use crate::profile::Isolation;
use crate::setup::Setup;
use crate::{HostError, engine};

/// A proxy process for one test, or several tests in a row. See the crate's documentation for an example.
pub struct World {
    store: Store<Host>,
    setup: Setup,
    module: Module,
    workers: Vec<Worker>,
    roots: Vec<Root>,
    fuel_used: u64,
}

/// A place for one VM at a time.
struct Worker {
    module: Module,
    vm_id: String,
    instance: Option<usize>,
}

/// A configured filter.
struct Root {
    worker: VmId,
    name: String,
    configuration: Vec<u8>,
    at: At,
    /// A newer configuration has taken its place; it ends with its last request.
    retired: bool,
    ended: bool,
}

impl World {
    /// A world with the default settings.
    ///
    /// # Errors
    ///
    /// When wasmtime cannot be set up, or the module does not compile.
    pub fn new(wasm: &[u8]) -> Result<Self, HostError> {
        Setup::new().build(wasm)
    }

    /// Settings to make a world with.
    pub fn setup() -> Setup {
        Setup::new()
    }

    pub(crate) fn with(setup: Setup, wasm: &[u8]) -> Result<Self, HostError> {
        let module = engine::compile(wasm)?;
        let store = Store::new(engine::engine()?, Host::new(&setup));
        Ok(Self { store, setup, module, workers: Vec::new(), roots: Vec::new(), fuel_used: 0 })
    }

    /// Adds a worker. Its VM starts with its first configuration.
    pub fn add_vm(&mut self) -> VmId {
        self.add_worker(self.module.clone(), self.setup.vm_id.clone())
    }

    /// Adds a worker that runs another module, or has another `vm_id`: such as after a swap of the code.
    ///
    /// # Errors
    ///
    /// When the module does not compile.
    pub fn add_vm_of(&mut self, wasm: &[u8], vm_id: &str) -> Result<VmId, HostError> {
        Ok(self.add_worker(engine::compile(wasm)?, vm_id.to_owned()))
    }

    fn add_worker(&mut self, module: Module, vm_id: String) -> VmId {
        self.workers.push(Worker { module, vm_id, instance: None });
        VmId(self.workers.len() - 1)
    }

    fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    fn failed(&self, instance: usize) -> bool {
        self.store.data().instances.get(instance).is_none_or(|instance| instance.failed)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now_ms", &self.now_ms())
            .field("workers", &self.workers.len())
            .field("requests", &self.store.data().streams.len())
            .finish_non_exhaustive()
    }
}
