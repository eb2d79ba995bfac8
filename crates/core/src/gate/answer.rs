//! What becomes of a lookup: an answer counts by its content, never by its status.

use std::rc::Rc;
use std::time::Duration;

use jwe_gate_contract::{Answer, LookupAnswer, Outcome, Reason, VERSION};

use super::event::{CalloutId, Effect, Put, SharedData};
use super::failing::Ended;
use super::waiting::{LookupKey, Waiter};
use super::{Effects, Gate};
use crate::l1::Stored;
use crate::metrics::{CalloutResult, Metric};
use crate::policy::{LookupPolicy, tag_of};
use crate::time::UnixMillis;
use crate::verdict::{Barred, Denial, Judgement, Verdict};

/// How long a judgement that stands in for a failed lookup is used before the lookup is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often a write to L1 is tried against other workers. What is lost then is one record, not a decision.
const MAX_PUTS: u8 = 10;

impl Gate {
    pub(super) fn answered(
        &mut self,
        now: UnixMillis,
        callout: CalloutId,
        (mac, body): (Option<&[u8]>, Option<&[u8]>),
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        let policy = self.policy.clone();
        let (Some(lookup), Some(keys)) = (&policy.lookup, self.waiting.ended(callout)) else {
            return self.unknown_answer();
        };
        let answers = authentic_answers(lookup, mac, body);
        let result = match (&answers, body) {
            (Some(_), _) => CalloutResult::Answered,
            (None, Some(_)) => CalloutResult::Invalid,
            (None, None) => CalloutResult::Lost,
        };
        self.counters.count(Metric::Callout(result));
        let answers = answers.unwrap_or_default();
        for key in keys {
            let nonce = self.waiting.nonce(&key);
            let answer = answers.iter().find(|answer| is_answer_to(answer, lookup, &key, nonce));
            let judgement = answer.and_then(|answer| judgement(now, answer, lookup));
            self.resolve(now, &key, judgement, shared, effects);
        }
    }

    pub(super) fn refused(
        &mut self,
        now: UnixMillis,
        callout: CalloutId,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        self.counters.count(Metric::Callout(CalloutResult::Refused));
        self.fail(now, callout, shared, effects);
    }

    pub(super) fn unknown_answer(&mut self) {
        self.counters.count(Metric::Callout(CalloutResult::Unknown));
    }

    pub(super) fn give_up_overdue(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        for callout in self.waiting.overdue(now) {
            self.counters.count(Metric::Callout(CalloutResult::Lost));
            self.fail(now, callout, shared, effects);
        }
    }

    fn fail(&mut self, now: UnixMillis, callout: CalloutId, shared: &dyn SharedData, effects: &mut Effects) {
        for key in self.waiting.ended(callout).unwrap_or_default() {
            self.resolve(now, &key, None, shared, effects);
        }
    }

    /// Ends a lookup: everybody who waited for it goes on, with its answer or with what was known before.
    fn resolve(
        &mut self,
        now: UnixMillis,
        key: &LookupKey,
        answer: Option<Judgement>,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else { return };
        let tag = tag_of(key.kind, &key.key);
        let answered = answer.is_some();
        let known = match answer {
            Some(judgement) => Some(self.store(now, Put { tag, judgement, attempts: 0 }, shared, effects)),
            // Another worker may have been luckier.
            None => Self::l1(lookup, tag, shared),
        };
        let ended = match &known {
            Some(known) if known.limits.fresh_until > now => Ended::Fresh,
            _ if answered => Ended::NotFresh,
            _ => Ended::Failed,
        };
        for waiter in self.waiting.finish(key) {
            self.go_on(now, waiter, known.as_ref(), ended, effects);
        }
    }

