//! The lookup itself: the process's own cache, then the shared one, then the database, and back into both.
//!
//! Fresh records answer. When the database cannot be asked, any record within its hard limit answers, with nothing
//! promised beyond that; denials too, so that an outage re-admits nobody. Without a record nothing is concluded.
//!
//! This file is about whoever asks: what is there is answered, what is under way is waited for, and the rest departs. A
//! bounded number of questions is worked on; one more is not.

mod shared;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jwe_gate_contract::{Cause, Kind, Outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::batch::Batches;
use crate::cache::{MemoryCache, SharedCache, Ticket};
use crate::clock::{Clock, Seldom};
use crate::flight::{Flight, Flights, Seat};
use crate::key::RecordKey;
use crate::metrics::{Layer, Metrics, Shed};
use crate::record::{Freshness, Held};
use crate::store::{StoreError, UserStore};

/// Answers what is known about keys.
#[derive(Clone)]
pub struct Lookup {
    works: Arc<Works>,
    flights: Arc<Flights<RecordKey, Landed>>,
}

/// What a lookup is made of.
pub struct Parts {
    /// The database.
    pub store: Arc<dyn UserStore>,
    /// The shared cache, if there is one.
    pub shared: Option<Arc<dyn SharedCache>>,
    /// The process's own cache.
    pub memory: MemoryCache,
    /// How long verdicts may be used.
    pub freshness: Freshness,
    /// What is worked on at once.
    pub load: Load,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The clock that ages are measured by.
    pub clock: Clock,
}

/// What is worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Questions, at most, that the process's own cache does not answer.
    pub questions: usize,
    /// Database queries of each kind, at most.
    pub queries: usize,
}

/// One thing to look up.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What the key is.
    pub kind: Kind,
    /// A subject, or an opaque token.
    pub key: String,
    /// When the token was issued, if that is known.
    pub issued_at_ms: Option<u64>,
    /// The fields that the answer should carry.
    pub fields: Vec<String>,
}

/// The parts, and what is under way among them.
struct Works {
    parts: Parts,
    /// One for each question that is worked on.
    places: Arc<Semaphore>,
    users: Arc<Batches<Departure>>,
    sessions: Arc<Batches<Departure>>,
    /// Whether the last query failed, so that the log tells of changes and not of every query.
    is_failing: AtomicBool,
    told_unfit: Seldom,
    told_unserved: Seldom,
}

/// What a flight brings home.
#[derive(Clone)]
enum Landed {
    Found(Held, Layer),
    Failed(Cause),
}

/// An answer that is there, one that is on its way, or none.
enum Pending {
    Now(Held),
    Refused,
    /// Whoever joined a flight holds a place; whoever started one has given it to the flight.
    Soon(Seat<Landed>, Option<OwnedSemaphorePermit>),
}

/// A flight together with what it is for; the text of the key goes no further than the database.
struct Departure {
    flight: Flight<RecordKey, Landed>,
    key: String,
    issued_at_ms: Option<u64>,
    /// What its lookup was claimed with among the services, if it was.
    ticket: Option<Ticket>,
    _place: OwnedSemaphorePermit,
}

