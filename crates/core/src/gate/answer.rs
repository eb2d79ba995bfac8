//! What becomes of a lookup: an answer counts by its content, never by its status.

use std::rc::Rc;
use std::time::Duration;

use jwe_gate_contract::{Answer, LookupAnswer, Outcome, Reason, VERSION};

use super::annotate::Layer;
use super::decide::Pass;
use super::event::CalloutId;
use super::failing::Ended;
use super::waiting::{LookupKey, Waiter};
use super::{Effects, Gate};
use crate::fields::Fields;
use crate::l1::Stored;
use crate::metrics::{CalloutResult, Metric};
use crate::policy::{LookupPolicy, tag_of};
use crate::record::Tag;
use crate::shared::{Change, SharedData, change};
use crate::time::UnixMillis;
use crate::verdict::{Barred, Denial, Judgement, Verdict};

/// How long a judgement that stands in for a failed lookup is used before the lookup is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What came of a lookup.
struct Resolved {
    key: LookupKey,
    /// What is known now, if anything is.
    known: Option<Judgement>,
    ended: Ended,
}

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
        let judged = |key: LookupKey| {
            let nonce = self.waiting.nonce(&key);
            let answer = answers.iter().find(|answer| is_answer_to(answer, lookup, &key, nonce));
            let judgement = answer.and_then(|answer| judgement(now, answer, lookup));
            (key, judgement)
        };
        let answered = keys.into_iter().map(judged).collect();
        self.end(now, lookup, answered, shared, effects);
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
        let policy = self.policy.clone();
        let (Some(lookup), Some(keys)) = (&policy.lookup, self.waiting.ended(callout)) else { return };
        let unanswered = keys.into_iter().map(|key| (key, None)).collect();
        self.end(now, lookup, unanswered, shared, effects);
    }

    /// Ends lookups: everybody who waited for them goes on, with the answers or with what was known before.
    fn end(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        answered: Vec<(LookupKey, Option<Judgement>)>,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        let resolve = |(key, answer)| self.resolve(now, lookup, key, answer, shared);
        let resolved: Vec<_> = answered.into_iter().map(resolve).collect();
        // Other workers first: to wake one costs less than to resume one request.
        self.tell(now, shared, effects);
        for Resolved { key, known, ended } in resolved {
            self.let_go(now, &key, known.as_ref(), ended, effects);
        }
    }

    /// Shares an answer with the other workers.
    fn resolve(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        key: LookupKey,
        answer: Option<Judgement>,
        shared: &dyn SharedData,
    ) -> Resolved {
        let lost = answer.is_none();
        let known = match answer {
            Some(judgement) => Some(self.store(now, lookup, key.tag, judgement, shared)),
            // Another worker may have been luckier.
            None => Self::l1(lookup, key.tag, shared),
        };
        let ended = match &known {
            _ if lost => Ended::Failed,
            Some(known) if known.limits.fresh_until > now => Ended::Fresh,
            _ => Ended::NotFresh,
        };
        if let Some(lead) = self.waiting.lead(&key) {
            self.release(now, lookup, key.tag, lead, ended, shared);
        }
        Resolved { key, known, ended }
    }

    /// Ends a lookup for all who wait for it.
    pub(super) fn let_go(
        &mut self,
        now: UnixMillis,
        key: &LookupKey,
        known: Option<&Judgement>,
        ended: Ended,
        effects: &mut Effects,
    ) {
        for waiter in self.waiting.finish(key) {
            // What another worker was told need not be about this session.
            let told = |known: &Judgement| known.limits.fresh_until > now && known.applies_to(&waiter.session);
            let ended = if known.is_some_and(told) { Ended::Fresh } else { ended };
            self.go_on(now, waiter, known, ended, effects);
        }
    }

    pub(super) fn go_on(
        &mut self,
        now: UnixMillis,
        waiter: Waiter,
        known: Option<&Judgement>,
        ended: Ended,
        effects: &mut Effects,
    ) {
        let Waiter { pass, session, l0_key, fallback } = waiter;
        let pass = Pass { layer: if ended == Ended::Failed { Layer::L1 } else { Layer::Lookup }, ..pass };
        let is_of_use = |known: &&Judgement| {
            let admits_outdated = known.verdict == Verdict::Allow && self.is_outdated(known, &session);
            (ended == Ended::Fresh || known.applies_to(&session)) && !admits_outdated
        };
        let judgement = known.filter(is_of_use).cloned();
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
    fn store(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        tag: Tag,
        judgement: Judgement,
        shared: &dyn SharedData,
    ) -> Judgement {
        let stored = change(shared, &lookup.l1.set_of(tag), |set| match lookup.l1.store(tag, &judgement, set, now) {
            Stored::Superseded(newer) => Change::Keep((Some(newer), None)),
            Stored::TooLarge => Change::Keep((None, Some(Metric::L1TooLarge))),
            Stored::Changed { value, evicted } => Change::Replace(value, (None, evicted.then_some(Metric::L1Eviction))),
        });
        self.counters.add(Metric::L1Conflict, stored.conflicts);
        // A write that other workers came before each time: what is lost is one record, not a decision.
        let (newer, metric) = stored.outcome.unwrap_or_default();
        if let Some(metric) = metric {
            self.counters.count(metric);
        }
        newer.unwrap_or(judgement)
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
    let (verdict, user, fields, as_of_ms, limits) = match &answer.outcome {
        Outcome::Allow { user, as_of_ms, limits, fields } => {
            let fields = Fields::of_answer(fields, &lookup.fields)?;
            (Verdict::Allow, user.as_str(), fields, as_of_ms, limits)
        }
        Outcome::Deny { reason, as_of_ms, limits } => {
            (Verdict::Deny(barred(*reason)), "", Fields::default(), as_of_ms, limits)
        }
        Outcome::Failed { .. } => return None,
    };
    let is_subject = answer.kind == jwe_gate_contract::Kind::Subject;
    if verdict == Verdict::Allow && (user.is_empty() || is_subject && user != answer.key) {
        return None;
    }
    let as_of = UnixMillis(*as_of_ms);
    let limits = lookup.lifetime.limits(now, (tag_of(answer.kind, &answer.key), as_of), verdict, *limits);
    Some(Judgement { verdict, user: Rc::from(user), fields, as_of, limits })
}

fn barred(reason: Reason) -> Barred {
    match reason {
        Reason::Banned => Barred::Banned,
        Reason::UnknownSession => Barred::UnknownSession,
        Reason::UnknownUser => Barred::UnknownUser,
    }
}
