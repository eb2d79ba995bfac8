//! Several workers on one shared memory, and a service that numbers what it is told.

use std::rc::Rc;
use std::time::Duration;

use jwe_gate_contract::{FeedAnswer, FeedQuestion, Message, VERSION};
use proptest::prelude::*;

use super::log::tests::Memory;
use super::*;
use crate::claims::{self, Rules};
use crate::mac::MacKey;
use crate::metrics::FeedResult;
use crate::roster::{Entry as Worker, Incarnation};
use crate::secret::Secret;
use crate::shared::QueueId;

const SECRET: &str = "the secret of these tests";
const DAY: u64 = 86_400_000;

fn secret() -> LookupSecret {
    LookupSecret::new(SECRET).unwrap()
}

fn feed() -> Feed {
    Feed {
        secret: secret(),
        realm: Rc::from("default"),
        parts: vec!["cluster".into()],
        key: MacKey::derive(&Secret::new(SECRET), b"test"),
        poll: Duration::from_millis(500),
        max_session_age: Duration::from_millis(DAY),
    }
}

fn session(claims: &str) -> Session {
    let text = format!("{{\"exp\":2000,{claims}}}");
    claims::check(text.as_bytes(), None, &Rules::default(), UnixMillis(1_000_000)).unwrap()
}

/// The lookup service, as far as the feed goes.
struct Service {
    epoch: u64,
    entries: Vec<Entry>,
    page: usize,
    max_session_age_ms: u64,
}

impl Service {
    fn new(page: usize) -> Self {
        Self { epoch: 1, entries: Vec::new(), page, max_session_age_ms: DAY }
    }

    fn says(&mut self, fact: Fact) {
        let seq = self.entries.len() as u64 + 1;
        self.entries.push(Entry { seq, until_ms: u64::MAX, fact });
    }

    /// Its database is another one, with only some of what was there.
    fn restored(&mut self, kept: usize) {
        self.epoch += 1;
        self.entries.truncate(kept);
    }

    fn answer(&self, ask: &Ask) -> (String, Vec<u8>) {
        assert!(secret().is_signed(Message::FeedQuestion, ask.target.as_bytes(), ask.mac.as_bytes()));
        let (_, query) = ask.target.split_once('?').unwrap();
        let question = FeedQuestion::from_query(query).unwrap();
        let epoch = self.epoch.to_string();
        let snapshot = question.epoch.as_ref() != Some(&epoch) || question.after > self.entries.len() as u64;
        let after = if snapshot { 0 } else { question.after };
        let entries: Vec<_> = self.entries.iter().filter(|entry| entry.seq > after).take(self.page).cloned().collect();
        let upto = entries.last().map_or(after, |entry| entry.seq);
        let answer = FeedAnswer {
            version: VERSION,
            realm: question.realm,
            nonce: question.nonce,
            epoch,
            snapshot,
            upto,
            complete: upto == self.entries.len() as u64,
            read_ms_ago: 10,
            now_ms: 1,
            promised_delay_ms: 2_000,
            max_session_age_ms: self.max_session_age_ms,
            entries,
        };
        let body = serde_json::to_vec(&answer).unwrap();
        (secret().sign(Message::FeedAnswer, &body), body)
    }

    /// What a worker should know that has read everything.
    fn set(&self) -> Set {
        let mut set = Set::default();
        for entry in &self.entries {
            set.insert(&Notice::from(entry)).unwrap();
        }
        set
    }
}

/// The workers of one process.
struct Process {
    now: UnixMillis,
    memory: Memory,
    workers: Vec<(Follower, Option<Ask>)>,
}

impl Process {
    fn new(workers: u8) -> Self {
        let mut process = Self { now: UnixMillis(1_000_000), memory: Memory::default(), workers: Vec::new() };
        (0..workers).for_each(|_| process.add());
        process
    }

    fn add(&mut self) {
        let seed = [u8::try_from(self.workers.len()).unwrap(); 16];
        self.workers.push((Follower::new(feed(), seed), None));
    }

    fn tick(&mut self, worker: usize) {
        let Self { now, memory, workers } = self;
        let Some((follower, asked)) = workers.get_mut(worker) else { return };
        if follower.gives_up(*now) {
            *asked = None;
        }
        follower.catch_up(*now, memory);
        let own = Worker { incarnation: Incarnation(worker as u64 + 1), queue: QueueId(0), seen: *now };
        if follower.leads(*now, &own, memory)
            && let Some(ask) = follower.ask(*now)
        {
            *asked = Some(ask);
        }
    }

