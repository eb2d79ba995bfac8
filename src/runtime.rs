//! One configuration in one worker: the gate, and what the adapter keeps for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jwe_gate_core::capabilities::Capabilities;
use jwe_gate_core::gate::{Admission, CalloutId, ContextId, Effects, Event, Gate};
use jwe_gate_core::metrics::{Gauge, Metric};
use jwe_gate_core::time::UnixMillis;

use crate::host::{self, CurrentRequest, Shared};

/// A runtime, shared by the root context and its requests.
pub(crate) type SharedRuntime = Rc<RefCell<Runtime>>;

/// The gate and what belongs to it. State is kept here and nowhere global: two configurations may share a VM.
pub(crate) struct Runtime {
    gate: Gate,
    /// The root context, from which callouts are made.
    pub(crate) root: u32,
    pub(crate) capabilities: Capabilities,
    /// Whether requests are remembered until they end: for their replies, or as the host numbers root contexts like requests.
    pub(crate) keeps_requests: bool,
    /// The time of the last event that depended on it.
    now: UnixMillis,
    /// The host's numbers of callouts that have not ended.
    pub(crate) callouts: BTreeMap<u32, InFlight>,
    /// What it shares with other workers, and the queue that wakes it.
    pub(crate) shared: Shared,
    /// The list of effects that was used last, empty: each request needs one.
    pub(crate) effects: Effects,
    counters: BTreeMap<Metric, u32>,
    gauges: BTreeMap<Gauge, u32>,
}

/// A callout that has not ended.
pub(crate) struct InFlight {
    pub(crate) callout: CalloutId,
    /// The request that made it, where each makes its own.
    pub(crate) request: Option<u32>,
}

impl Runtime {
    pub(crate) fn new(gate: Gate, root: u32, capabilities: Capabilities) -> Self {
        let keeps_requests = gate.watches_responses() || !capabilities.acts_on_others;
        Self {
            gate,
            root,
            capabilities,
            keeps_requests,
            now: UnixMillis(0),
            callouts: BTreeMap::new(),
            shared: Shared::new(capabilities.acts_on_others, capabilities.absent_cas),
            effects: Effects::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
        }
    }

    /// Lets the gate admit a request at once, if it can.
    #[inline]
    pub(crate) fn admit_known(&mut self, context: ContextId, headers: &CurrentRequest) -> Option<Admission> {
        self.now = host::now();
        self.gate.admit_known(self.now, context, headers)
    }

    /// Lets the gate handle an event.
    pub(crate) fn handle(&mut self, event: Event<'_>) -> Effects {
        // Of a request the time has just been asked for.
        if event.is_timed() && !matches!(event, Event::RequestHeaders { .. }) {
            self.now = host::now();
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.gate.handle(self.now, event, &self.shared, &mut effects);
        effects
    }

    /// Forgets the callouts of a request that is over: the host forgets them too.
    pub(crate) fn forget_callouts(&mut self, request: u32) {
        self.callouts.retain(|_, in_flight| in_flight.request != Some(request));
    }

    /// Whether the gate wants to see the headers of replies.
    pub(crate) fn watches_responses(&self) -> bool {
        self.gate.watches_responses()
    }

    /// Whether the gate wants this trailer of a request removed.
    pub(crate) fn refuses_trailer(&self, name: &[u8]) -> bool {
        self.gate.refuses_trailer(name)
    }

    /// Tells the host what stands as it stands.
    pub(crate) fn show_gauges(&mut self) {
        if !self.watches_responses() {
            return;
        }
        for (gauge, value) in self.gate.gauges(host::now()) {
            let known = self.gauges.get(&gauge).copied();
            let Some(id) = known.or_else(|| host::gauge(gauge.name())) else { continue };
            self.gauges.insert(gauge, id);
            host::record(id, value);
        }
    }

    /// Tells the host what has been counted.
    pub(crate) fn flush_counters(&mut self) {
        for (metric, amount) in self.gate.counters().take() {
            let known = self.counters.get(&metric).copied();
            let Some(counter) = known.or_else(|| host::counter(&metric.name())) else { continue };
            self.counters.insert(metric, counter);
            host::count(counter, amount);
        }
    }
}
