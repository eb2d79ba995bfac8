//! Knows who may pass, whatever fails: chooses who visits, and judges what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::visitors::{Kind, Visitor, Visitors};
use crate::chain::{Chain, Seen};

/// How many answers of which kind had which status.
pub(super) type Answers = BTreeMap<(Kind, u16), u64>;

/// What is true of all users, and what has been found wrong.
pub(super) struct Oracle {
    visitors: Visitors,
    start: Instant,
    newcomers: AtomicUsize,
    /// Of those who are removed, in their order.
    removals: Vec<Removal>,
    failing: Mutex<Failing>,
    answers: Mutex<Answers>,
    complaints: Mutex<Vec<String>>,
}

/// Whether something fails that users may notice who were never asked about.
enum Failing {
    Now,
    Until(Instant),
}

/// The way out of one user.
#[derive(Default)]
struct Removal {
    /// Set just before the row is deleted.
    begun: AtomicBool,
    /// When the gate first refused this user.
    refused: Mutex<Option<Instant>>,
}

/// One request, before it is sent.
pub(super) struct Visit<'a> {
    pub(super) visitor: &'a Visitor,
    kind: Kind,
    number: usize,
    start: Instant,
    /// The gate has known for so long that this user was removed that no worker may have it otherwise.
    must_be_out: bool,
}

impl Oracle {
    pub(super) fn new() -> Self {
        let visitors = Visitors::new();
        let removals = visitors.of(Kind::Removed).iter().map(|_| Removal::default()).collect();
        let start = Instant::now();
        Self {
            visitors,
            start,
            newcomers: AtomicUsize::new(0),
            removals,
            failing: Mutex::new(Failing::Until(start)),
            answers: Mutex::default(),
            complaints: Mutex::default(),
        }
    }

    /// Lets the gate learn who is known.
    pub(super) fn introduce(&self, chain: &Chain) {
        for visitor in [Kind::Known, Kind::Removed].iter().flat_map(|kind| self.visitors.of(*kind)) {
            let seen = Seen::of(&visitor.subject, &chain.get("/", &[("cookie", &visitor.cookie)]));
            assert!(seen.is_admitted(), "before anything fails: {seen:?}");
        }
    }

    /// Deletes the next user, as long as there is one.
    pub(super) fn remove_next(&self, chain: &Chain) {
        let mut next = self.removals.iter().zip(self.visitors.of(Kind::Removed));
        if let Some((removal, visitor)) = next.find(|(removal, _)| !removal.begun.load(Ordering::SeqCst)) {
            removal.begun.store(true, Ordering::SeqCst);
            chain.sql(&format!("DELETE FROM users WHERE id = {}", visitor.subject));
        }
    }

    pub(super) fn something_fails(&self) {
        *lock(&self.failing) = Failing::Now;
    }

    pub(super) fn nothing_fails(&self) {
        let mut failing = lock(&self.failing);
        if let Failing::Now = *failing {
            *failing = Failing::Until(Instant::now());
        }
    }

    /// A visit of somebody of this kind; a newcomer only now and then, so that the caches do not fill.
    pub(super) fn visit(&self, kind: Kind, random: &mut Rng) -> Option<Visit<'_>> {
        let all = self.visitors.of(kind);
        let number = if kind == Kind::Newcomer {
            let due = (self.start.elapsed().as_millis() / BETWEEN_NEWCOMERS.as_millis()).min(all.len() as u128);
            let next = |number| (number < usize::try_from(due).unwrap_or(0)).then_some(number + 1);
            self.newcomers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?
        } else {
            random.usize(0..all.len())
        };
        let refused = (kind == Kind::Removed).then(|| *lock(&self.removals[number].refused)).flatten();
        let must_be_out = refused.is_some_and(|since| since.elapsed() > GRACE);
        Some(Visit { visitor: &all[number], kind, number, start: Instant::now(), must_be_out })
    }

    pub(super) fn judge(&self, visit: &Visit<'_>, seen: &Seen) {
        *lock(&self.answers).entry((visit.kind, seen.status)).or_default() += 1;
        let refused = seen.status == 403 && seen.is_kept_out();
        let put_off = seen.status == 503 && seen.is_kept_out() && seen.retry_after.is_some();
        let right = match visit.kind {
            Kind::Known => seen.is_admitted(),
            Kind::Newcomer => seen.is_admitted() || put_off && self.is_excused(visit),
            Kind::Stranger => refused || put_off && self.is_excused(visit),
            Kind::Expired | Kind::Forged => seen.status == 401 && seen.is_kept_out(),
            Kind::Removed => {
                let removal = &self.removals[visit.number];
                if refused {
                    lock(&removal.refused).get_or_insert_with(Instant::now);
                    removal.begun.load(Ordering::SeqCst)
                } else {
                    seen.is_admitted() && !visit.must_be_out
                }
            }
        };
        if !right {
            self.complain(format!("{:?} after {:?}: {seen:?}", visit.kind, self.start.elapsed()));
        }
    }

    pub(super) fn complain(&self, complaint: String) {
        let mut complaints = lock(&self.complaints);
        if complaints.len() < MOST_COMPLAINTS {
            complaints.push(complaint);
        }
    }

    pub(super) fn findings(self) -> (Answers, Vec<String>) {
        (lock(&self.answers).clone(), lock(&self.complaints).clone())
    }

    /// Whether something failed while the request was under way, or shortly before.
    fn is_excused(&self, visit: &Visit<'_>) -> bool {
        match *lock(&self.failing) {
            Failing::Now => true,
            Failing::Until(end) => end + GRACE >= visit.start,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one worker knows another may not know for as long as a record is fresh; and what was broken needs a moment.
const GRACE: Duration = Duration::from_secs(6);
const BETWEEN_NEWCOMERS: Duration = Duration::from_millis(250);
const MOST_COMPLAINTS: usize = 20;
