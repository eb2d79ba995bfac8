//! Workers that wait for each other's lookups, when messages get lost, workers die, and an answer is of no use to those who
//! waited for it: on the core alone, and on the artefact.

use std::rc::Rc;

use jwe_gate_test_harness::driver;
use jwe_gate_test_harness::driver::{Outcome, Sent};
use jwe_gate_test_harness::steps::Steps;
use jwe_gate_test_harness::{FakeLookup, Mood, Request, Setup, Token};

struct Stage {
    steps: Rc<dyn Steps>,
    lookup: FakeLookup,
}

impl Stage {
    /// Plays a scene on both simulations, with three workers.
    fn play(setup: &Setup, scene: impl Fn(&Self)) {
        let setup = setup.clone().workers(3);
        for start in [driver::core::start_steps, driver::wasm::start_steps] {
            let lookup = FakeLookup::default();
            lookup.add("alice");
            let stage = Self { steps: start(&setup, lookup.clone()), lookup };
            scene(&stage);
            stage.rest(5_000);
            stage.steps.check_health();
        }
    }

    fn send(&self, worker: usize, token: &Token) -> Sent {
        self.steps.send(&Request::with_cookies(&token.pair()).worker(worker)).expect("the worker lives")
    }

    fn token(&self) -> Token {
        Token::of("alice", self.steps.now_ms())
    }

    /// A request of alice on this worker, parked.
    fn park(&self, worker: usize) -> Sent {
        let sent = self.send(worker, &self.token());
        self.deliver();
        assert_eq!(self.steps.look(sent), Outcome::Waiting);
        sent
    }

    fn deliver(&self) {
        while self.steps.deliver() {}
    }

    /// Lets everything happen for some time.
    fn rest(&self, ms: u64) {
        for _ in 0..ms / 100 {
            self.steps.pass(100);
            self.deliver();
            while self.steps.answer(0) {
                self.deliver();
            }
        }
    }