    fn go_on(
        &mut self,
        now: UnixMillis,
        waiter: Waiter,
        known: Option<&Judgement>,
        ended: Ended,
        effects: &mut Effects,
    ) {
        let Waiter { pass, session, l0_key, fallback } = waiter;
        let judgement = known.filter(|known| ended == Ended::Fresh || known.applies_to(&session)).cloned();
        let (judgement, stands_in) = match judgement {
            Some(judgement) if ended == Ended::Fresh => (Some(judgement), false),
            later => (Judgement::newest(later, fallback), true),
        };
        let mut judgement = match judgement.filter(|judgement| judgement.counts(now)) {
            Some(judgement) if self.may_serve(now, &judgement, ended) => judgement,
            None if ended == Ended::Failed => return self.unknown_while_failing(now, pass, session, effects),
            _ => return self.finish(pass, Err(Denial::LookupFailed), effects),
        };
        if stands_in {
            self.counters.count(Metric::Fallback);
            let limits = &mut judgement.limits;
            limits.fresh_until = now.after(RETRY).min(limits.hard_until).max(limits.fresh_until);
            limits.stale_until = limits.stale_until.max(limits.fresh_until);
        }
        let known = self.remember(now, l0_key, session, judgement);
        self.finish(pass, Ok(known), effects);
    }

    /// Puts a judgement into L1 and returns the one that holds: a newer one that stands there already wins.
    pub(super) fn store(
        &mut self,
        now: UnixMillis,
        put: Put,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) -> Judgement {
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else { return put.judgement };
        if put.attempts > 0 {
            self.counters.count(Metric::L1Conflict);
        }
        if put.attempts >= MAX_PUTS {
            return put.judgement;
        }
        let set = lookup.l1.set_of(put.tag);
        let (value, cas) = shared.set(&set);
        match lookup.l1.store(put.tag, &put.judgement, value.as_deref().unwrap_or_default(), now) {
            Stored::Superseded(newer) => return newer,
            Stored::TooLarge => self.counters.count(Metric::L1TooLarge),
            Stored::Changed { value, evicted } => {
                if evicted {
                    self.counters.count(Metric::L1Eviction);
                }
                let put = Put { attempts: put.attempts + 1, ..put.clone() };
                effects.push(Effect::Put { set, cas, value, put });
            }
        }
        put.judgement
    }
}

/// The answers, if the service that shares our secret wrote them.
fn authentic_answers(lookup: &LookupPolicy, mac: Option<&[u8]>, body: Option<&[u8]>) -> Option<Vec<Answer>> {
    let (mac, body) = (mac?, body?);
    if !lookup.secret.is_answer(body, mac) {
        return None;
    }
    let answer: LookupAnswer = serde_json::from_slice(body).ok()?;
    (answer.version == VERSION).then_some(answer.answers)
}

fn is_answer_to(answer: &Answer, lookup: &LookupPolicy, key: &LookupKey, nonce: Option<&str>) -> bool {
    Some(answer.nonce.as_str()) == nonce
        && answer.kind == key.kind
        && *answer.key == *key.key
        && *answer.realm == *lookup.realm
}

/// What the answer says, by our clock; `None` when the service could not tell.
fn judgement(now: UnixMillis, answer: &Answer, lookup: &LookupPolicy) -> Option<Judgement> {
    let (verdict, user, as_of_ms, limits) = match &answer.outcome {
        Outcome::Allow { user, as_of_ms, limits, .. } => (Verdict::Allow, user.as_str(), as_of_ms, limits),
        Outcome::Deny { reason, as_of_ms, limits } => (Verdict::Deny(barred(*reason)), "", as_of_ms, limits),
        Outcome::Failed { .. } => return None,
    };
    let is_subject = answer.kind == jwe_gate_contract::Kind::Subject;
    if verdict == Verdict::Allow && (user.is_empty() || is_subject && user != answer.key) {
        return None;
    }
    let as_of = UnixMillis(*as_of_ms);
    let limits = lookup.lifetime.limits(now, (tag_of(answer.kind, &answer.key), as_of), verdict, *limits);
    Some(Judgement { verdict, user: Rc::from(user), as_of, limits })
}

fn barred(reason: Reason) -> Barred {
    match reason {
        Reason::Banned => Barred::Banned,
        Reason::UnknownSession => Barred::UnknownSession,
        Reason::UnknownUser => Barred::UnknownUser,
    }
}
