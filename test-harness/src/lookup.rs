//! A lookup service that a scenario commands: it knows some users, and misbehaves on request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use jwe_gate_contract::{
    Answer, Cause, Kind, Limits, LookupAnswer, LookupQuestion, LookupSecret, Outcome, Question, REVOCATIONS_PATH,
    Reason, VERSION,
};
use serde_json::Value;

use crate::feed::FakeFeed;

/// The secret that the service and the gates of scenarios share.
pub const LOOKUP_SECRET: &str = "the lookup secret of the scenarios";

/// How the service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Honest,
    /// Says that it cannot find out.
    Unable,
    /// Closes the connection.
    Unreachable,
    /// Signs nothing.
    Unsigned,
    /// Signs with another secret.
    Forger,
    /// Gives the answer to the first question of all once more.
    Replayer,
    /// Answers for another subject than was asked about.
    Mistaken,
    /// Allows the subject that was asked about, but names another user.
    Confused,
    /// Serves a page of HTML with the status 200.
    Website,
    /// Answers honestly and gives another version of the format.
    Newer,
    /// Leaves out the fields that were asked for.
    Sparing,
}

/// The service, shared between the scenario and whoever serves it.
#[derive(Clone, Debug, Default)]
pub struct FakeLookup {
    shared: Arc<(Mutex<State>, Condvar)>,
    /// Its feed of revocations.
    pub feed: FakeFeed,
}

#[derive(Debug)]
struct State {
    users: BTreeSet<String>,
    banned: BTreeSet<String>,
    /// By user and name.
    fields: BTreeMap<(String, String), Value>,
    mood: Mood,
    limits: Limits,
    denial_limits: Limits,
    as_of_ms: u64,
    held: bool,
    questions: Vec<Question>,
    callouts: usize,
    first: Option<(String, Vec<u8>)>,
}

