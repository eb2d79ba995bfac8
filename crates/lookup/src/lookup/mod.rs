//! The lookup itself: the process's own cache, then the shared one, then the database, and back into both.
//!
//! Fresh records answer. When the database cannot be asked, any record within its hard limit answers, with nothing
//! promised beyond that; denials too, so that an outage re-admits nobody. Without a record nothing is concluded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jwe_gate_contract::{Cause, Kind, Outcome, Reason};

use crate::cache::{MemoryCache, SharedCache};
use crate::clock::Clock;
use crate::flight::{Flight, Flights, Seat};
use crate::key::RecordKey;
use crate::metrics::{Layer, Metrics};
use crate::record::{Freshness, Held, Record, Verdict};
use crate::store::{Finding, Reading, StoreError, UserStore};

/// Answers what is known about keys.
#[derive(Clone)]
pub struct Lookup {
    parts: Arc<Parts>,
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
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The clock that ages are measured by.
    pub clock: Clock,
    /// Whether the last query failed, so that the log tells of changes and not of every query.
    pub failing: AtomicBool,
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
}

/// What a flight brings home.
#[derive(Clone)]
enum Landed {
    Found(Held, Layer),
    Failed(Cause),
}

/// An answer that is there, or one that is on its way.
enum Pending {
    Now(Held),
    Soon(Seat<Landed>),
}

/// A flight together with what it is for; the text of the key goes no further than the database.
struct Departure {
    flight: Flight<RecordKey, Landed>,
    key: String,
    issued_at_ms: Option<u64>,
}

