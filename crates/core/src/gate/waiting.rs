//! Requests that wait for lookups: one lookup per subject at a time, whoever waits for it.

use std::collections::BTreeMap;
use std::rc::Rc;

use jwe_gate_contract::Kind;

use super::decide::Pass;
use super::event::{CalloutId, ContextId};
use crate::claims::Session;
use crate::l0::L0Key;
use crate::time::UnixMillis;
use crate::verdict::Judgement;

/// What a lookup is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LookupKey {
    pub(super) kind: Kind,
    pub(super) key: Rc<str>,
    /// The request that looks up for itself, where requests cannot wait together.
    pub(super) alone: Option<ContextId>,
}

impl LookupKey {
    /// Whether the subject of this session is known.
    pub(super) fn subject(session: &Session) -> Self {
        Self { kind: Kind::Subject, key: Rc::from(session.subject()), alone: None }
    }
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) pass: Pass,
    pub(super) session: Rc<Session>,
    pub(super) l0_key: L0Key,
    /// What to go by if the lookup fails.
    pub(super) fallback: Option<Judgement>,
}

/// A lookup that has not been answered.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) waiters: Vec<Waiter>,
    pub(super) stage: Stage,
}

/// How far a lookup has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has been asked yet.
    Queued,
    /// Asked; the answer must repeat the nonce.
    Asked { nonce: String },
}

/// A callout that has not come to an end.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) keys: Vec<LookupKey>,
    /// When the host must have told how it ended.
    pub(super) overdue: UnixMillis,
}

/// The parked table.
#[derive(Debug)]
pub(super) struct Waiting {
    pending: BTreeMap<LookupKey, Pending>,
    callouts: BTreeMap<CalloutId, InFlight>,
    /// Whose request waits for what.
    contexts: BTreeMap<ContextId, LookupKey>,
    max_requests: usize,
    next_callout: u64,
    /// Whether a wake-up is under way.
    woken: bool,
}

impl Waiting {
    pub(super) fn new(max_requests: usize) -> Self {
        Self {
            pending: BTreeMap::new(),
            callouts: BTreeMap::new(),
            contexts: BTreeMap::new(),
            max_requests,
            next_callout: 0,
            woken: false,
        }
    }

    /// Whether one more request may wait.
    pub(super) fn has_room(&self) -> bool {
        self.contexts.len() < self.max_requests
    }

    /// Whether one more lookup may be under way that nobody waits for.
    pub(super) fn has_room_for_refresh(&self) -> bool {
        self.pending.len() < self.max_requests
    }

    /// Lets a request wait for a lookup, which is begun if it is not under way. Returns whether to ask for a wake-up.
    pub(super) fn wait(&mut self, key: &LookupKey, waiter: Waiter) -> bool {
        self.contexts.insert(waiter.pass.context, key.clone());
        let wake = self.begin(key.clone());
        if let Some(pending) = self.pending.get_mut(key) {
            pending.waiters.push(waiter);
        }
        wake
    }

    /// Begins a lookup if it is not under way. Returns whether to ask for a wake-up.
    pub(super) fn begin(&mut self, key: LookupKey) -> bool {
        let mut new = false;
        self.pending.entry(key).or_insert_with(|| {
            new = true;
            Pending { waiters: Vec::new(), stage: Stage::Queued }
        });
        new && !std::mem::replace(&mut self.woken, true)
    }

    /// Drops a request from the list: acting on one that is over would end the whole worker.
    pub(super) fn forget(&mut self, context: ContextId) {
        let Some(key) = self.contexts.remove(&context) else { return };
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.waiters.retain(|waiter| waiter.pass.context != context);
        }
        if key.alone.is_some() {
            // Nobody will hear of its callout.
            self.pending.remove(&key);
            self.callouts.retain(|_, in_flight| !in_flight.keys.contains(&key));
        }
    }

    /// The lookups that nobody has been asked about, at most `limit`.
    pub(super) fn queued(&mut self, limit: usize) -> Vec<LookupKey> {
        self.woken = false;
        let queued = self.pending.iter().filter(|(_, pending)| pending.stage == Stage::Queued);
        queued.map(|(key, _)| key.clone()).take(limit).collect()
    }

    /// Notes that these lookups travel in one callout, each under its nonce.
    pub(super) fn asked(&mut self, asked: Vec<(LookupKey, String)>, overdue: UnixMillis) -> CalloutId {
        let callout = CalloutId(self.next_callout);
        self.next_callout += 1;
        let mut keys = Vec::with_capacity(asked.len());
        for (key, nonce) in asked {
            if let Some(pending) = self.pending.get_mut(&key) {
                pending.stage = Stage::Asked { nonce };
            }
            keys.push(key);
        }
        self.callouts.insert(callout, InFlight { keys, overdue });
        callout
    }

    /// The lookups of a callout that has come to an end; nothing for one that is unknown.
    pub(super) fn ended(&mut self, callout: CalloutId) -> Option<Vec<LookupKey>> {
        self.callouts.remove(&callout).map(|in_flight| in_flight.keys)
    }

    /// The callouts of which nothing has been heard for too long. A request that waits alone is told by the host itself,
    /// and nobody else may decide about it.
    pub(super) fn overdue(&self, now: UnixMillis) -> Vec<CalloutId> {
        let is_over =
            |in_flight: &InFlight| in_flight.overdue <= now && in_flight.keys.iter().all(|key| key.alone.is_none());
        let overdue = self.callouts.iter().filter(|(_, in_flight)| is_over(in_flight));
        overdue.map(|(callout, _)| *callout).collect()
    }

    /// When the newest of the tokens was issued that wait for a lookup.
    pub(super) fn issued_at(&self, key: &LookupKey) -> Option<UnixMillis> {
        self.pending.get(key)?.waiters.iter().filter_map(|waiter| waiter.session.issued_at()).max()
    }

    /// The nonce under which a lookup was asked.
    pub(super) fn nonce(&self, key: &LookupKey) -> Option<&str> {
        match &self.pending.get(key)?.stage {
            Stage::Asked { nonce } => Some(nonce),
            Stage::Queued => None,
        }
    }

    /// Ends a lookup. Its waiters are the caller's now.
    pub(super) fn finish(&mut self, key: &LookupKey) -> Vec<Waiter> {
        let waiters = self.pending.remove(key).map(|pending| pending.waiters).unwrap_or_default();
        for waiter in &waiters {
            self.contexts.remove(&waiter.pass.context);
        }
        waiters
    }
}
