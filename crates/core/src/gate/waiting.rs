//! Requests that wait for lookups: one lookup per subject at a time, whoever waits for it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use jwe_gate_contract::Kind;

use super::decide::{Otherwise, Pass};
use super::event::{CalloutId, ContextId, Edits};
use crate::claims::Session;
use crate::config::WaitingLimits;
use crate::l0::L0Key;
use crate::leads::LeadNumber;
use crate::record::Tag;
use crate::time::UnixMillis;
use crate::verdict::Judgement;

/// What a lookup is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LookupKey {
    /// The digest of the other two.
    pub(super) tag: Tag,
    pub(super) kind: Kind,
    pub(super) key: Rc<str>,
    /// The request that looks up for itself, where requests cannot wait together.
    pub(super) alone: Option<ContextId>,
}

impl LookupKey {
    /// Whether the subject of this session is known; `tag` is its digest.
    pub(super) fn subject(tag: Tag, session: &Session) -> Self {
        Self { tag, kind: Kind::Subject, key: Rc::from(session.subject()), alone: None }
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

impl Waiter {
    /// The memory that it takes, in bytes. Most of it is the cookies that may go on.
    fn bytes(&self) -> usize {
        let Otherwise { anonymous, sign_in } = &self.pass.otherwise;
        let edits = self.pass.accepted.bytes() + anonymous.as_ref().map_or(0, Edits::bytes);
        size_of::<Self>() + edits + sign_in.as_ref().map_or(0, String::len) + self.session.kept_bytes()
    }
}

/// A lookup that has not been answered.
#[derive(Debug)]
struct Pending {
    waiters: Vec<Waiter>,
    stage: Stage,
    /// Whether it is worth the while although nobody waits: what is known is getting old.
    refresh: bool,
    /// How often it has followed another worker's lookup.
    followed: u8,
}

/// How far a lookup has come.
#[derive(Debug)]
enum Stage {
    /// Nobody has been asked yet.
    Queued,
    /// Asked; the answer must repeat the nonce. Other workers follow the lead.
    Asked { nonce: String, lead: Option<LeadNumber> },
    /// Another worker has asked.
    Following(LeadNumber),
}

/// A question that is about to travel.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: LookupKey,
    pub(super) nonce: String,
    pub(super) lead: Option<LeadNumber>,
}

/// A callout that has not come to an end.
#[derive(Debug)]
struct InFlight {
    keys: Vec<LookupKey>,
    /// When the host must have told how it ended.
    overdue: UnixMillis,
}

/// How often one lookup follows others before it goes its own way, so that nobody waits for ever.
const MAX_FOLLOWED: u8 = 3;

/// The parked table.
#[derive(Debug)]
pub(super) struct Waiting {
    pending: BTreeMap<LookupKey, Pending>,
    callouts: BTreeMap<CalloutId, InFlight>,
    /// Whose request waits for what.
    contexts: BTreeMap<ContextId, LookupKey>,
    /// Which lookups of other workers are waited for.
    following: BTreeMap<LeadNumber, LookupKey>,
    /// The last of them that was looked after.
    looked_after: LeadNumber,
    limits: WaitingLimits,
    /// What the waiters take of `limits.bytes`.
    bytes: usize,
    next_callout: u64,
    /// Whether a wake-up is under way.
    woken: bool,
}

impl Waiting {
    pub(super) fn new(limits: WaitingLimits) -> Self {
        Self {
            pending: BTreeMap::new(),
            callouts: BTreeMap::new(),
            contexts: BTreeMap::new(),
            following: BTreeMap::new(),
            looked_after: LeadNumber(0),
            limits,
            bytes: 0,
            next_callout: 0,
            woken: false,
        }
    }

    /// Whether one more request may wait.
    pub(super) fn has_room(&self, waiter: &Waiter) -> bool {
        self.contexts.len() < self.limits.requests && self.bytes + waiter.bytes() <= self.limits.bytes
    }

    /// Whether one more lookup may be under way that nobody waits for.
    pub(super) fn has_room_for_refresh(&self) -> bool {
        self.pending.len() < self.limits.requests
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        let tables = [self.pending.len(), self.callouts.len(), self.contexts.len(), self.following.len(), self.bytes];
        tables == [0; 5]
    }

    /// Whether other workers may follow lookups of this one, or the reverse.
    pub(super) fn is_shared(&self) -> bool {
        !self.callouts.is_empty() || !self.following.is_empty()
    }

    /// Lets a request wait for a lookup, which is begun if it is not under way. Returns whether to ask for a wake-up.
    pub(super) fn wait(&mut self, key: &LookupKey, waiter: Waiter) -> bool {
        self.contexts.insert(waiter.pass.context, key.clone());
        self.bytes += waiter.bytes();
        let (wake, pending) = self.begin(key.clone(), false);
        pending.waiters.push(waiter);
        wake
    }

    /// Begins a lookup that nobody waits for, if it is not under way. Returns whether to ask for a wake-up.
    pub(super) fn refresh(&mut self, key: LookupKey) -> bool {
        self.begin(key, true).0
    }

    fn begin(&mut self, key: LookupKey, refresh: bool) -> (bool, &mut Pending) {
        let mut new = false;
        let pending = self.pending.entry(key).or_insert_with(|| {
            new = true;
            Pending { waiters: Vec::new(), stage: Stage::Queued, refresh, followed: 0 }
        });
        (new && !std::mem::replace(&mut self.woken, true), pending)
    }

