//! The database's part: what waits for it is asked for in few queries, and what is found goes back into the caches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use jwe_gate_contract::{Cause, Kind, Reason};

use super::{Departure, Landed, Works};
use crate::batch::Shift;
use crate::cache::{Settled, Ticket};
use crate::key::RecordKey;
use crate::metrics::Layer;
use crate::record::{Held, Record, Verdict};
use crate::store::{Finding, Reading, StoreError, Unfit};

impl Works {
    /// Has them looked up, now or with the next batch.
    pub(super) fn send_to_store(self: &Arc<Self>, departures: Vec<Departure>) {
        let (users, sessions): (Vec<_>, Vec<_>) =
            departures.into_iter().partition(|departure| departure.flight.key().kind() == Kind::Subject);
        for (kind, batches, departures) in
            [(Kind::Subject, &self.users, users), (Kind::Opaque, &self.sessions, sessions)]
        {
            if let Some(shift) = batches.add(departures) {
                tokio::spawn(Arc::clone(self).work(kind, shift));
            }
        }
    }

    async fn work(self: Arc<Self>, kind: Kind, mut shift: Shift<Departure>) {
        while let Some(batch) = shift.batch() {
            // A task of its own, so that a crash ends this batch and no more.
            let _ = tokio::spawn(Arc::clone(&self).land_from_store(kind, batch)).await;
        }
    }

    async fn land_from_store(self: Arc<Self>, kind: Kind, batch: Vec<Departure>) {
        let (mut departures, mut unwanted) = (batch, Vec::new());
        unwanted.extend(departures.extract_if(.., |departure| !self.is_still_wanted(departure)));
        self.land_failed(unwanted, Cause::Late);
        if departures.is_empty() {
            return;
        }
        let keys: Vec<_> = departures.iter().map(|departure| departure.key.clone()).collect();
        let asked = self.parts.clock.now();
        match self.ask_store(kind, &keys).await {
            Err(error) => self.land_failed(departures, cause(&error)),
            Ok(reading) => {
                let findings = departures.into_iter().zip(reading.findings);
                let landed =
                    findings.map(|(it, finding)| match self.record(it.flight.key(), reading.as_of_ms, finding) {
                        Ok(record) => self.land_found(it, Held { record, since: asked }),
                        Err(unfit) => self.land_unfit(it, &unfit),
                    });
                self.settle(landed.collect());
            }
        }
    }

    fn land_found(&self, departure: Departure, held: Held) -> Settled {
        let Departure { flight, ticket, .. } = departure;
        let (key, asked) = (flight.key().clone(), held.since);
        self.parts.memory.put(&key, held.clone());
        // Another flight may have read later and landed sooner.
        let newer = self.newer(&key, &held, asked).filter(|newer| newer.is_fresh(asked));
        flight.land(Landed::Found(newer.unwrap_or_else(|| held.clone()), Layer::Database));
        Settled { key, held: Some(held), ticket }
    }

    /// Nothing is known of such a user, and nothing is kept.
    fn land_unfit(&self, Departure { flight, ticket, .. }: Departure, unfit: &Unfit) -> Settled {
        self.parts.metrics.unfit(unfit);
        if self.told_unfit.is_due(self.parts.clock.now()) {
            tracing::error!(%unfit, "a user cannot be answered for; others may be the same");
        }
        let key = flight.key().clone();
        flight.land(Landed::Failed(Cause::Unavailable));
        Settled { key, held: None, ticket }
    }

    fn land_failed(&self, departures: Vec<Departure>, cause: Cause) {
        let land = |Departure { flight, ticket, .. }: Departure| {
            let key = flight.key().clone();
            flight.land(Landed::Failed(cause));
            Settled { key, held: None, ticket }
        };
        self.settle(departures.into_iter().map(land).collect());
    }

    /// Gives back the claim on a lookup that was not needed.
    pub(super) fn give_back(&self, key: RecordKey, ticket: Option<Ticket>) {
        if ticket.is_some() {
            self.settle(vec![Settled { key, held: None, ticket }]);
        }
    }

    /// Tells the shared cache what came of lookups: after the landing, as nobody here waits for it.
    fn settle(&self, lookups: Vec<Settled>) {
        let mut lookups = lookups;
        lookups.retain(|settled| settled.held.is_some() || settled.ticket.is_some());
        let Some(shared) = self.parts.shared.clone().filter(|_| !lookups.is_empty()) else { return };
        let metrics = Arc::clone(&self.parts.metrics);
        tokio::spawn(async move {
            if let Err(error) = shared.settle(&lookups).await {
                metrics.cache_failed(error);
            }
        });
    }

    async fn ask_store(&self, kind: Kind, keys: &[String]) -> Result<Reading, StoreError> {
        let start = Instant::now();
        let (name, result) = match kind {
            Kind::Opaque => ("opaque", self.parts.store.sessions(keys).await),
            Kind::Subject => ("subject", self.parts.store.users(keys).await),
        };
        self.parts.metrics.queried(name, keys.len(), result.as_ref().err(), start.elapsed());
        self.tell(result.as_ref().err());
        result
    }

    fn tell(&self, error: Option<&StoreError>) {
        if error == Some(&StoreError::NoSessions) {
            return;
        }
        let failed = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed => tracing::error!(%error, "lookups fail; answering from records only"),
            None if failed => tracing::info!("lookups work again"),
            _ => {}
        }
    }

    fn record(&self, key: &RecordKey, as_of_ms: u64, finding: Finding) -> Result<Record, Unfit> {
        let freshness = self.parts.freshness.of_key(key);
        let reason = match finding {
            Finding::Known { user, ends_in_ms, fields } => {
                let limits = freshness.of_known(ends_in_ms);
                return Ok(Record { verdict: Verdict::Allow { user, fields }, as_of_ms, limits });
            }
            Finding::Unfit(unfit) => return Err(unfit),
            Finding::Banned => Reason::Banned,
            Finding::Unknown if key.kind() == Kind::Opaque => Reason::UnknownSession,
            Finding::Unknown => Reason::UnknownUser,
        };
        Ok(Record { verdict: Verdict::Deny { reason }, as_of_ms, limits: freshness.of_denied(reason) })
    }
}

fn cause(error: &StoreError) -> Cause {
    match error {
        StoreError::NoSessions => Cause::Unsupported,
        _ => Cause::Unavailable,
    }
}