impl Lookup {
    /// A lookup made of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), flights: Arc::new(Flights::new()) }
    }

    /// Whether the database's tables have been read; tries to, if not.
    ///
    /// # Errors
    /// When they cannot be.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.parts.store.prepare().await
    }

    /// Answers each of `wanted`, in order, within `patience`.
    pub async fn answer(&self, wanted: Vec<Wanted>, patience: Duration) -> Vec<Outcome> {
        let deadline = tokio::time::Instant::now() + patience;
        let pending = self.depart(wanted, patience);
        let mut outcomes = Vec::with_capacity(pending.len());
        for (key, pending) in pending {
            let (outcome, layer) = match pending {
                Pending::Now(held) => (held.outcome(self.parts.clock.now()), Layer::Memory),
                Pending::Soon(seat) => {
                    let landed = tokio::time::timeout_at(deadline, seat.landed()).await;
                    let landed = landed.unwrap_or(Some(Landed::Failed(Cause::Late)));
                    self.parts.conclude(&key, landed.unwrap_or(Landed::Failed(Cause::Unavailable)))
                }
            };
            self.parts.metrics.answered(&outcome, layer);
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Finds what is there, boards what is under way, and starts one flight for the rest.
    fn depart(&self, wanted: Vec<Wanted>, patience: Duration) -> Vec<(RecordKey, Pending)> {
        let now = self.parts.clock.now();
        let (mut pending, mut departures) = (Vec::with_capacity(wanted.len()), Vec::new());
        for Wanted { kind, key: text, issued_at_ms } in wanted {
            let key = RecordKey::new(kind, &text);
            let usable = |held: &Held| held.is_fresh(now) && held.record.speaks_of(issued_at_ms);
            if let Some(held) = self.parts.memory.find(&key, now).filter(usable) {
                pending.push((key, Pending::Now(held)));
                continue;
            }
            let (seat, flight) = self.flights.board(&key);
            match flight {
                Some(flight) => departures.push(Departure { flight, key: text, issued_at_ms }),
                None => self.parts.metrics.joined(),
            }
            pending.push((key, Pending::Soon(seat)));
        }
        if !departures.is_empty() {
            let parts = Arc::clone(&self.parts);
            // A task of its own: whoever asked may go away, and others may have boarded.
            tokio::spawn(async move { parts.fly(departures, patience).await });
        }
        pending
    }
}

impl Parts {
    async fn fly(&self, departures: Vec<Departure>, patience: Duration) {
        let missing = self.land_from_shared(departures, patience).await;
        let (users, sessions): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|departure| departure.flight.key().kind() == Kind::Subject);
        tokio::join!(self.land_from_store(Kind::Subject, users), self.land_from_store(Kind::Opaque, sessions));
    }

    /// Lands what the shared cache has fresh, and gives back the rest.
    async fn land_from_shared(&self, departures: Vec<Departure>, patience: Duration) -> Vec<Departure> {
        let Some(shared) = &self.shared else { return departures };
        let keys: Vec<_> = departures.iter().map(|departure| departure.flight.key().clone()).collect();
        let patience = (patience / SHARE_OF_SHARED).max(LEAST_FOR_SHARED);
        let found = match shared.read(&keys, patience).await {
            Ok(found) => found,
            Err(error) => {
                self.metrics.cache_failed(error);
                return departures;
            }
        };
        let now = self.clock.now();
        let mut missing = Vec::new();
        for (departure, held) in departures.into_iter().zip(found) {
            let Some(held) = held else {
                missing.push(departure);
                continue;
            };
            // Kept even when it is no longer fresh: it may be the last resort.
            self.memory.put(departure.flight.key().clone(), held.clone());
            // Redis may have missed what this process has read since, such as a denial.
            let is_newest = self.newer(departure.flight.key(), &held, now).is_none();
            if is_newest && held.is_fresh(now) && held.record.speaks_of(departure.issued_at_ms) {
                departure.flight.land(Landed::Found(held, Layer::Redis));
            } else {
                missing.push(departure);
            }
        }
        missing
    }

    async fn land_from_store(&self, kind: Kind, departures: Vec<Departure>) {
        if departures.is_empty() {
            return;
        }
        let keys: Vec<_> = departures.iter().map(|departure| departure.key.clone()).collect();
        let asked = self.clock.now();
        match self.ask_store(kind, &keys).await {
            Err(error) => {
                let cause = cause(&error);
                for departure in departures {
                    departure.flight.land(Landed::Failed(cause));
                }
            }
            Ok(reading) => {
                let mut records = Vec::with_capacity(departures.len());
                for (departure, finding) in departures.into_iter().zip(reading.findings) {
                    let held = Held { record: self.record(kind, reading.as_of_ms, finding), since: asked };
                    let key = departure.flight.key().clone();
                    self.memory.put(key.clone(), held.clone());
                    records.push((key, held.clone()));
                    // Another flight may have read later and landed sooner.
                    let newer = self.newer(departure.flight.key(), &held, asked);
                    let held = newer.filter(|newer| newer.is_fresh(asked)).unwrap_or(held);
                    departure.flight.land(Landed::Found(held, Layer::Database));
                }
                // After the landing: nobody waits for it.
                self.write_back(&records).await;
            }
        }
    }

    async fn ask_store(&self, kind: Kind, keys: &[String]) -> Result<Reading, StoreError> {
        let start = Instant::now();
        let (name, result) = match kind {
            Kind::Opaque => ("opaque", self.store.sessions(keys).await),
            Kind::Subject => ("subject", self.store.users(keys).await),
        };
        self.metrics.queried(name, result.as_ref().err(), start.elapsed());
        self.tell(result.as_ref().err());
        result
    }

    fn tell(&self, error: Option<&StoreError>) {
        if error == Some(&StoreError::NoSessions) {
            return;
        }
        let failed = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed => tracing::error!(%error, "lookups fail; answering from records only"),
            None if failed => tracing::info!("lookups work again"),
            _ => {}
        }
    }

    async fn write_back(&self, records: &[(RecordKey, Held)]) {
        let Some(shared) = &self.shared else { return };
        if let Err(error) = shared.write(records).await {
            self.metrics.cache_failed(error);
        }
    }

    fn record(&self, kind: Kind, as_of_ms: u64, finding: Finding) -> Record {
        let denied = match kind {
            Kind::Opaque => Reason::UnknownSession,
            Kind::Subject => Reason::UnknownUser,
        };
        match finding {
            Finding::Known { user, ends_in_ms } => {
                Record { verdict: Verdict::Allow { user }, as_of_ms, limits: self.freshness.of_known(ends_in_ms) }
            }
            Finding::Unknown => {
                Record { verdict: Verdict::Deny { reason: denied }, as_of_ms, limits: self.freshness.of_denied(denied) }
            }
        }
    }

    /// What this process knows better than `held`, fresh or not.
    fn newer(&self, key: &RecordKey, held: &Held, now: Instant) -> Option<Held> {
        self.memory.find(key, now).filter(|known| known.record.replaces(&held.record))
    }

    fn conclude(&self, key: &RecordKey, landed: Landed) -> (Outcome, Layer) {
        let now = self.clock.now();
        match landed {
            Landed::Found(held, layer) => (held.outcome(now), layer),
            Landed::Failed(cause) => {
                let record = self.memory.find(key, now).filter(|_| cause != Cause::Unsupported);
                let last_resort = record.and_then(|held| held.last_resort(now));
                last_resort.map_or((Outcome::Failed { cause }, Layer::None), |outcome| (outcome, Layer::LastResort))
            }
        }
    }
}

fn cause(error: &StoreError) -> Cause {
    match error {
        StoreError::NoSessions => Cause::Unsupported,
        _ => Cause::Unavailable,
    }
}

/// The shared cache gets this part of the time there is, so that a silent one leaves enough for the database.
const SHARE_OF_SHARED: u32 = 3;

/// But not so little that it would seem to fail because somebody asked in a hurry.
const LEAST_FOR_SHARED: Duration = Duration::from_millis(50);
