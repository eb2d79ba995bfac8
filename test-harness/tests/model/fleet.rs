//! The proxies and the service together, and time.

use std::sync::Arc;

use jwe_gate_test_host::RequestId;

use crate::contact::Contact;
use crate::database::Database;
use crate::proxy::{Line, Proxy, Seen};
use crate::run::PROXIES;
use crate::service::Services;
use crate::step::Where;

/// Time passes in steps, so that what is asked for is answered in between.
const STEP_MS: u64 = 100;

/// No request waits longer: a callout takes a second at most.
const LONGEST_WAIT_MS: u64 = 5_000;

/// How far each proxy's clock is ahead of the database's.
const AHEAD_MS: [i64; PROXIES] = [-1_300, 2_700];

pub(crate) struct Fleet {
    pub(crate) database: Arc<Database>,
    pub(crate) services: Services,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) contacts: Vec<Contact>,
    /// How many proxies have been started.
    started: u64,
    denies_if_stale: bool,
}

impl Fleet {
    pub(crate) fn start(denies_if_stale: bool) -> Self {
        let database = Arc::new(Database::new(BEGINNING));
        let services = Services::start(database.clone());
        let (proxies, contacts) = (Vec::new(), Vec::new());
        let mut fleet = Self { database, services, proxies, contacts, started: 0, denies_if_stale };
        for proxy in 0..PROXIES {
            let started = fleet.start_proxy(proxy);
            fleet.proxies.push(started);
            fleet.contacts.push(Contact::new(BEGINNING, denies_if_stale));
        }
        fleet.settle();
        fleet
    }

    pub(crate) fn now(&self) -> u64 {
        self.database.now_ms()
    }

    /// Sends a request, and lets it wait for what it waits for.
    pub(crate) fn request(&mut self, place: Where, line: (&str, &str), cookie: &str) -> (RequestId, Seen) {
        let request = self.proxies[place.proxy].send(place.worker, line, cookie);
        self.wait_while(|fleet| fleet.proxies[place.proxy].waits(request));
        (request, self.proxies[place.proxy].seen(request))
    }

    /// Answers a request as the application, with these cookies, and says which of them came through.
    pub(crate) fn answer(&mut self, proxy: usize, request: RequestId, cookies: &[String]) -> Vec<String> {
        self.proxies[proxy].respond(request, cookies);
        self.wait_while(|fleet| fleet.proxies[proxy].came(request).is_none());
        let came = self.proxies[proxy].came(request).unwrap_or_default();
        self.proxies[proxy].end(request);
        came
    }

    fn wait_while(&mut self, waits: impl Fn(&Self) -> bool) {
        self.settle();
        let until = self.now() + LONGEST_WAIT_MS;
        while waits(self) {
            assert!(self.now() < until, "a request waits for ever");
            self.step();
        }
    }

    /// Lets time pass.
    pub(crate) fn step(&mut self) {
        self.database.advance(STEP_MS);
        self.services.advance(STEP_MS);
        self.proxies.iter_mut().for_each(|proxy| proxy.advance(STEP_MS));
        self.settle();
        let now = self.now();
        self.contacts.iter_mut().for_each(|contact| contact.passed(now));
    }

    /// Lets everything happen that happens without time passing.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut happened = 0;
            for proxy in &mut self.proxies {
                happened += proxy.ask(&mut self.services);
            }
            self.services.settle();
            for proxy in &mut self.proxies {
                happened += proxy.hear(&self.services);
            }
            if happened == 0 {
                return;
            }
        }
    }

    /// Notes who can hear the service now.
    pub(crate) fn note_contacts(&mut self) {
        let now = self.now();
        for (contact, proxy) in self.contacts.iter_mut().zip(&self.proxies) {
            contact.set(proxy.line == Line::Up && self.services.can_answer(), now);
        }
    }

    fn start_proxy(&mut self, proxy: usize) -> Proxy {
        self.started += 1;
        Proxy::start(self.started, self.now().saturating_add_signed(AHEAD_MS[proxy]), self.denies_if_stale)
    }

    pub(crate) fn restart(&mut self, proxy: usize) {
        let now = self.now();
        self.proxies[proxy].check();
        self.proxies[proxy] = self.start_proxy(proxy);
        self.contacts[proxy] = Contact::new(now, self.denies_if_stale);
    }
}

/// Not a whole second.
const BEGINNING: u64 = 1_750_000_000_380;
