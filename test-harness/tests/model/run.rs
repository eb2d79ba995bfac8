//! Plays a story and compares what is seen with the model after every step.

use std::collections::VecDeque;

use jwe_gate_test_harness::token::COOKIE;
use jwe_gate_test_host::RequestId;

use crate::database::Ended;
use crate::fleet::Fleet;
use crate::proxy::{Line, Seen, WORKERS};
use crate::service::REPLICAS;
use crate::sessions::{Fate, Sessions};
use crate::step::{Step, Story, Where, Which};

pub(crate) const PROXIES: usize = 2;

/// Until nothing is left of whatever was disturbed.
const CALM_MS: u64 = 6_000;

/// Plays it.
pub(crate) fn play(story: &Story) {
    let mut run = Run {
        fleet: Fleet::start(story.denies_if_stale),
        sessions: Sessions::new(story.ahead_ms),
        streams: Vec::new(),
        slow: VecDeque::new(),
        owed: Vec::new(),
        numbers: 0,
    };
    for step in &story.steps {
        run.take(step);
        run.check();
    }
    run.finish();
}

struct Run {
    fleet: Fleet,
    sessions: Sessions,
    streams: Vec<Open>,
    /// Refreshes that the application has not answered.
    slow: VecDeque<Open>,
    /// Sign-outs that the application answered, and that must be written sooner or later.
    owed: Vec<Open>,
    /// For ids.
    numbers: usize,
}

/// A request that has gone on.
#[derive(Clone, Copy)]
struct Open {
    place: Where,
    request: RequestId,
    session: usize,
}