    /// Drops a request from the list: acting on one that is over would end the whole worker. What nobody waits for any
    /// more and nobody has been asked about is not asked.
    pub(super) fn forget(&mut self, context: ContextId) {
        let Some(key) = self.contexts.remove(&context) else { return };
        let Some(pending) = self.pending.get_mut(&key) else { return };
        if let Some(at) = pending.waiters.iter().position(|waiter| waiter.pass.context == context) {
            let waiter = pending.waiters.swap_remove(at);
            self.bytes -= waiter.bytes();
        }
        let is_asked = matches!(pending.stage, Stage::Asked { .. });
        if pending.waiters.is_empty() && !pending.refresh && !is_asked {
            self.remove(&key);
        }
        if key.alone.is_some() {
            // Nobody will hear of its callout.
            self.remove(&key);
            self.callouts.retain(|_, in_flight| !in_flight.keys.contains(&key));
        }
    }

    /// The lookups that nobody has been asked about, at most `limit`.
    pub(super) fn queued(&mut self, limit: usize) -> Vec<LookupKey> {
        self.woken = false;
        let queued = self.pending.iter().filter(|(_, pending)| matches!(pending.stage, Stage::Queued));
        queued.map(|(key, _)| key.clone()).take(limit).collect()
    }

    /// Notes that these lookups travel in one callout, each under its nonce.
    pub(super) fn asked(&mut self, asked: Vec<Asked>, overdue: UnixMillis) -> CalloutId {
        let callout = CalloutId(self.next_callout);
        self.next_callout += 1;
        let mut keys = Vec::with_capacity(asked.len());
        for Asked { key, nonce, lead } in asked {
            if let Some(pending) = self.pending.get_mut(&key) {
                pending.stage = Stage::Asked { nonce, lead };
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
            Stage::Asked { nonce, .. } => Some(nonce),
            Stage::Queued | Stage::Following(_) => None,
        }
    }

    /// What other workers follow while this lookup is under way.
    pub(super) fn lead(&self, key: &LookupKey) -> Option<LeadNumber> {
        match &self.pending.get(key)?.stage {
            Stage::Asked { lead, .. } => *lead,
            Stage::Queued | Stage::Following(_) => None,
        }
    }

    /// Whether a lookup may yet leave the asking to another worker.
    pub(super) fn may_follow(&self, key: &LookupKey) -> bool {
        self.pending.get(key).is_some_and(|pending| pending.followed < MAX_FOLLOWED)
    }

    /// Leaves the asking to another worker. Returns whether that is possible: a lead is about one subject only.
    pub(super) fn follow(&mut self, key: &LookupKey, lead: LeadNumber) -> bool {
        let Some(pending) = self.pending.get_mut(key).filter(|_| !self.following.contains_key(&lead)) else {
            return false;
        };
        pending.stage = Stage::Following(lead);
        pending.followed = pending.followed.saturating_add(1);
        self.following.insert(lead, key.clone());
        true
    }

    /// What waits for this lead.
    pub(super) fn follower(&self, lead: LeadNumber) -> Option<LookupKey> {
        self.following.get(&lead).cloned()
    }

    /// The lookups that follow others, at most `limit`, those first that have not been looked after for longest.
    pub(super) fn followers(&mut self, limit: usize) -> Vec<(LeadNumber, LookupKey)> {
        let later = self.following.range((Bound::Excluded(self.looked_after), Bound::Unbounded));
        let earlier = self.following.range(..=self.looked_after);
        let due: Vec<_> = later.chain(earlier).take(limit).map(|(lead, key)| (*lead, key.clone())).collect();
        if let Some((last, _)) = due.last() {
            self.looked_after = *last;
        }
        due
    }

    /// Takes the asking back from another worker. Returns whether anybody still waits for it.
    pub(super) fn take_over(&mut self, key: &LookupKey) -> bool {
        let Some(pending) = self.pending.get_mut(key) else { return false };
        if let Stage::Following(lead) = std::mem::replace(&mut pending.stage, Stage::Queued) {
            self.following.remove(&lead);
        }
        let is_wanted = !pending.waiters.is_empty();
        if !is_wanted {
            self.remove(key);
        }
        is_wanted
    }

    /// Ends a lookup. Its waiters are the caller's now.
    pub(super) fn finish(&mut self, key: &LookupKey) -> Vec<Waiter> {
        let waiters = self.remove(key).map(|pending| pending.waiters).unwrap_or_default();
        self.let_go(&waiters);
        waiters
    }

    /// Ends the waiting of those for whom it is over, and the lookup when nobody is left. They are the caller's now.
    pub(super) fn finish_for(&mut self, key: &LookupKey, is_over: impl FnMut(&Waiter) -> bool) -> Vec<Waiter> {
        let Some(pending) = self.pending.get_mut(key) else { return Vec::new() };
        let (over, left) = std::mem::take(&mut pending.waiters).into_iter().partition(is_over);
        pending.waiters = left;
        if pending.waiters.is_empty() {
            self.remove(key);
        }
        self.let_go(&over);
        over
    }

    /// Whether a lookup has not come to an end.
    pub(super) fn is_pending(&self, key: &LookupKey) -> bool {
        self.pending.contains_key(key)
    }

    fn remove(&mut self, key: &LookupKey) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        if let Stage::Following(lead) = pending.stage {
            self.following.remove(&lead);
        }
        Some(pending)
    }

    fn let_go(&mut self, waiters: &[Waiter]) {
        for waiter in waiters {
            self.contexts.remove(&waiter.pass.context);
            self.bytes -= waiter.bytes();
        }
    }
}
