//! The state of the process that the VMs live in. It is the data of the one wasmtime store that holds them all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wasmtime::{Memory, TypedFunc};

use crate::abi::Level;
use crate::clock::{Chance, Clock};
use crate::headers::Headers;
use crate::ids::{At, RootId, VmId};
use crate::metrics::{MetricNumbers, Metrics};
use crate::profile::Profile;
use crate::report::{Call, Cluster, LogLine, Misuse, MisuseKind, Reply, Trap};
use crate::shared::{Queues, SharedData};
use crate::stream::Stream;
use crate::zones::Zones;
use crate::{RequestId, Setup};

/// Envoy numbers callouts in steps, for it keeps their kind in the lowest bits.
pub(crate) const CALL_STEP: u32 = 4;

/// Everything outside the sandboxes.
pub(crate) struct Host {
    pub(crate) profile: Profile,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) log_level: Level,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    pub(crate) shared: SharedData,
    /// Shared data where this is nginx.
    pub(crate) zones: Zones,
    pub(crate) queues: Queues,
    pub(crate) metrics: Metrics,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// Headers that stay as they are whatever a filter asks for.
    pub(crate) fixed: BTreeSet<Vec<u8>>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) calls: Vec<OpenCall>,
    pub(crate) wakeups: VecDeque<Wakeup>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) traps: Vec<Trap>,
    pub(crate) misuses: Vec<Misuse>,
    pub(crate) counts: BTreeMap<String, u64>,
    /// The callback that is running.
    pub(crate) active: Option<Active>,
}

/// A callback that is running: for which context, and for which it acts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    pub(crate) at: At,
    /// Set by `proxy_set_effective_context`; zero is none.
    pub(crate) effective: u32,
}

/// One VM. A reloaded VM is another one.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of one another")]
pub(crate) struct Instance {
    pub(crate) worker: VmId,
    pub(crate) canary: bool,
    pub(crate) vm_id: String,
    /// The module's side, once it is instantiated.
    pub(crate) wasm: Option<wasmtime::Instance>,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    pub(crate) failed: bool,
    /// It took the whole worker with it.
    pub(crate) crashed: bool,
    /// It runs one request and nothing else.
    pub(crate) of_one_request: bool,
    pub(crate) contexts: BTreeMap<u32, Context>,
    pub(crate) metrics: MetricNumbers,
    /// What a callback asked for that happens only after it has returned.
    pub(crate) actions: VecDeque<Action>,
    /// A reply was sent during this callback, so what it was called for does not go on.
    pub(crate) stopped: bool,
    next_context: u32,
    pub(crate) next_call: u32,
}

/// A context in a VM.
#[derive(Debug)]
pub(crate) enum Context {
    Root(RootContext),
    Stream { request: RequestId, root: u32 },
}

/// A root context.
#[derive(Debug)]
pub(crate) struct RootContext {
    pub(crate) root: Option<RootId>,
    pub(crate) name: String,
    /// Readable only while the context is being created and configured.
    pub(crate) configuration: Option<Vec<u8>>,
    pub(crate) tick: Option<Tick>,
    /// Timers that traps have left behind: nginx keeps them.
    pub(crate) old_ticks: Vec<Tick>,
    /// The answer to a callout, while the filter is being told about it.
    pub(crate) answer: Option<(Headers, Vec<u8>)>,
    /// The body of that answer broke off.
    pub(crate) cut_off: bool,
    /// It said that it was not done yet.
    pub(crate) lingering: bool,
}

/// A timer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    pub(crate) period_ms: u64,
    pub(crate) due_ms: u64,
}

/// A message lies in a queue and its owner has not been told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wakeup {
    pub(crate) owner: At,
    pub(crate) queue: u32,
}

/// A callout, open or over.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) call: Call,
    /// The root context that gets the answer.
    pub(crate) root: At,
    /// The context that made it, which gets the answer in nginx.
    pub(crate) caller: At,
    /// It fails as soon as the running callback has returned.
    pub(crate) doomed: bool,
    pub(crate) token: u32,
    pub(crate) due_ms: Option<u64>,
    pub(crate) open: bool,
}