impl Run {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::SignIn { user, kind } => self.sessions.sign_in(user, kind, self.fleet.now()),
            Step::Visit(place, which) => drop(self.visit(place, which)),
            Step::Stream(place, which) => self.stream(place, which),
            Step::Refresh(place, which) => {
                if let Some(open) = self.shown(place, which, ("GET", "/api/auth/session")) {
                    self.refreshed(open);
                }
            }
            Step::BeginRefresh(place, which) => {
                let open = self.shown(place, which, ("GET", "/api/auth/session"));
                self.slow.extend(open);
            }
            Step::Reply => {
                if let Some(open) = self.slow.pop_front() {
                    self.refreshed(open);
                }
            }
            Step::SignOut(place, which) => self.sign_out(place, which),
            Step::SignOutOfApp(place, which) => self.sign_out_of_app(place, which),
            Step::End(which) => self.end(which),
            Step::EndAll { user } => {
                let ended = self.sessions.ask_to_end_user(user);
                self.administrate(&ended);
            }
            Step::Wait { ms } => self.wait(ms),
            Step::StopReplica(replica) => self.replica(replica, false),
            Step::StartReplica(replica) => self.replica(replica, true),
            Step::Database { is_down } => {
                self.fleet.database.set_down(is_down);
                self.fleet.note_contacts();
            }
            Step::Line { proxy, line } => {
                self.fleet.proxies[proxy].set_line(line);
                self.fleet.note_contacts();
            }
            Step::Crash(place) => {
                self.fleet.proxies[place.proxy].crash(place.worker);
                self.forget(|of| of.proxy == place.proxy && of.worker == place.worker);
                self.failed(place.proxy);
            }
            Step::RestartProxy(proxy) => {
                self.fleet.restart(proxy);
                self.forget(|of| of.proxy == proxy);
                self.fleet.note_contacts();
            }
            Step::Configure(proxy) => {
                self.fleet.proxies[proxy].configure();
                // What has not been written yet is not asked for again by the next configuration.
                self.owed.retain(|open| open.place.proxy != proxy);
                self.failed(proxy);
            }
        }
        self.fleet.settle();
    }

    /// Sends a request with a token, and holds what is seen against the model.
    fn request(&mut self, place: Where, which: Which, line: (&str, &str)) -> Option<(Open, Seen)> {
        let session = self.sessions.pick(which.session)?;
        let cookies = &self.sessions.get(session).cookies;
        let cookie = cookies[which.token % cookies.len()].clone();
        let now = self.fleet.now();
        let (request, seen) = self.fleet.request(place, line, &cookie);
        self.read();
        self.compare(place, session, &seen, now);
        Some((Open { place, request, session }, seen))
    }

    fn compare(&self, place: Where, session: usize, seen: &Seen, now: u64) {
        let (contact, session) = (&self.fleet.contacts[place.proxy], self.sessions.get(session));
        if let Seen::Admitted(user) = seen {
            assert_eq!(user, session.user);
        }
        match session.fate {
            Fate::Ended(at) if contact.must_refuse(at, now) => {
                assert!(!matches!(seen, Seen::Admitted(_)), "admitted {} ms after it ended: {session:?}", now - at);
            }
            Fate::Live if contact.must_admit(now) => {
                assert!(matches!(seen, Seen::Admitted(_)), "{seen:?}, and nobody ended it: {session:?}");
            }
            Fate::Ended(_) | Fate::Live | Fate::Unclear => {}
        }
        if session.fate == Fate::Live {
            assert!(matches!(seen, Seen::Admitted(_) | Seen::Refused(503)), "{seen:?}, and nobody ended it");
        }
    }

    fn visit(&mut self, place: Where, which: Which) -> Option<Seen> {
        let (open, seen) = self.request(place, which, ("GET", "/page"))?;
        if matches!(seen, Seen::Admitted(_)) {
            self.fleet.answer(place.proxy, open.request, &[]);
        }
        Some(seen)
    }

    fn stream(&mut self, place: Where, which: Which) {
        let Some((open, Seen::Admitted(_))) = self.request(place, which, ("GET", "/events")) else { return };
        self.fleet.proxies[place.proxy].respond(open.request, &[]);
        self.streams.push(open);
    }

    /// A request on a path of the issuer, if the application gets to see its token.
    fn shown(&mut self, place: Where, which: Which, line: (&str, &str)) -> Option<Open> {
        match self.request(place, which, line)? {
            (open, Seen::Admitted(_)) => Some(open),
            (open, Seen::Anonymous) => {
                self.fleet.proxies[place.proxy].end(open.request);
                None
            }
            _ => None,
        }
    }

    /// The application issues a token, which counts only if it comes through.
    fn refreshed(&mut self, open: Open) {
        let fresh = self.sessions.issue(open.session, self.fleet.now());
        let came = self.fleet.answer(open.place.proxy, open.request, &[format!("{fresh}; Path=/; HttpOnly")]);
        if came.is_empty() {
            self.sessions.take_back(open.session);
        }
    }

    /// What is said to be done has been written.
    fn sign_out(&mut self, place: Where, which: Which) {
        let Some(session) = self.sessions.pick(which.session) else { return };
        let was = self.sessions.get(session).fate;
        self.sessions.ask_to_end(session);
        let cookies = &self.sessions.get(session).cookies;
        let cookie = cookies[which.token % cookies.len()].clone();
        let (_, seen) = self.fleet.request(place, ("POST", "/sign-out"), &cookie);
        self.read();
        let is_over = matches!(self.sessions.get(session).fate, Fate::Ended(_));
        match seen {
            Seen::Refused(204) => assert!(is_over || was == Fate::Unclear, "said to be signed out, and is not"),
            Seen::Refused(503) => {}
            other => panic!("{other:?}"),
        }
    }

    /// When the answer comes it has been written, if all is well; else it must be sooner or later.
    fn sign_out_of_app(&mut self, place: Where, which: Which) {
        let Some(open) = self.shown(place, which, ("POST", "/api/auth/signout")) else { return };
        self.sessions.ask_to_end(open.session);
        self.fleet.answer(place.proxy, open.request, &[format!("{COOKIE}=; Path=/; Max-Age=0")]);
        self.read();
        if self.fleet.contacts[place.proxy].must_admit(self.fleet.now()) {
            let session = self.sessions.get(open.session);
            assert_ne!(session.fate, Fate::Live, "the application signed out, and it is not written: {session:?}");
        }
        self.owed.push(open);
    }

    fn end(&mut self, which: Which) {
        let Some(session) = self.sessions.pick(which.session) else { return };
        let ended = self.sessions.ask_to_end(session);
        self.administrate(&ended);
    }

    fn administrate(&mut self, ended: &Ended) {
        self.numbers += 1;
        let written = self.fleet.database.written_after(0).len();
        let is_durable = self.fleet.services.end(format!("an-id-of-the-model-{}", self.numbers), ended);
        assert_eq!(is_durable, self.fleet.database.written_after(0).len() > written);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.fleet.now() + ms;
        while self.fleet.now() < until {
            self.fleet.step();
            self.check();
        }
    }

    fn replica(&mut self, replica: usize, runs: bool) {
        if runs {
            self.fleet.services.restart(replica);
        } else {
            self.fleet.services.stop(replica);
        }
        (0..PROXIES).for_each(|proxy| self.failed(proxy));
        self.fleet.note_contacts();
    }

    fn failed(&mut self, proxy: usize) {
        let now = self.fleet.now();
        self.fleet.contacts[proxy].failure(now);
    }

    /// These workers have ended, with all that they had open or were about to ask for.
    fn forget(&mut self, has_ended: impl Fn(Where) -> bool) {
        self.streams.retain(|open| !has_ended(open.place));
        self.slow.retain(|open| !has_ended(open.place));
        self.owed.retain(|open| !has_ended(open.place));
    }

    fn read(&mut self) {
        let rows = self.fleet.database.written_after(self.sessions.read_up_to());
        self.sessions.read(&rows);
    }

    /// Holds what is open against the model.
    fn check(&mut self) {
        self.read();
        let (fleet, sessions) = (&self.fleet, &self.sessions);
        self.streams.retain(|open| {
            let is_open = fleet.proxies[open.place.proxy].is_open(open.request);
            let session = sessions.get(open.session);
            match session.fate {
                Fate::Ended(at) => {
                    let must_be_over = fleet.contacts[open.place.proxy].has_heard(at);
                    assert!(!(is_open && must_be_over), "a stream goes on {} ms after: {session:?}", fleet.now() - at);
                }
                Fate::Live => assert!(is_open, "a stream was cut that nobody ended: {session:?}"),
                Fate::Unclear => {}
            }
            is_open
        });
    }

    /// Everything works again: each session is what the model says, everywhere.
    fn finish(&mut self) {
        self.fleet.database.set_down(false);
        (0..REPLICAS).for_each(|replica| self.fleet.services.restart(replica));
        (0..PROXIES).for_each(|proxy| self.fleet.proxies[proxy].set_line(Line::Up));
        self.fleet.note_contacts();
        // A worker without a VM begins with its next request.
        self.visit_all();
        self.wait(CALM_MS);
        for open in std::mem::take(&mut self.owed) {
            let session = self.sessions.get(open.session);
            assert_ne!(session.fate, Fate::Live, "the application signed out, and nobody was told: {session:?}");
        }
        self.visit_all();
        self.check();
        self.fleet.proxies.iter().for_each(crate::proxy::Proxy::check);
    }

    fn visit_all(&mut self) {
        for (proxy, worker) in (0..PROXIES).flat_map(|proxy| (0..WORKERS).map(move |worker| (proxy, worker))) {
            for session in 0..self.sessions.count() {
                let last = self.sessions.pick(session).map_or(0, |index| self.sessions.get(index).cookies.len() - 1);
                for token in [0, last] {
                    self.visit(Where { proxy, worker }, Which { session, token });
                }
            }
        }
    }
}
