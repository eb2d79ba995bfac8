//! Calling into a VM, and doing what the callback asked for once it has returned.

use wasmtime::{Func, Trap as EngineTrap, Val};

use super::World;
use crate::host::{Action, Active};
use crate::ids::At;
use crate::report::Trap;

/// How a call into a VM ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    /// The module does not export the callback.
    Absent,
    /// The VM has failed, now or before.
    Failed,
    /// It returned this (nothing is zero); `stopped` when it sent a reply.
    Returned { value: u32, stopped: bool },
}

impl World {
    /// Calls a callback for a context, if it is exported, and then does what it asked for.
    pub(super) fn call(&mut self, at: At, callback: &str, arguments: &[u32]) -> Called {
        if self.failed(at.instance) {
            return Called::Failed;
        }
        let wasm = self.host().instance(at).and_then(|instance| instance.wasm);
        let Some(function) = wasm.and_then(|wasm| wasm.get_func(&mut self.store, callback)) else {
            return Called::Absent;
        };
        let called = self.run(at, callback, function, arguments);
        self.act(at.instance);
        if called == Called::Failed {
            self.let_go_of(at.instance);
        }
        called
    }

    fn run(&mut self, at: At, callback: &str, function: Func, arguments: &[u32]) -> Called {
        let arguments: Vec<_> = arguments.iter().map(|argument| Val::I32(argument.cast_signed())).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];

        let outer = self.host().active.replace(Active { at, effective: 0 });
        let fuel = self.setup.fuel;
        let ended = self.store.set_fuel(fuel).and_then(|()| function.call(&mut self.store, &arguments, &mut results));
        self.fuel_used += fuel.saturating_sub(self.store.get_fuel().unwrap_or(fuel));
        self.host().active = outer;

        let stopped = self.host().instance(at).is_some_and(|instance| std::mem::take(&mut instance.stopped));
        match ended {
            Ok(()) => {
                let value = results.first().and_then(Val::i32).unwrap_or_default().cast_unsigned();
                Called::Returned { value, stopped }
            }
            Err(error) => {
                self.record_trap(at, callback, &error);
                Called::Failed
            }
        }
    }

    pub(super) fn record_trap(&mut self, at: At, callback: &str, error: &wasmtime::Error) {
        let out_of_fuel = error.downcast_ref::<EngineTrap>() == Some(&EngineTrap::OutOfFuel);
        let host = self.host();
        let Some(instance) = host.instance(at) else { return };
        instance.failed = true;
        let (vm, canary) = (instance.worker, instance.canary);
        host.traps.push(Trap {
            vm,
            canary,
            callback: callback.to_owned(),
            context: at.context,
            out_of_fuel,
            message: format!("{error:?}"),
        });
    }

    /// A callback that an action leads to does what is left of the list before its own caller goes on, as in Envoy.
    fn act(&mut self, instance: usize) {
        while let Some(action) = self.next_action(instance) {
            match action {
                Action::DeleteRoot(context) => self.delete_root(At { instance, context }),
                Action::Reply(request, reply) => self.reply(request, reply),
                Action::Reset(request) => self.cut(request),
                Action::ResumeRequest(request) => self.resume_request(request),
                Action::ResumeResponse(request) => self.resume_response(request),
            }
        }
    }

    fn next_action(&mut self, instance: usize) -> Option<Action> {
        self.host().instances.get_mut(instance)?.actions.pop_front()
    }
}
