//! One lookup per subject for all workers of a process.
//!
//! Before a worker asks, it puts a lead into shared data. Whoever finds the lead of another worker follows it: it does
//! not ask, and waits to be woken. A leader puts what it was told into L1 *first*, then takes its lead away, then wakes
//! its followers, who read L1. So whoever finds no lead and then nothing in L1 may ask.
//!
//! A message only says where to look, and any of them may get lost: each tick looks after what is followed, and takes over
//! what nobody leads any more.

use std::collections::BTreeMap;

use super::event::Effect;
use super::failing::Ended;
use super::question::GRACE;
use super::waiting::{LookupKey, Waiter};
use super::{Effects, Gate, TICK};
use crate::claims::Session;
use crate::leads::{Followers, Lead, LeadNumber};
use crate::metrics::Metric;
use crate::policy::LookupPolicy;
use crate::record::Tag;
use crate::roster::{Entry, Incarnation, Roster, SILENCE, WorkerNumber};
use crate::shared::{Change, QueueId, SharedData, change};
use crate::time::UnixMillis;
use crate::verdict::Judgement;

/// The most lookups of other workers that one tick looks after.
const LOOKED_AFTER: usize = 1024;

/// What this worker is to others.
#[derive(Debug)]
pub(super) struct Own {
    incarnation: Incarnation,
    number: Option<WorkerNumber>,
    /// When it last told the others that it is there.
    seen: UnixMillis,
}

impl Own {
    pub(super) fn new(incarnation: u64) -> Self {
        Self { incarnation: Incarnation(incarnation), number: None, seen: UnixMillis(0) }
    }

    /// What it says of itself. Where it cannot be woken the number of its queue means nothing.
    pub(super) fn entry(&self, now: UnixMillis, shared: &dyn SharedData) -> Entry {
        Entry { incarnation: self.incarnation, queue: shared.queue().unwrap_or(QueueId(0)), seen: now }
    }

    /// Whether this entry is its own.
    pub(super) fn is(&self, entry: &Entry) -> bool {
        entry.incarnation == self.incarnation
    }

    /// Tells the others that this worker is there, unless it has just done so. Returns its number, if it could get one.
    pub(super) fn show(
        &mut self,
        roster: &Roster<'_>,
        now: UnixMillis,
        shared: &dyn SharedData,
    ) -> Option<WorkerNumber> {
        if self.number.is_some() && u128::from(now.0.abs_diff(self.seen.0)) < TICK.as_millis() {
            return self.number;
        }
        let entry = Entry { incarnation: self.incarnation, queue: shared.queue()?, seen: now };
        let candidates = self.number.into_iter().chain(self.incarnation.candidates());
        self.number = candidates.into_iter().find(|number| roster.take(*number, &entry));
        self.seen = now;
        self.number
    }
}

/// What has become of leads, for each worker that follows some of them.
pub(super) type News = BTreeMap<WorkerNumber, Vec<u8>>;

/// Who asks.
enum Turn {
    /// This worker; with a lead that others can follow, if there was room for one.
    Lead(Option<LeadNumber>),
    /// Another one.
    Follow(LeadNumber),
}

impl Gate {
    /// Those of these lookups that this worker is to ask about. The others are left to another worker, or have been
    /// answered since they began.
    pub(super) fn led(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        keys: Vec<LookupKey>,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) -> Vec<(LookupKey, Option<LeadNumber>)> {
        if !self.policy.capabilities.acts_on_others {
            // Nobody could be woken.
            return keys.into_iter().map(|key| (key, None)).collect();
        }
        let mut roster = Roster::new(now, shared);
        let worker = self.own.show(&roster, now, shared);
        let mut asked = Vec::with_capacity(keys.len());
        for key in keys {
            let Turn::Lead(lead) = self.turn(now, lookup, &key, worker, &mut roster, shared) else { continue };
            if let Some(known) = Self::l1(lookup, key.tag, shared) {
                self.settle(now, &key, &known, effects);
            }
            if self.waiting.is_pending(&key) {
                asked.push((key, lead));
            } else if let Some(lead) = lead {
                self.release(now, lookup, key.tag, lead, Ended::Fresh, shared);
            }
        }
        self.tell(now, shared, effects);
        asked
    }

    fn turn(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        key: &LookupKey,
        worker: Option<WorkerNumber>,
        roster: &mut Roster<'_>,
        shared: &dyn SharedData,
    ) -> Turn {
        let turn = worker.and_then(|worker| {
            let lead = Lead {
                number: LeadNumber(self.nonces.number()),
                worker,
                incarnation: self.own.incarnation,
                // The leader gives up before others give it up.
                until: now.after(lookup.timeout + GRACE + SILENCE),
                followers: Followers::default(),
            };
            let may_follow = self.waiting.may_follow(key);
            take_turn(now, lookup, key.tag, &lead, may_follow, roster, shared)
        });
        match turn {
            Some(Turn::Follow(lead)) if self.waiting.follow(key, lead) => {
                self.counters.count(Metric::Followed);
                Turn::Follow(lead)
            }
            Some(Turn::Lead(lead)) => Turn::Lead(lead),
            _ => {
                self.counters.count(Metric::Unannounced);
                Turn::Lead(None)
            }
        }
    }

    /// Takes the lead of a lookup away that has come to an end, and notes whom to wake.
    pub(super) fn release(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        tag: Tag,
        lead: LeadNumber,
        ended: Ended,
        shared: &dyn SharedData,
    ) {
        let removed = change(shared, &lookup.leads.set_of(tag), |set| match lookup.leads.remove(tag, lead, set, now) {
            Some((value, followers)) => Change::Replace(value, Some(followers)),
            None => Change::Keep(None),
        });
        let followers = removed.outcome.flatten().unwrap_or_default();
        for follower in followers.iter() {
            message::add(self.news.entry(follower).or_default(), lead, ended);
        }
    }