/// What goes back over the wire; nothing where the connection is closed.
pub type Wire = Option<(BTreeMap<&'static str, String>, Vec<u8>)>;

impl Default for State {
    fn default() -> Self {
        Self {
            users: BTreeSet::new(),
            banned: BTreeSet::new(),
            fields: BTreeMap::new(),
            mood: Mood::Honest,
            limits: Limits { fresh_ms: 600_000, stale_ms: 660_000, hard_ms: 4_200_000 },
            denial_limits: Limits { fresh_ms: 10_000, stale_ms: 10_000, hard_ms: 4_200_000 },
            as_of_ms: 1,
            held: false,
            questions: Vec::new(),
            callouts: 0,
            first: None,
        }
    }
}

impl FakeLookup {
    /// Lets it know a user.
    pub fn add(&self, user: &str) {
        self.state().users.insert(user.into());
    }

    /// Lets it forget a user.
    pub fn remove(&self, user: &str) {
        self.state().users.remove(user);
    }

    /// Bars a user.
    pub fn ban(&self, user: &str) {
        self.state().banned.insert(user.into());
    }

    /// Gives a user a field.
    pub fn field(&self, user: &str, name: &str, value: impl Into<Value>) {
        self.state().fields.insert((user.into(), name.into()), value.into());
    }

    /// Changes how it behaves.
    pub fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// How long its verdicts may be used: fresh, stale, hard.
    pub fn limits(&self, fresh_ms: u64, stale_ms: u64, hard_ms: u64) {
        let mut state = self.state();
        state.limits = Limits { fresh_ms, stale_ms, hard_ms };
        state.denial_limits = state.limits;
    }

    /// When its database says that all this is so.
    pub fn as_of(&self, as_of_ms: u64) {
        self.state().as_of_ms = as_of_ms;
    }

    /// Lets questions wait until [`FakeLookup::release`].
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Answers what waits.
    pub fn release(&self) {
        self.state().held = false;
        self.shared.1.notify_all();
    }

    /// Whether questions wait.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state().held
    }

    /// Waits until questions are answered again; for whoever serves it over a network.
    pub fn wait(&self) {
        let held = self.shared.1.wait_while(self.state(), |state| state.held);
        drop(held.expect("no holder of the lock panicked"));
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.state().questions.clone()
    }

    /// How many callouts have reached it.
    #[must_use]
    pub fn callouts(&self) -> usize {
        self.state().callouts
    }

    /// Notes that a callout has arrived; it need not be answered yet.
    pub fn arrived(&self, body: &[u8]) {
        let mut state = self.state();
        state.callouts += 1;
        if let Ok(question) = serde_json::from_slice::<LookupQuestion>(body) {
            state.questions.extend(question.questions);
        }
    }

    /// Answers what is posted to a path.
    #[must_use]
    pub fn answer_at(&self, path: &str, mac: &[u8], body: &[u8]) -> Wire {
        if path == REVOCATIONS_PATH { self.feed.write(mac, body) } else { self.answer(mac, body) }
    }

    /// Answers a callout.
    #[must_use]
    pub fn answer(&self, mac: &[u8], body: &[u8]) -> Wire {
        let mut state = self.state();
        let secret = LookupSecret::new(LOOKUP_SECRET).expect("a long secret");
        assert!(secret.is_question(body, mac), "the question is signed");
        let question: LookupQuestion = serde_json::from_slice(body).expect("a question in the agreed form");
        assert_eq!(question.version, VERSION);
        let answers = question.questions.iter().map(|question| state.reply(question)).collect();
        let version = if state.mood == Mood::Newer { VERSION + 1 } else { VERSION };
        let body = serde_json::to_vec(&LookupAnswer { version, answers }).expect("an answer is JSON");
        let signed = (secret.sign_answer(&body), body);
        let first = state.first.get_or_insert_with(|| signed.clone()).clone();
        let (mac, body) = match state.mood {
            Mood::Unreachable => return None,
            Mood::Website => (None, b"<html>It works!</html>".to_vec()),
            Mood::Unsigned => (None, signed.1),
            Mood::Forger => {
                let forger = LookupSecret::new("a secret that nobody shares").expect("a long secret");
                (Some(forger.sign_answer(&signed.1)), signed.1)
            }
            Mood::Replayer => (Some(first.0), first.1),
            _ => (Some(signed.0), signed.1),
        };
        let headers = mac.into_iter().map(|mac| (jwe_gate_contract::MAC_HEADER, mac)).collect();
        Some((headers, body))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no holder of the lock panicked")
    }
}

impl State {
    /// Those that were asked for; `null` where the user has no value.
    fn fields(&self, question: &Question) -> BTreeMap<String, Value> {
        let of_user = |name: &String| self.fields.get(&(question.key.clone(), name.clone())).cloned();
        let asked = question.fields.iter().filter(|_| self.mood != Mood::Sparing);
        asked.map(|name| (name.clone(), of_user(name).unwrap_or_default())).collect()
    }

    fn reply(&self, question: &Question) -> Answer {
        let key = if self.mood == Mood::Mistaken { "somebody else".to_owned() } else { question.key.clone() };
        Answer {
            realm: question.realm.clone(),
            kind: question.kind,
            key,
            nonce: question.nonce.clone(),
            outcome: self.outcome(question),
        }
    }

    fn outcome(&self, question: &Question) -> Outcome {
        let key = question.key.as_str();
        assert_eq!(question.kind, Kind::Subject);
        let (as_of_ms, limits) = (self.as_of_ms, self.denial_limits);
        match self.mood {
            Mood::Unable => Outcome::Failed { cause: Cause::Unavailable },
            _ if self.banned.contains(key) => Outcome::Deny { reason: Reason::Banned, as_of_ms, limits },
            _ if !self.users.contains(key) => Outcome::Deny { reason: Reason::UnknownUser, as_of_ms, limits },
            mood => {
                let user = if mood == Mood::Confused { "somebody else" } else { key };
                Outcome::Allow { user: user.into(), as_of_ms, limits: self.limits, fields: self.fields(question) }
            }
        }
    }
}
