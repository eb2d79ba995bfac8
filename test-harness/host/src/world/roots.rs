//! Starting VMs, configuring filters in them, replacing configurations, and starting anew after a failure.

use super::invoke::Called;
use super::{Root, World};
use crate::error::{Rejected, RejectionCause};
use crate::host::{Context, Instance, RootContext};
use crate::hostcalls;
use crate::ids::{At, RootId, VmId};
use crate::profile::MAX_CONFIGURATION;
use crate::report::FailurePolicy;

impl World {
    /// Configures a filter on a worker. Filters of other names in the same VM stay; one of the same name is replaced:
    /// it serves the requests that it has and then ends.
    ///
    /// # Errors
    ///
    /// When the filter refuses the configuration or fails over it. What was configured before goes on serving, as long
    /// as configurations are tried out first ([`Setup::canary`](crate::Setup::canary)); else the VM has failed.
    pub fn configure(&mut self, vm: VmId, name: &str, configuration: impl Into<Vec<u8>>) -> Result<RootId, Rejected> {
        let configuration = configuration.into();
        let first_line = self.store.data().log.len();
        self.configure_quietly(vm, name, configuration).map_err(|cause| Rejected {
            cause,
            log: self.store.data().log.iter().skip(first_line).map(|line| line.text.clone()).collect(),
        })
    }

    fn configure_quietly(&mut self, vm: VmId, name: &str, configuration: Vec<u8>) -> Result<RootId, RejectionCause> {
        let is_nginx = self.setup.profile.nginx().is_some();
        if is_nginx && configuration.len() > MAX_CONFIGURATION {
            return Err(RejectionCause::ConfigurationTooLong);
        }
        if self.setup.canary && !is_nginx {
            let canary = self.instantiate(vm, true)?;
            let tried = self.start_root(canary, None, name, &configuration);
            self.drop_instance(canary);
            tried?;
        }
        let instance = self.live_instance(vm)?;
        let id = RootId(self.roots.len());
        let at = self.start_root(instance, Some(id), name, &configuration)?;
        let previous = self.roots.iter().position(|root| root.worker == vm && root.name == name && !root.retired);
        self.roots.push(Root { worker: vm, name: name.to_owned(), configuration, at, retired: false, ended: false });
        if let Some(previous) = previous {
            self.retire(RootId(previous));
        }
        Ok(id)
    }

    /// Takes a filter out of service: it ends once its last request has.
    pub fn retire(&mut self, root: RootId) {
        if let Some(root) = self.roots.get_mut(root.0) {
            root.retired = true;
        }
        self.end_if_idle(root);
    }

    /// Ends the VM of a worker at once, as a trap would, though none is recorded. Its callouts come to nothing, and its
    /// requests stay where they are.
    pub fn kill(&mut self, vm: VmId) {
        let Some(instance) = self.workers.get(vm.0).and_then(|worker| worker.instance) else { return };
        self.drop_instance(instance);
        for call in self.host().calls.iter_mut().filter(|call| call.root.instance == instance) {
            call.open = false;
        }
    }

    /// Whether a filter is still there, in service or with requests to finish.
    #[must_use]
    pub fn is_alive(&self, root: RootId) -> bool {
        self.roots.get(root.0).is_some_and(|root| !root.ended && !self.failed(root.at.instance))
    }

    /// Where a filter is now, after starting it in a new VM if its own has failed and the policy says so.
    pub(super) fn serving(&mut self, id: RootId) -> Option<At> {
        let root = self.roots.get(id.0).filter(|root| !root.ended)?;
        let reload = self.failed(root.at.instance) && self.setup.failure_policy == FailurePolicy::FailReload;
        if !reload {
            return Some(root.at);
        }
        let (worker, name, configuration) = (root.worker, root.name.clone(), root.configuration.clone());
        let restarted =
            self.live_instance(worker).and_then(|instance| self.start_root(instance, Some(id), &name, &configuration));
        let root = self.roots.get_mut(id.0)?;
        let failed = root.at;
        if let Ok(at) = restarted {
            root.at = at;
            self.keep_timers(failed, at);
        }
        self.roots.get(id.0).map(|root| root.at)
    }

    /// The VM of a worker, started if there is none or it has failed.
    fn live_instance(&mut self, vm: VmId) -> Result<usize, RejectionCause> {
        let running = self.workers.get(vm.0).and_then(|worker| worker.instance);
        if let Some(instance) = running.filter(|instance| !self.failed(*instance)) {
            return Ok(instance);
        }
        let instance = self.instantiate(vm, false)?;
        if let Some(worker) = self.workers.get_mut(vm.0) {
            worker.instance = Some(instance);
        }
        Ok(instance)
    }

