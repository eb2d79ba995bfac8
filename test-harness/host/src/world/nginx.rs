//! What nginx does with requests and workers where Envoy does something else.

use super::World;
use crate::host::{Context, Tick};
use crate::ids::{At, CallId, RequestId, RootId};
use crate::report::{Answer, MisuseKind, Reply};
use crate::stream::{Phase, Stream};

/// Without these exports a reply from the upstream crashes the worker.
const NEEDED_BY_REPLIES: [&str; 2] = ["proxy_on_response_headers", "proxy_on_response_body"];

impl World {
    /// Has the configuration loaded anew: shared data begins empty. The filters are to be configured again.
    pub fn reload(&mut self) {
        self.host().zones.clear();
    }

    /// Lets the next value that is read from shared data be half overwritten by another worker's write of this one.
    pub fn tear_next_read(&mut self, newer: impl Into<Vec<u8>>) {
        self.host().zones.tearing = Some(newer.into());
    }

    /// Leaves one more timer with a filter, as each trap does, first due in so many milliseconds.
    pub fn leave_timer(&mut self, root: RootId, in_ms: u64) {
        let due_ms = self.host().clock.elapsed_ms() + in_ms;
        let at = self.roots.get(root.0).map(|root| root.at);
        if let Some(root) = at.and_then(|at| self.host().root_context(at))
            && let Some(tick) = root.tick
        {
            root.old_ticks.push(Tick { due_ms, ..tick });
        }
    }

    /// A part of the answer to a callout arrives, so that its time begins anew.
    pub fn answer_in_part(&mut self, call: CallId) {
        let elapsed = self.host().clock.elapsed_ms();
        if let Some(call) = self.host().calls.get_mut(call.0).filter(|call| call.open) {
            call.due_ms = (call.call.timeout_ms > 0).then(|| elapsed + call.call.timeout_ms);
        }
    }

    /// Where a request runs: in the VM of its worker, or in one of its own.
    pub(super) fn place(&mut self, root: RootId) -> Option<At> {
        let at = self.serving(root)?;
        if self.setup.profile.nginx().is_none_or(|conf| conf.isolation == super::Isolation::None) {
            return Some(at);
        }
        let root_of = self.roots.get(root.0)?;
        let (vm, name, configuration) = (root_of.worker, root_of.name.clone(), root_of.configuration.clone());
        let instance = self.instantiate(vm, false).ok()?;
        if let Some(own) = self.host().instances.get_mut(instance) {
            own.of_one_request = true;
        }
        self.start_root(instance, Some(root), &name, &configuration).ok()
    }

    /// After a trap, and for one request alone, a filter is configured and no more.
    pub(super) fn is_restarted(&self, root: Option<RootId>) -> bool {
        self.setup.profile.nginx().is_some() && root.is_some_and(|root| root.0 < self.roots.len())
    }

    /// The timers of a VM that trapped go on in the one that takes its place.
    pub(super) fn keep_timers(&mut self, failed: At, restarted: At) {
        if self.setup.profile.nginx().is_none() {
            return;
        }
        let Some(old) = self.host().root_context(failed) else { return };
        let timers: Vec<_> = old.tick.take().into_iter().chain(std::mem::take(&mut old.old_ticks)).collect();
        if let Some(new) = self.host().root_context(restarted) {
            new.old_ticks.extend(timers);
        }
    }

    /// The filter wants a request to wait. Whether it does depends on what comes after the filter, and on whether there
    /// is anything to wait for.
    pub(super) fn waits(&self, request: RequestId) -> bool {
        let Some(conf) = self.setup.profile.nginx() else { return true };
        conf.waits && self.awaits_answer(request)
    }

    fn awaits_answer(&self, request: RequestId) -> bool {
        let host = self.store.data();
        let at = host.streams.get(request.0).map(|stream| stream.at);
        host.calls.iter().any(|call| call.open && Some(call.caller) == at)
    }

    /// Lets callouts fail for which there was nobody to connect to.
    pub(super) fn fail_doomed(&mut self) -> bool {
        let doomed = self.host().calls.iter().find(|call| call.open && call.doomed).map(|call| call.call.id);
        doomed.is_some_and(|call| self.answer(call, Answer::Refused))
    }

    /// Tells whoever made a callout. A request that is not taken further by that goes on.
    pub(super) fn answer_caller(&mut self, caller: At, arguments: [u32; 4]) {
        let request = match self.host().context(caller) {
            Some(Context::Stream { request, .. }) => Some(*request),
            _ => None,
        };
        let [token, headers, size, trailers] = arguments;
        self.call(caller, "proxy_on_http_call_response", &[caller.context, token, headers, size, trailers]);
        if let Some(request) = request
            && !self.awaits_answer(request)
        {
            self.forward(request);
        }
    }

    /// After a trap all requests that wait in this VM go on. A crash of the worker ends them.
    pub(super) fn let_go_of(&mut self, instance: usize) {
        if self.setup.profile.nginx().is_none() {
            return;
        }
        let crashed = self.host().instances.get(instance).is_some_and(|instance| instance.crashed);
        let here = |stream: &Stream| stream.at.instance == instance && !stream.closed;
        let affected = |stream: &Stream| here(stream) && (crashed || stream.phase == Phase::Parked);
        let streams = self.host().streams.iter().enumerate().filter(|(_, stream)| affected(stream));
        let requests: Vec<_> = streams.map(|(index, _)| RequestId(index)).collect();
        for request in requests {
            if crashed { self.finish(request) } else { self.forward(request) }
        }
    }

    /// A request that the configuration sends nowhere.
    pub(super) fn deny(&mut self, request: RequestId) {
        let (headers, body, details) = (crate::Headers::new(), Vec::new(), "denied by the configuration".to_owned());
        self.reply(request, Reply { status: 502, headers, body, grpc_status: None, details });
    }

    /// A module that cannot be asked about replies takes the worker down.
    pub(super) fn survives_replies(&mut self, at: At) -> bool {
        let wasm = self.host().instance(at).and_then(|instance| instance.wasm);
        let (Some(wasm), true) = (wasm, self.setup.profile.nginx().is_some()) else { return true };
        let survives = NEEDED_BY_REPLIES.iter().all(|name| wasm.get_func(&mut self.store, name).is_some());
        if !survives {
            self.host().misuse(None, MisuseKind::CrashedWorker);
            if let Some(instance) = self.host().instance(at) {
                (instance.failed, instance.crashed) = (true, true);
            }
            self.let_go_of(at.instance);
        }
        survives
    }

    /// What nginx answers for a filter that trapped over the headers of a request.
    pub(super) fn status_of_failure(&self) -> u16 {
        if self.setup.profile.nginx().is_some() { 500 } else { 503 }
    }
}