    #[track_caller]
    fn admitted(&self, sent: Sent) {
        match self.steps.look(sent) {
            Outcome::Forwarded(headers) => assert!(headers.contains(&("x-user-id".into(), "alice".into()))),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refused(&self, sent: Sent, status: u16) {
        match self.steps.look(sent) {
            Outcome::Replied { status: seen, .. } => assert_eq!(seen, status),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn all_admitted(&self, sent: &[Sent]) {
        for sent in sent {
            self.admitted(*sent);
        }
    }

    #[track_caller]
    fn all_refused(&self, sent: &[Sent], status: u16) {
        for sent in sent {
            self.refused(*sent, status);
        }
    }

    fn count(&self, name: &str) -> u64 {
        // The filter tells on ticks.
        self.rest(100);
        self.steps.counters().get(name).copied().unwrap_or_default()
    }
}

#[test]
fn followers_go_on_as_soon_as_they_are_woken() {
    Stage::play(&Setup::default(), |stage| {
        let sent = [0, 1, 2, 1].map(|worker| stage.park(worker));
        assert_eq!(stage.steps.callouts(), [["alice"]]);
        assert!(stage.steps.answer(0));
        stage.admitted(sent[0]);
        stage.deliver();
        stage.all_admitted(&sent);
        assert_eq!(stage.lookup.questions().len(), 1);
        assert_eq!(stage.count("jwe_gate.together.followed"), 2);
    });
}

#[test]
fn a_wake_up_that_is_lost_costs_a_tick() {
    Stage::play(&Setup::default(), |stage| {
        let sent = [0, 1, 2].map(|worker| stage.park(worker));
        assert!(stage.steps.answer(0));
        stage.steps.lose_wakeups();
        stage.deliver();
        assert_eq!(stage.steps.look(sent[1]), Outcome::Waiting);
        stage.steps.pass(100);
        stage.all_admitted(&sent);
        assert_eq!(stage.lookup.questions().len(), 1);
    });
}

#[test]
fn a_leader_that_dies_is_replaced_by_one_of_those_who_wait() {
    Stage::play(&Setup::default(), |stage| {
        let [first, second, third] = [0, 1, 2].map(|worker| stage.park(worker));
        stage.steps.kill(0);
        assert_eq!(stage.steps.look(first), Outcome::Closed);
        stage.steps.pass(900);
        assert_eq!(stage.steps.callouts().len(), 0, "it might be alive");
        stage.steps.pass(200);
        assert_eq!(stage.steps.callouts(), [["alice"]]);
        assert!(stage.steps.answer(0));
        stage.deliver();
        stage.admitted(second);
        stage.admitted(third);
        assert_eq!(stage.lookup.questions().len(), 2);
    });
}

#[test]
fn a_follower_that_dies_disturbs_nobody() {
    Stage::play(&Setup::default(), |stage| {
        let [first, _, third] = [0, 1, 2].map(|worker| stage.park(worker));
        stage.steps.kill(1);
        assert!(stage.steps.answer(0));
        stage.deliver();
        stage.admitted(first);
        stage.admitted(third);
        assert_eq!(stage.lookup.questions().len(), 1);
    });
}

#[test]
fn a_worker_that_starts_later_follows_too() {
    Stage::play(&Setup::default(), |stage| {
        let first = stage.park(0);
        stage.steps.add();
        let second = stage.park(3);
        assert!(stage.steps.answer(0));
        stage.deliver();
        stage.admitted(first);
        stage.admitted(second);
        assert_eq!(stage.lookup.questions().len(), 1);
    });
}

#[test]
fn a_failure_of_the_leader_is_the_failure_of_all() {
    for mood in [Mood::Unable, Mood::Unreachable, Mood::Forger, Mood::Confused] {
        Stage::play(&Setup::default(), |stage| {
            let sent = [0, 1, 2].map(|worker| stage.park(worker));
            stage.lookup.mood(mood);
            assert!(stage.steps.answer(0));
            stage.deliver();
            stage.all_refused(&sent, 503);
            assert!(stage.steps.callouts().is_empty());
            stage.lookup.mood(Mood::Honest);
        });
    }
}

#[test]
fn a_silent_lookup_is_given_up_for_all_at_once() {
    Stage::play(&Setup::default().with("/lookup/timeout_ms", 500), |stage| {
        let sent = [0, 1, 2].map(|worker| stage.park(worker));
        stage.steps.pass(500);
        stage.deliver();
        stage.all_refused(&sent, 503);
        assert_eq!(stage.lookup.questions().len(), 1);
    });
}

#[test]
fn an_answer_that_is_older_than_a_token_sends_its_worker_to_ask() {
    Stage::play(&Setup::default(), |stage| {
        let now = stage.steps.now_ms();
        let first = stage.send(0, &Token::of("newcomer", now).claim("iat", now / 1000 - 60));
        stage.deliver();
        let second = stage.send(1, &Token::of("newcomer", now).claim("iat", now / 1000));
        stage.deliver();
        // A replica that has not heard of the sign-up.
        stage.lookup.as_of(now - 10_000);
        assert!(stage.steps.answer(0));
        stage.refused(first, 403);
        stage.lookup.as_of(now + 2_000);
        stage.lookup.add("newcomer");
        stage.deliver();
        assert_eq!(stage.steps.look(second), Outcome::Waiting);
        assert!(stage.steps.answer(0));
        assert!(matches!(stage.steps.look(second), Outcome::Forwarded(_)));
        assert_eq!(stage.lookup.questions().len(), 2);
    });
}

#[test]
fn an_answer_that_cannot_be_shared_is_asked_for_again_by_one_worker_at_a_time() {
    Stage::play(&Setup::default().with("/cache/record_bytes", 256), |stage| {
        let long = "x".repeat(200);
        stage.lookup.add(&long);
        let token = || Token::of(&long, stage.steps.now_ms());
        let sent = [0, 1, 2].map(|worker| stage.send(worker, &token()));
        stage.deliver();
        for answered in 1..=3 {
            assert_eq!(stage.steps.callouts().len(), 1, "{answered}");
            assert!(stage.steps.answer(0));
            stage.deliver();
        }
        for sent in sent {
            assert!(matches!(stage.steps.look(sent), Outcome::Forwarded(_)));
        }
    });
}

#[test]
fn what_nobody_waits_for_any_more_is_not_asked() {
    Stage::play(&Setup::default(), |stage| {
        let sent = stage.send(0, &stage.token());
        stage.steps.abandon(sent);
        stage.deliver();
        stage.steps.pass(200);
        assert!(stage.lookup.questions().is_empty());
        // Nor is it taken over.
        let (_, follower) = (stage.park(0), stage.park(1));
        stage.steps.abandon(follower);
        stage.steps.kill(0);
        stage.steps.pass(3_000);
        assert_eq!(stage.lookup.questions().len(), 1);
    });
}

#[test]
fn a_lookup_that_has_been_answered_meanwhile_is_not_asked() {
    Stage::play(&Setup::default(), |stage| {
        let first = stage.park(0);
        // Its worker has not come round to asking when the answer arrives.
        let second = stage.send(1, &stage.token());
        assert!(stage.steps.answer(0));
        stage.deliver();
        stage.admitted(first);
        stage.admitted(second);
        assert_eq!(stage.lookup.questions().len(), 1);
    });
}