    fn answered(&mut self, worker: usize, service: &Service) -> Option<Taken> {
        let (follower, asked) = self.workers.get_mut(worker)?;
        let (mac, body) = service.answer(&asked.take()?);
        Some(follower.answered(self.now, (Some(mac.as_bytes()), Some(&body)), &self.memory))
    }

    fn pass(&mut self, ms: u64) {
        self.now = UnixMillis(self.now.0 + ms);
    }

    /// Lets everybody ask and read for some seconds.
    fn settle(&mut self, service: &Service) {
        for _ in 0..60 {
            self.pass(100);
            for worker in 0..self.workers.len() {
                self.tick(worker);
                self.answered(worker, service);
            }
        }
        (0..self.workers.len()).for_each(|worker| self.tick(worker));
    }
}

fn tag(kind: TagKind, text: &str) -> Tag {
    secret().tag("default", kind, text)
}

fn revoked(sid: &str) -> Fact {
    Fact::Session { tag: tag(TagKind::Session, sid) }
}

use jwe_gate_contract::TagKind;

#[test]
fn a_session_is_ended_by_its_sid_or_by_its_subject_and_times() {
    let mut known = Revocations::new(secret(), "default");
    let bound = Session::clone(&session(r#""sub":"7","iat":1000,"sid":"s""#));
    let early = session(r#""sub":"7","iat":1000,"auth_time":900"#);
    let late = session(r#""sub":"7","iat":1000,"auth_time":950"#);
    let other = session(r#""sub":"8","iat":1000,"sid":"t""#);
    let all = [&bound, &early, &late, &other];
    assert_eq!(all.map(|session| known.end(session)), [false; 4]);

    let entry = |fact| Notice::from(&Entry { seq: 1, until_ms: 5, fact });
    assert_eq!(known.add(&[entry(revoked("s"))]), Ok(vec![tag(TagKind::Session, "s")]));
    assert_eq!(all.map(|session| known.end(session)), [true, false, false, false]);
    // Names of one kind mean nothing among those of the other.
    known.add(&[entry(revoked("8")), entry(revoked("7"))]).unwrap();
    assert_eq!(all.map(|session| known.end(session)), [true, false, false, false]);

    let bounds = Bounds { signed_in_before_ms: 920_000, issued_before_ms: 980_000 };
    known.add(&[entry(Fact::Subject { tag: tag(TagKind::Subject, "7"), bounds })]).unwrap();
    assert_eq!(all.map(|session| known.end(session)), [true, true, false, false]);

    // A change of the user ends nothing, and says from when on verdicts count.
    known.add(&[entry(Fact::Changed { tag: tag(TagKind::Subject, "8"), as_of_ms: 3 })]).unwrap();
    assert!(!known.end(&other));
    assert_eq!(all.map(|session| known.changed(session).0), [0, 0, 0, 3]);

    known.replace(Set::default());
    assert_eq!(all.map(|session| known.end(session)), [false; 4]);
}

#[test]
fn every_worker_learns_what_one_is_told() {
    let (mut process, mut service) = (Process::new(3), Service::new(100));
    service.says(revoked("a"));
    process.settle(&service);
    assert_eq!(process.workers.iter().filter(|(_, asked)| asked.is_some()).count(), 1, "one asks");
    service.says(revoked("b"));
    process.settle(&service);
    for (follower, _) in &process.workers {
        assert_eq!(*follower.revocations().set(), service.set());
        assert!(follower.age_ms(process.now).unwrap() < 1_000);
        assert_eq!(follower.promised_delay_ms(), 2_000);
    }
    // One who comes later needs nobody's answer.
    process.add();
    process.tick(3);
    assert_eq!(*process.workers[3].0.revocations().set(), service.set());
    assert_eq!(process.workers[3].1, None);
}

#[test]
fn nothing_is_known_until_the_last_page_of_a_snapshot() {
    let (mut process, mut service) = (Process::new(1), Service::new(2));
    for sid in ["a", "b", "c", "d", "e"] {
        service.says(revoked(sid));
    }
    for page in 0..3 {
        assert_eq!(process.workers[0].0.age_ms(process.now), None, "before page {page}");
        process.tick(0);
        assert_eq!(process.answered(0, &service).unwrap().result, FeedResult::Answered);
    }
    assert_eq!(process.workers[0].0.age_ms(process.now), Some(10));
    assert_eq!(*process.workers[0].0.revocations().set(), service.set());
}

#[test]
fn another_takes_over_from_one_that_is_silent() {
    let (mut process, mut service) = (Process::new(2), Service::new(100));
    process.tick(0);
    process.tick(1);
    assert!(process.workers[0].1.is_some() && process.workers[1].1.is_none());
    service.says(revoked("a"));
    process.pass(999);
    process.tick(1);
    assert_eq!(process.workers[1].1, None);
    process.pass(1);
    process.tick(1);
    assert_eq!(process.answered(1, &service).unwrap().result, FeedResult::Answered);
    assert_eq!(*process.workers[1].0.revocations().set(), service.set());
    // The first one's answer comes after all, and is of the same worth.
    service.says(revoked("b"));
    process.answered(0, &service).unwrap();
    process.tick(1);
    assert_eq!(*process.workers[1].0.revocations().set(), service.set());
}

#[test]
fn an_answer_counts_by_its_content_alone() {
    let (mut process, service) = (Process::new(1), Service::new(100));
    let mut wrong = |change: &dyn Fn(&mut FeedAnswer), key: &str| {
        process.pass(1_000);
        process.tick(0);
        let (follower, asked) = &mut process.workers[0];
        let (_, body) = service.answer(&asked.take().unwrap());
        let mut answer: FeedAnswer = serde_json::from_slice(&body).unwrap();
        change(&mut answer);
        let body = serde_json::to_vec(&answer).unwrap();
        let mac = LookupSecret::new(key).unwrap().sign(Message::FeedAnswer, &body);
        follower.answered(process.now, (Some(mac.as_bytes()), Some(&body)), &process.memory).result
    };
    assert_eq!(wrong(&|_| {}, "a secret that nobody shares"), FeedResult::Invalid);
    assert_eq!(wrong(&|answer| answer.nonce = "another".into(), SECRET), FeedResult::Invalid);
    assert_eq!(wrong(&|answer| answer.realm = "another".into(), SECRET), FeedResult::Invalid);
    assert_eq!(wrong(&|answer| answer.version += 1, SECRET), FeedResult::Invalid);
    assert_eq!(wrong(&|answer| answer.snapshot = false, SECRET), FeedResult::Invalid);
    assert_eq!(wrong(&|answer| answer.max_session_age_ms -= 1, SECRET), FeedResult::SessionAge);
    assert_eq!(wrong(&|_| {}, SECRET), FeedResult::Answered);
    assert_eq!(wrong(&|answer| answer.epoch = "2".into(), SECRET), FeedResult::Invalid);
    let (follower, _) = &mut process.workers[0];
    process.now = UnixMillis(process.now.0 + 5_000);
    assert_eq!(follower.age_ms(process.now), Some(6_010));
    let unasked = follower.answered(process.now, (None, None), &process.memory);
    assert_eq!(unasked, Taken { result: FeedResult::Unknown, news: News::Nothing });
}

#[test]
fn a_log_that_was_spoilt_is_made_anew() {
    for end in ["/head", "/0/0", "/1/0"] {
        let (mut process, mut service) = (Process::new(2), Service::new(1_000));
        (0..200).for_each(|number: u32| service.says(revoked(&number.to_string())));
        process.settle(&service);
        process.memory.spoil(end);
        process.add();
        process.settle(&service);
        service.says(revoked("one more"));
        process.settle(&service);
        process.memory.spoil("/head");
        process.settle(&service);
        for (follower, _) in &process.workers {
            assert_eq!(*follower.revocations().set(), service.set(), "{end}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Tick(usize),
    Answer(usize),
    Lose(usize),
    Say(u8),
    Restore(usize),
    Add,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_usize).prop_map(Step::Tick),
        4 => (0..4_usize).prop_map(Step::Answer),
        1 => (0..4_usize).prop_map(Step::Lose),
        3 => (0..40_u8).prop_map(Step::Say),
        1 => (0..20_usize).prop_map(Step::Restore),
        1 => Just(Step::Add),
        2 => (0..1_500_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_all_come_to_know_what_the_service_says(
        steps in proptest::collection::vec(step(), 0..80),
        page in 1..5_usize,
    ) {
        let (mut process, mut service) = (Process::new(2), Service::new(page));
        for step in steps {
            match step {
                Step::Tick(worker) => process.tick(worker),
                Step::Answer(worker) => drop(process.answered(worker, &service)),
                Step::Lose(worker) => {
                    if let Some((follower, asked)) = process.workers.get_mut(worker)
                        && asked.take().is_some()
                    {
                        follower.failed(process.now);
                    }
                }
                Step::Say(number) => service.says(revoked(&number.to_string())),
                Step::Restore(kept) => service.restored(kept),
                Step::Add if process.workers.len() < 4 => process.add(),
                Step::Add => {}
                Step::Wait(ms) => process.pass(ms),
            }
        }
        process.settle(&service);
        for (follower, _) in &process.workers {
            prop_assert_eq!(follower.revocations().set(), &service.set());
            prop_assert!(follower.age_ms(process.now).is_some_and(|age| age < 1_500));
        }
    }
}