/// What happens once a callback has returned.
#[derive(Debug)]
pub(crate) enum Action {
    DeleteRoot(u32),
    Reply(RequestId, Reply),
    Reset(RequestId),
    ResumeRequest(RequestId),
    ResumeResponse(RequestId),
}

impl Host {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            profile: setup.profile.clone(),
            environment: setup.environment.clone(),
            vm_configuration: setup.vm_configuration.clone(),
            log_level: setup.log_level,
            clock: Clock::starting_at(setup.start_ms),
            chance: Chance::seeded(setup.seed),
            shared: SharedData::default(),
            zones: Zones::default(),
            queues: Queues::default(),
            metrics: Metrics::default(),
            clusters: BTreeMap::new(),
            fixed: BTreeSet::new(),
            instances: Vec::new(),
            streams: Vec::new(),
            calls: Vec::new(),
            wakeups: VecDeque::new(),
            log: Vec::new(),
            traps: Vec::new(),
            misuses: Vec::new(),
            counts: BTreeMap::new(),
            active: None,
        }
    }

    pub(crate) fn instance(&mut self, at: At) -> Option<&mut Instance> {
        self.instances.get_mut(at.instance)
    }

    pub(crate) fn context(&mut self, at: At) -> Option<&mut Context> {
        self.instance(at)?.contexts.get_mut(&at.context)
    }

    pub(crate) fn root_context(&mut self, at: At) -> Option<&mut RootContext> {
        match self.context(at)? {
            Context::Root(root) => Some(root),
            Context::Stream { .. } => None,
        }
    }

    pub(crate) fn stream(&mut self, request: RequestId) -> Option<&mut Stream> {
        self.streams.get_mut(request.0)
    }

    pub(crate) fn misuse(&mut self, request: Option<RequestId>, kind: MisuseKind) {
        self.misuses.push(Misuse { request, kind });
    }

    /// The context for which the running callback acts: the effective one while it exists, else its own.
    pub(crate) fn acting(&mut self) -> Option<At> {
        let Active { at, effective } = self.active?;
        let chosen = At { context: effective, ..at };
        let chosen_exists = effective != 0 && self.context(chosen).is_some();
        Some(if chosen_exists { chosen } else { at })
    }

    /// The root context above the acting one.
    pub(crate) fn acting_root(&mut self) -> Option<At> {
        let at = self.acting()?;
        match self.context(at) {
            Some(Context::Stream { root, .. }) => Some(At { context: *root, ..at }),
            _ => Some(at),
        }
    }

    /// The request of the acting context; root contexts have none.
    pub(crate) fn acting_request(&mut self) -> Option<RequestId> {
        let at = self.acting()?;
        match self.context(at)? {
            Context::Stream { request, .. } => Some(*request),
            Context::Root(_) => None,
        }
    }

    pub(crate) fn acting_stream(&mut self) -> Option<&mut Stream> {
        let request = self.acting_request()?;
        self.stream(request)
    }

    /// Something that happens after the running callback.
    pub(crate) fn defer(&mut self, action: Action) {
        if let Some(instance) = self.active.and_then(|active| self.instances.get_mut(active.at.instance)) {
            instance.actions.push_back(action);
        }
    }
}

impl Instance {
    pub(crate) fn new(worker: VmId, canary: bool, vm_id: String) -> Self {
        Self {
            worker,
            canary,
            vm_id,
            wasm: None,
            memory: None,
            allocate: None,
            failed: false,
            crashed: false,
            of_one_request: false,
            contexts: BTreeMap::new(),
            metrics: MetricNumbers::default(),
            actions: VecDeque::new(),
            stopped: false,
            next_context: 1,
            next_call: CALL_STEP,
        }
    }

    /// Context numbers are never used twice in one VM.
    pub(crate) fn add_context(&mut self, context: Context) -> u32 {
        let number = self.next_context;
        self.next_context += 1;
        self.contexts.insert(number, context);
        number
    }
}