impl Lookup {
    /// A lookup made of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let batches = || Arc::new(Batches::new(parts.load.queries));
        let (users, sessions) = (batches(), batches());
        let places = Arc::new(Semaphore::new(parts.load.questions));
        let works = Works {
            parts,
            places,
            users,
            sessions,
            is_failing: AtomicBool::default(),
            told_unfit: Seldom::default(),
            told_unserved: Seldom::default(),
        };
        Self { works: Arc::new(works), flights: Arc::new(Flights::new()) }
    }

    /// Whether the database's tables have been read; tries to, if not.
    ///
    /// # Errors
    /// When they cannot be.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.works.parts.store.prepare().await
    }

    /// The user was changed at this moment, by the database's clock: what is known from before is of no use.
    pub fn changed(&self, subject: &str, as_of_ms: u64) {
        self.works.parts.memory.change(&RecordKey::new(Kind::Subject, subject), as_of_ms);
    }

    /// How many questions are being worked on.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.works.parts.load.questions.saturating_sub(self.works.places.available_permits())
    }

    /// Answers each of `wanted`, in order, with the fields that it asks for, within `patience`. Dropped before that, it leaves nothing to be done for it.
    pub async fn answer(&self, mut wanted: Vec<Wanted>, patience: Duration) -> Vec<Outcome> {
        let deadline = Instant::now() + patience;
        let fields: Vec<_> = wanted.iter_mut().map(|it| std::mem::take(&mut it.fields)).collect();
        let pending = self.depart(wanted, deadline);
        let mut outcomes = Vec::with_capacity(pending.len());
        for ((key, pending), fields) in pending.into_iter().zip(fields) {
            let (outcome, layer) = match pending {
                Pending::Now(held) => (held.outcome(self.works.parts.clock.now()), Layer::Memory),
                Pending::Refused => self.works.conclude(&key, Landed::Failed(Cause::Unavailable)),
                Pending::Soon(seat, _place) => {
                    let landed = tokio::time::timeout_at(deadline, seat.landed()).await;
                    let landed = landed.unwrap_or(Some(Landed::Failed(Cause::Late)));
                    self.works.conclude(&key, landed.unwrap_or(Landed::Failed(Cause::Unavailable)))
                }
            };
            let outcome = self.works.narrowed(outcome, &fields);
            self.works.parts.metrics.answered(&outcome, layer);
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Finds what is there, boards what is under way, and starts one flight for the rest.
    fn depart(&self, wanted: Vec<Wanted>, deadline: Instant) -> Vec<(RecordKey, Pending)> {
        let parts = &self.works.parts;
        let now = parts.clock.now();
        let (mut pending, mut departures) = (Vec::with_capacity(wanted.len()), Vec::new());
        for Wanted { kind, key: text, issued_at_ms, .. } in wanted {
            let key = RecordKey::new(kind, &text);
            let usable = |held: &Held| {
                held.is_fresh(now)
                    && held.record.speaks_of(issued_at_ms)
                    && !parts.memory.is_overtaken(&key, &held.record)
            };
            if let Some(held) = parts.memory.find(&key, now).filter(usable) {
                pending.push((key, Pending::Now(held)));
                continue;
            }
            let Ok(place) = Arc::clone(&self.works.places).try_acquire_owned() else {
                parts.metrics.shed(Shed::Full);
                pending.push((key, Pending::Refused));
                continue;
            };
            let (seat, flight) = self.flights.board(&key, deadline);
            let Some(flight) = flight else {
                parts.metrics.joined();
                pending.push((key, Pending::Soon(seat, Some(place))));
                continue;
            };
            departures.push(Departure { flight, key: text, issued_at_ms, ticket: None, _place: place });
            pending.push((key, Pending::Soon(seat, None)));
        }
        if !departures.is_empty() {
            // A task of its own: whoever asked may go away, and others may have boarded.
            tokio::spawn(Arc::clone(&self.works).fly(departures, deadline));
        }
        pending
    }
}

impl Works {
    /// The answer with the fields that were asked for and no others. Records hold all that are served, so what is missing
    /// is not served.
    fn narrowed(&self, outcome: Outcome, asked: &[String]) -> Outcome {
        let Outcome::Allow { user, as_of_ms, limits, fields: served } = outcome else { return outcome };
        let pick = |name: &String| Some((name.clone(), served.get(name)?.clone()));
        if let Some(fields) = asked.iter().map(pick).collect() {
            return Outcome::Allow { user, as_of_ms, limits, fields };
        }
        if self.told_unserved.is_due(self.parts.clock.now()) {
            tracing::error!("a field is asked for that USER_FIELDS or USER_QUERY does not give; see lookup.fields");
        }
        Outcome::Failed { cause: Cause::Unsupported }
    }

    fn conclude(&self, key: &RecordKey, landed: Landed) -> (Outcome, Layer) {
        let now = self.parts.clock.now();
        match landed {
            Landed::Found(held, layer) => (held.outcome(now), layer),
            Landed::Failed(cause) => {
                let record = self.parts.memory.find(key, now).filter(|_| cause != Cause::Unsupported);
                // An outage does not re-admit who may have been barred.
                let overtaken = |held: &Held| self.parts.memory.is_overtaken(key, &held.record);
                let record = record.filter(|held| held.record.is_denial() || !overtaken(held));
                let last_resort = record.and_then(|held| held.last_resort(now));
                last_resort.map_or((Outcome::Failed { cause }, Layer::None), |outcome| (outcome, Layer::LastResort))
            }
        }
    }

    /// What this process knows better than `held`, fresh or not.
    fn newer(&self, key: &RecordKey, held: &Held, now: std::time::Instant) -> Option<Held> {
        self.parts.memory.find(key, now).filter(|known| known.record.replaces(&held.record))
    }
}