    pub(super) fn instantiate(&mut self, vm: VmId, canary: bool) -> Result<usize, RejectionCause> {
        let worker = self.workers.get(vm.0).ok_or_else(|| not_instantiated("no such worker"))?;
        let (module, vm_id) = (worker.module.clone(), worker.vm_id.clone());
        let instance = self.host().instances.len();
        self.host().instances.push(Instance::new(vm, canary, vm_id));

        let linked = hostcalls::linker(&module, &self.setup.profile).and_then(|linker| {
            self.store.set_fuel(self.setup.fuel)?;
            linker.instantiate(&mut self.store, &module)
        });
        let wasm = linked.map_err(|error| not_instantiated(format!("{error:?}")))?;
        let memory = wasm.get_memory(&mut self.store, "memory");
        let allocate = ["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .find_map(|name| wasm.get_typed_func(&mut self.store, name).ok());
        if let Some(instance) = self.host().instances.get_mut(instance) {
            (instance.wasm, instance.memory, instance.allocate) = (Some(wasm), memory, allocate);
        }
        self.initialize(instance)?;
        Ok(instance)
    }

    /// A reactor has `_initialize` and perhaps `main` after it; a command has `_start`.
    fn initialize(&mut self, instance: usize) -> Result<(), RejectionCause> {
        let vm = At { instance, context: 0 };
        if self.call(vm, "_initialize", &[]) == Called::Absent {
            self.call(vm, "_start", &[]);
        } else {
            self.call(vm, "main", &[0, 0]);
        }
        self.check(instance)
    }

    pub(super) fn start_root(
        &mut self,
        instance: usize,
        root: Option<RootId>,
        name: &str,
        configuration: &[u8],
    ) -> Result<At, RejectionCause> {
        let context = Context::Root(RootContext {
            root,
            name: name.to_owned(),
            configuration: Some(configuration.to_vec()),
            tick: None,
            old_ticks: Vec::new(),
            answer: None,
            cut_off: false,
            lingering: false,
        });
        let vm_configuration = size(&self.setup.vm_configuration);
        let Some(vm) = self.host().instances.get_mut(instance) else { return Err(not_instantiated("no such VM")) };
        let first = vm.contexts.is_empty();
        let context = vm.add_context(context);
        let at = At { instance, context };

        self.call(at, "proxy_on_context_create", &[context, 0]);
        let starts = first && !self.is_restarted(root);
        if starts && !self.agrees(at, "proxy_on_vm_start", vm_configuration) {
            return Err(self.refuse(instance, RejectionCause::VmStartRefused));
        }
        if !self.agrees(at, "proxy_on_configure", size(configuration)) {
            return Err(self.refuse(instance, RejectionCause::ConfigurationRefused));
        }
        if let Some(root) = self.host().root_context(at) {
            root.configuration = None;
        }
        self.check(instance).map(|()| at)
    }

    /// A callback that is not there agrees; one that fails does not.
    fn agrees(&mut self, at: At, callback: &str, size: u32) -> bool {
        match self.call(at, callback, &[at.context, size]) {
            Called::Absent => true,
            Called::Failed => false,
            Called::Returned { value, .. } => value != 0,
        }
    }

    /// A VM in which a configuration was refused is not used any more.
    fn refuse(&mut self, instance: usize, cause: RejectionCause) -> RejectionCause {
        let cause = self.check(instance).err().unwrap_or(cause);
        self.drop_instance(instance);
        cause
    }

    fn check(&self, instance: usize) -> Result<(), RejectionCause> {
        match self.store.data().traps.last() {
            Some(trap) if self.failed(instance) => Err(RejectionCause::Trapped(trap.clone())),
            _ => Ok(()),
        }
    }

    /// Nothing in this VM is called any more; messages and answers to it get lost.
    fn drop_instance(&mut self, instance: usize) {
        if let Some(instance) = self.host().instances.get_mut(instance) {
            instance.failed = true;
            instance.contexts.clear();
        }
    }

    pub(super) fn end_if_idle(&mut self, id: RootId) {
        let Some(root) = self.roots.get_mut(id.0).filter(|root| root.retired && !root.ended) else { return };
        if self.store.data().streams.iter().any(|stream| stream.root == id && !stream.closed) {
            return;
        }
        root.ended = true;
        let at = root.at;
        if matches!(self.call(at, "proxy_on_done", &[at.context]), Called::Returned { value: 0, .. }) {
            if let Some(root) = self.host().root_context(at) {
                root.lingering = true;
            }
            return;
        }
        self.delete_root(at);
    }

    /// The last that a root context hears. Its callouts end with it.
    pub(super) fn delete_root(&mut self, at: At) {
        self.call(at, "proxy_on_delete", &[at.context]);
        let host = self.host();
        for call in host.calls.iter_mut().filter(|call| call.root == at) {
            call.open = false;
        }
        if let Some(instance) = host.instance(at) {
            instance.contexts.remove(&at.context);
        }
    }
}

fn not_instantiated(cause: impl Into<String>) -> RejectionCause {
    RejectionCause::NotInstantiated(cause.into())
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