    /// Wakes the followers of leads that were released.
    pub(super) fn tell(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        if self.news.is_empty() {
            return;
        }
        let mut roster = Roster::new(now, shared);
        for (follower, message) in std::mem::take(&mut self.news) {
            // The queue of a worker that is gone would keep its messages for ever.
            if let Some(worker) = roster.worker(follower) {
                effects.push(Effect::Wake { queue: worker.queue, message });
            }
        }
    }

    /// Takes messages of leaders.
    pub(super) fn heard(
        &mut self,
        now: UnixMillis,
        messages: &[Vec<u8>],
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        for (lead, ended) in messages.iter().flat_map(|message| message::read(message)) {
            if let Some(key) = self.waiting.follower(lead) {
                self.lead_ended(now, &key, ended, shared, effects);
            }
        }
    }

    /// Looks after what this worker leads and follows.
    pub(super) fn look_after(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let policy = self.policy.clone();
        let Some(lookup) = policy.lookup.as_ref().filter(|_| self.waiting.is_shared()) else { return };
        let mut roster = Roster::new(now, shared);
        self.own.show(&roster, now, shared);
        for (number, key) in self.waiting.followers(LOOKED_AFTER) {
            let (set, _) = shared.get(&lookup.leads.set_of(key.tag));
            let lead = lookup.leads.find(key.tag, &set.unwrap_or_default(), now);
            if !lead.is_some_and(|lead| lead.number == number && is_led(&lead, &mut roster)) {
                self.lead_ended(now, &key, Ended::Fresh, shared, effects);
            }
        }
    }

    /// A lead that was followed has come to an end: those who wait go on with what it brought. If it should have brought
    /// something and has not, this worker asks.
    fn lead_ended(
        &mut self,
        now: UnixMillis,
        key: &LookupKey,
        ended: Ended,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else { return };
        let known = Self::l1(lookup, key.tag, shared);
        if ended != Ended::Fresh {
            return self.let_go(now, key, known.as_ref(), ended, effects);
        }
        if let Some(known) = known {
            self.settle(now, key, &known, effects);
        }
        if self.waiting.take_over(key) {
            self.counters.count(Metric::TakenOver);
        }
    }

    /// Lets those go on whom a fresh judgement is about. Who is left has to be asked for.
    fn settle(&mut self, now: UnixMillis, key: &LookupKey, known: &Judgement, effects: &mut Effects) {
        if known.limits.fresh_until <= now {
            return;
        }
        let following = self.following.as_ref();
        let is_outdated = |session: &Session| following.is_some_and(|following| following.outdates(known, session));
        let serves = |waiter: &Waiter| known.applies_to(&waiter.session) && !is_outdated(&waiter.session);
        for waiter in self.waiting.finish_for(key, serves) {
            self.go_on(now, waiter, Some(known), Ended::Fresh, effects);
        }
    }
}

/// Follows whoever leads, or leads; `None` when neither is possible.
fn take_turn(
    now: UnixMillis,
    lookup: &LookupPolicy,
    tag: Tag,
    own: &Lead,
    may_follow: bool,
    roster: &mut Roster<'_>,
    shared: &dyn SharedData,
) -> Option<Turn> {
    let leads = &lookup.leads;
    let turn = change(shared, &leads.set_of(tag), |set| {
        let other = leads.find(tag, set, now).filter(|other| other.incarnation != own.incarnation);
        let Some(mut other) = other.filter(|other| is_led(other, roster)) else {
            let value = leads.put(tag, own, set, now);
            return value
                .map_or(Change::Keep(None), |value| Change::Replace(value, Some(Turn::Lead(Some(own.number)))));
        };
        let is_new = other.followers.insert(own.worker);
        let followed = Some(Turn::Follow(other.number));
        match leads.put(tag, &other, set, now) {
            _ if !may_follow => Change::Keep(None),
            Some(value) if is_new => Change::Replace(value, followed),
            _ => Change::Keep(followed),
        }
    });
    turn.outcome.flatten()
}

/// Whether the worker is there that has this lead.
fn is_led(lead: &Lead, roster: &mut Roster<'_>) -> bool {
    roster.worker(lead.worker).is_some_and(|leader| leader.incarnation == lead.incarnation)
}

/// What leaders tell their followers: a layout byte, then for each lead its number (8 bytes, little-endian) and how its
/// lookup ended (1 byte).
mod message {
    use super::Ended;
    use crate::leads::LeadNumber;

    const LAYOUT: u8 = 1;

    pub(super) fn add(message: &mut Vec<u8>, lead: LeadNumber, ended: Ended) {
        if message.is_empty() {
            message.push(LAYOUT);
        }
        message.extend(lead.0.to_le_bytes());
        message.push(match ended {
            Ended::Fresh => 0,
            Ended::Failed => 1,
            Ended::NotFresh => 2,
        });
    }

    /// What has another layout tells nothing.
    pub(super) fn read(message: &[u8]) -> impl Iterator<Item = (LeadNumber, Ended)> {
        let entries = message.strip_prefix(&[LAYOUT]).unwrap_or_default();
        entries.chunks_exact(9).filter_map(|entry| {
            let (number, ended) = entry.split_first_chunk()?;
            let ended = match ended {
                [1] => Ended::Failed,
                [2] => Ended::NotFresh,
                _ => Ended::Fresh,
            };
            Some((LeadNumber(u64::from_le_bytes(*number)), ended))
        })
    }
}
