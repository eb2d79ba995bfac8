//! Between the process's own cache and the database: the cache that services share.
//!
//! Of the services that miss the same record at once, one looks it up and the others wait for what it writes. They wait no
//! longer than the shared cache may take in all, so that there is time left to ask the database after all: the one that
//! should have written may have died, or its database may be slow.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Departure, Landed, Works};
use crate::cache::{Claim, Seen, SharedCache, Ticket};
use crate::flight::Unwanted;
use crate::metrics::{ClaimResult, Layer, Shed};

/// What a look into the shared cache leaves to be done.
#[derive(Default)]
struct Missing {
    /// To be looked up by this service.
    claimed: Vec<Departure>,
    /// There, but of no use: not claimed yet.
    outdated: Vec<Departure>,
    /// Being looked up by another service.
    others: Vec<Departure>,
}

impl Works {
    /// Lands what the shared cache has fresh, or gets soon, and has the rest looked up in the database.
    pub(super) async fn fly(self: Arc<Self>, departures: Vec<Departure>, deadline: Instant) {
        let left = match self.parts.shared.clone() {
            None => departures,
            Some(shared) => self.wait_for_shared(&*shared, departures, deadline).await,
        };
        self.send_to_store(left);
    }

    /// Gives back what could neither be had from the shared cache nor claimed in time.
    async fn wait_for_shared(
        self: &Arc<Self>,
        shared: &dyn SharedCache,
        departures: Vec<Departure>,
        deadline: Instant,
    ) -> Vec<Departure> {
        let now = Instant::now();
        let patience = (deadline.saturating_duration_since(now) / SHARE_OF_SHARED).max(LEAST_FOR_SHARED);
        let (until, ticket) = (now + patience, Ticket::new());
        let (mut left, mut claim, mut pause, mut has_waited) = (departures, Claim::WhereAbsent, FIRST_PAUSE, false);
        loop {
            let keys: Vec<_> = left.iter().map(|departure| departure.flight.key().clone()).collect();
            let seen = match shared.look(&keys, &ticket, claim, until.saturating_duration_since(Instant::now())).await {
                Ok(seen) => seen,
                Err(error) => {
                    self.parts.metrics.cache_failed(error);
                    return left;
                }
            };
            let Missing { claimed, outdated, others } = self.land_from_shared(left, seen, &ticket, has_waited);
            self.send_to_store(claimed);
            let is_in_a_hurry = !outdated.is_empty() && claim == Claim::WhereAbsent;
            (left, claim) = (others, Claim::Always);
            left.extend(outdated);
            if is_in_a_hurry {
                continue;
            }
            left.retain_mut(|departure| self.is_still_wanted(departure));
            if left.is_empty() {
                return left;
            }
            if Instant::now() + pause >= until {
                for _ in &left {
                    self.parts.metrics.claimed(ClaimResult::Expired);
                }
                return left;
            }
            sleep(pause).await;
            (pause, has_waited) = ((pause * 2).min(LONGEST_PAUSE), true);
        }
    }

    /// Lands what is fresh.
    fn land_from_shared(
        &self,
        departures: Vec<Departure>,
        seen: Vec<Seen>,
        ticket: &Ticket,
        has_waited: bool,
    ) -> Missing {
        let now = self.parts.clock.now();
        let mut missing = Missing::default();
        for (mut departure, Seen { held, is_claimed }) in departures.into_iter().zip(seen) {
            departure.ticket = is_claimed.then(|| ticket.clone());
            let had_record = held.is_some();
            let usable = held.filter(|held| {
                // Kept even when it is no longer fresh: it may be the last resort.
                self.parts.memory.put(departure.flight.key(), held.clone());
                // Redis may have missed what this process has read since, such as a denial.
                let is_newest = self.newer(departure.flight.key(), held, now).is_none();
                let is_overtaken = self.parts.memory.is_overtaken(departure.flight.key(), &held.record);
                is_newest && !is_overtaken && held.is_fresh(now) && held.record.speaks_of(departure.issued_at_ms)
            });
            match usable {
                Some(held) => {
                    if has_waited {
                        self.parts.metrics.claimed(ClaimResult::Waited);
                    }
                    self.give_back(departure.flight.key().clone(), departure.ticket.take());
                    departure.flight.land(Landed::Found(held, Layer::Redis));
                }
                None if is_claimed => {
                    self.parts.metrics.claimed(ClaimResult::Won);
                    missing.claimed.push(departure);
                }
                None if had_record => missing.outdated.push(departure),
                None => missing.others.push(departure),
            }
        }
        missing
    }

    /// Whether somebody still waits for it; from then on, if not, it can only be dropped.
    pub(super) fn is_still_wanted(&self, departure: &mut Departure) -> bool {
        let reason = match departure.flight.check(Instant::now()) {
            Ok(()) => return true,
            Err(Unwanted::Gone) => Shed::Gone,
            Err(Unwanted::Late) => Shed::Late,
        };
        self.parts.metrics.shed(reason);
        false
    }
}

/// The shared cache gets this part of the time there is, so that a silent one leaves enough for the database.
const SHARE_OF_SHARED: u32 = 3;

/// But not so little that it would seem to fail because somebody asked in a hurry.
const LEAST_FOR_SHARED: Duration = Duration::from_millis(50);

/// How soon a record that another service looks up is looked for again; then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
