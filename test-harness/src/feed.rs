//! The feed of revocations that a scenario commands.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use jwe_gate_contract::{
    Bounds, Entry, Fact, FeedAnswer, FeedQuestion, LookupSecret, MAC_HEADER, Message, Receipt, RevocationRequest,
    TagKind, Target, VERSION,
};

use crate::lookup::{LOOKUP_SECRET, Wire};

/// How the feed behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedMood {
    /// As it should.
    #[default]
    Honest,
    /// Closes the connection.
    Unreachable,
    /// Signs with another secret.
    Forger,
    /// Forgets revocations after a day.
    Forgetful,
}

/// The feed, shared between the scenario and whoever serves it.
#[derive(Clone, Debug, Default)]
pub struct FakeFeed(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug)]
struct State {
    epoch: u64,
    entries: Vec<Entry>,
    mood: FeedMood,
    page: usize,
    questions: usize,
    written: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { epoch: 1, entries: Vec::new(), mood: FeedMood::Honest, page: 2_000, questions: 0, written: 0 }
    }
}

impl FakeFeed {
    /// Writes a revocation that a proxy asks for.
    ///
    /// # Panics
    /// When the request is not what was agreed.
    #[must_use]
    pub fn write(&self, mac: &[u8], body: &[u8]) -> Wire {
        assert!(secret().is_signed(Message::Revocation, body, mac), "the request is signed");
        let request: RevocationRequest = serde_json::from_slice(body).expect("a request in the agreed form");
        assert_eq!((request.version, request.realm.as_str()), (VERSION, "default"));
        let Target::Shown(shown) = request.target else { panic!("a proxy ends what it was shown") };
        let secret = match self.state().mood {
            FeedMood::Unreachable => return None,
            FeedMood::Forger => LookupSecret::new("a secret that nobody shares").expect("a long secret"),
            FeedMood::Honest | FeedMood::Forgetful => secret(),
        };
        if self.state().mood == FeedMood::Honest {
            self.state().written += 1;
            match &shown.sid {
                Some(sid) => self.revoke_session(sid),
                None => self.revoke_subject(&shown.sub, shown.issued_at_ms + 1),
            }
        }
        let receipt = Receipt {
            version: VERSION,
            realm: request.realm,
            id: request.id,
            epoch: "1".into(),
            seq: 1,
            at_ms: 1,
            promised_delay_ms: 5_000,
        };
        let body = serde_json::to_vec(&receipt).expect("a receipt is JSON");
        Some((BTreeMap::from([(MAC_HEADER, secret.sign(Message::Receipt, &body))]), body))
    }

    /// How often proxies have ended a session.
    #[must_use]
    pub fn written(&self) -> usize {
        self.state().written
    }

    /// Ends the session with this `sid`.
    pub fn revoke_session(&self, sid: &str) {
        self.say(Fact::Session { tag: secret().tag("default", TagKind::Session, sid) });
    }

    /// Ends the sessions of a subject that began before a moment, and those whose token was issued before it if they do
    /// not say when they began.
    pub fn revoke_subject(&self, subject: &str, before_ms: u64) {
        let bounds = Bounds { signed_in_before_ms: before_ms, issued_before_ms: before_ms };
        self.say(Fact::Subject { tag: secret().tag("default", TagKind::Subject, subject), bounds });
    }

    /// Says that a user was changed.
    pub fn changed(&self, subject: &str, as_of_ms: u64) {
        self.say(Fact::Changed { tag: secret().tag("default", TagKind::Subject, subject), as_of_ms });
    }

    fn say(&self, fact: Fact) {
        let mut state = self.state();
        let seq = state.entries.len() as u64 + 1;
        state.entries.push(Entry { seq, until_ms: u64::MAX, fact });
        self.0.1.notify_all();
    }

    /// Becomes the feed of another database, in which nothing has happened yet.
    pub fn begin_anew(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.entries.clear();
        self.0.1.notify_all();
    }

    /// Changes how it behaves.
    pub fn mood(&self, mood: FeedMood) {
        self.state().mood = mood;
        self.0.1.notify_all();
    }

    /// How many entries an answer holds at most.
    pub fn page(&self, entries: usize) {
        self.state().page = entries;
    }

    /// How many questions it has been asked.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.state().questions
    }

    /// Answers a question: the request target of a `GET`.
    ///
    /// # Panics
    /// When the question is not what was agreed.
    #[must_use]
    pub fn answer(&self, mac: &[u8], target: &str) -> Wire {
        let state = self.state();
        Self::reply(state, mac, target)
    }

    /// The same, held back for as long as the question says while there is nothing to tell.
    ///
    /// # Panics
    /// When the question is not what was agreed.
    #[must_use]
    pub fn answer_later(&self, mac: &[u8], target: &str) -> Wire {
        let (question, state) = (read(target), self.state());
        let wait = Duration::from_millis(question.wait_ms);
        let is_idle = |state: &mut State| state.has_nothing_for(&question);
        let (state, _) = self.0.1.wait_timeout_while(state, wait, is_idle).expect("no holder of the lock panicked");
        Self::reply(state, mac, target)
    }

    fn reply(mut state: MutexGuard<'_, State>, mac: &[u8], target: &str) -> Wire {
        assert!(secret().is_signed(Message::FeedQuestion, target.as_bytes(), mac), "the question is signed");
        state.questions += 1;
        let answer = state.answer(read(target));
        let body = serde_json::to_vec(&answer).expect("an answer is JSON");
        let secret = match state.mood {
            FeedMood::Unreachable => return None,
            FeedMood::Forger => LookupSecret::new("a secret that nobody shares").expect("a long secret"),
            FeedMood::Honest | FeedMood::Forgetful => secret(),
        };
        let mac = secret.sign(Message::FeedAnswer, &body);
        Some((BTreeMap::from([(MAC_HEADER, mac)]), body))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("no holder of the lock panicked")
    }
}

impl State {
    fn begins_anew(&self, question: &FeedQuestion) -> bool {
        question.epoch.as_ref() != Some(&self.epoch.to_string()) || question.after > self.entries.len() as u64
    }

    fn has_nothing_for(&self, question: &FeedQuestion) -> bool {
        let is_answered = self.mood != FeedMood::Honest || self.begins_anew(question);
        !is_answered && question.after == self.entries.len() as u64
    }

    fn answer(&self, question: FeedQuestion) -> FeedAnswer {
        const DAY: u64 = 86_400_000;
        assert_eq!((question.version, question.realm.as_str()), (VERSION, "default"));
        let snapshot = self.begins_anew(&question);
        let after = if snapshot { 0 } else { question.after };
        let later = self.entries.iter().filter(|entry| entry.seq > after);
        let entries: Vec<_> = later.take(self.page).cloned().collect();
        let upto = entries.last().map_or(after, |entry| entry.seq);
        FeedAnswer {
            version: VERSION,
            realm: question.realm,
            nonce: question.nonce,
            epoch: self.epoch.to_string(),
            snapshot,
            upto,
            complete: upto == self.entries.len() as u64,
            read_ms_ago: 0,
            now_ms: 1,
            promised_delay_ms: 5_000,
            max_session_age_ms: if self.mood == FeedMood::Forgetful { DAY } else { 400 * DAY },
            entries,
        }
    }
}

fn read(target: &str) -> FeedQuestion {
    let (_, query) = target.split_once('?').expect("a query");
    FeedQuestion::from_query(query).expect("a question in the agreed form")
}

fn secret() -> LookupSecret {
    LookupSecret::new(LOOKUP_SECRET).expect("a long secret")
}
