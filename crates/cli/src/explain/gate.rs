//! The gate, driven by hand: one request, one worker, and a lookup that says what it is supposed to say.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jwe_gate_contract::{
    Answer, Limits, LookupAnswer, LookupQuestion, LookupSecret, Outcome, Question, Reason, VERSION,
};
use jwe_gate_core::config::LookupConfig;
use jwe_gate_core::gate::{Annotations, Callout, ContextId, Edits, Effect, Effects, Event, Gate, Reply};
use jwe_gate_core::policy::Policy;
use jwe_gate_core::shared::{Cas, QueueId, SharedData, SharedKey};
use jwe_gate_core::time::UnixMillis;
use serde_json::{Map, Value};

use super::request::Request;
use crate::arguments::{RequestArguments, UserName};
use crate::failure::Failure;

/// What is decided.
pub(super) enum Decision {
    Forward {
        edits: Box<Edits>,
        annotations: Annotations,
    },
    Reply {
        reply: Reply,
        annotations: Annotations,
    },
    /// Nothing, which the gate does not do.
    None,
}

impl Decision {
    /// What access logs would be told.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        let (Self::Forward { annotations, .. } | Self::Reply { annotations, .. }) = self else { return None };
        annotations.0.iter().find(|(known, _)| *known == name).map(|(_, text)| &**text)
    }
}

/// The lookup service.
pub(super) struct Lookup {
    secret: Option<LookupSecret>,
    /// Every field that is asked for; null where nothing is supposed.
    pub(super) fields: Map<String, Value>,
    /// Those of them that are supposed.
    pub(super) supposed: Vec<String>,
    pub(super) user: UserName,
}

impl Lookup {
    pub(super) fn new(config: Option<&LookupConfig>, arguments: &RequestArguments) -> Result<Self, Failure> {
        let asked = config.map_or(&[][..], |config| config.fields.as_slice());
        let mut fields: Map<String, Value> = asked.iter().map(|name| (name.clone(), Value::Null)).collect();
        let mut supposed = Vec::new();
        for argument in &arguments.fields {
            let known = argument.split_once('=').and_then(|(name, text)| Some((fields.get_mut(name)?, name, text)));
            let (field, name, text) = known.ok_or_else(|| Failure::Field(name_of(argument)))?;
            *field = serde_json::from_str(text).unwrap_or_else(|_| text.into());
            supposed.push(name.to_owned());
        }
        Ok(Self { secret: config.map(|config| config.secret.clone()), fields, supposed, user: arguments.user })
    }

    /// Whether users are looked up at all.
    pub(super) fn is_asked(&self) -> bool {
        self.secret.is_some()
    }

    /// The body of an answer, and its MAC.
    fn answer(&self, callout: &Callout, now: UnixMillis) -> Option<(String, Vec<u8>)> {
        let question: LookupQuestion = serde_json::from_slice(callout.body.as_deref()?).ok()?;
        let answers = question.questions.into_iter().map(|question| self.outcome(question, now));
        let answers = answers.collect::<Option<_>>()?;
        let body = serde_json::to_vec(&LookupAnswer { version: VERSION, answers }).ok()?;
        Some((self.secret.as_ref()?.sign_answer(&body), body))
    }

    fn outcome(&self, question: Question, now: UnixMillis) -> Option<Answer> {
        let Question { realm, kind, key, nonce, .. } = question;
        let limits = Limits { fresh_ms: 1000, stale_ms: 1000, hard_ms: 1000 };
        let deny = |reason| Outcome::Deny { reason, as_of_ms: now.0, limits };
        let outcome = match self.user {
            UserName::Known => {
                let fields = self.fields.clone().into_iter().collect();
                Outcome::Allow { user: key.clone(), as_of_ms: now.0, limits, fields }
            }
            UserName::Unknown => deny(Reason::UnknownUser),
            UserName::Banned => deny(Reason::Banned),
            UserName::Unanswered => return None,
        };
        Some(Answer { realm, kind, key, nonce, outcome })
    }
}

/// The name in `name=value`: the value is not repeated.
fn name_of(argument: &str) -> String {
    argument.split('=').next().unwrap_or_default().to_owned()
}

/// Lets a gate without a past decide.
pub(super) fn decide(policy: Policy, request: &Request, lookup: &Lookup, now: UnixMillis) -> Decision {
    let mut gate = Gate::new(policy, [0; 16]);
    let (shared, mut effects) = (Memory::default(), Effects::new());
    gate.handle(now, Event::RequestHeaders { context: ContextId(1), headers: request }, &shared, &mut effects);
    // To be woken, to ask, to be answered: more steps there are not.
    for _ in 0..4 {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Forward { edits, annotations, .. } => {
                    return Decision::Forward { edits: Box::new(edits), annotations };
                }
                Effect::Reply { reply, annotations, .. } => return Decision::Reply { reply, annotations },
                Effect::Enqueue => gate.handle(now, Event::QueueMessages(&[]), &shared, &mut effects),
                Effect::Dispatch(callout) => {
                    let answer = lookup.answer(&callout, now);
                    let (mac, body) = answer.as_ref().map(|(mac, body)| (mac.as_bytes(), body.as_slice())).unzip();
                    gate.handle(now, Event::Answered { callout: callout.callout, mac, body }, &shared, &mut effects);
                }
                _ => {}
            }
        }
    }
    Decision::None
}

/// Shared data of a proxy with one worker.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<SharedKey, (Vec<u8>, u32)>>);

impl SharedData for Memory {
    fn get(&self, key: &SharedKey) -> (Option<Vec<u8>>, Cas) {
        match self.0.borrow().get(key) {
            Some((value, version)) => (Some(value.clone()), Cas::Version(*version)),
            None => (None, Cas::Absent),
        }
    }

    fn put(&self, key: &SharedKey, value: &[u8], cas: Cas) -> bool {
        let (_, current) = self.get(key);
        if current != cas {
            return false;
        }
        let version = match current {
            Cas::Absent => 1,
            Cas::Version(version) => version.wrapping_add(1),
        };
        self.0.borrow_mut().insert(key.clone(), (value.to_vec(), version));
        true
    }

    fn queue(&self) -> Option<QueueId> {
        Some(QueueId(1))
    }
}
