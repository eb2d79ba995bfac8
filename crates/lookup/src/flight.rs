//! Single flight: what is being looked up already is waited for and not looked up again.
//!
//! A flight is a task of its own. Whoever started it may go away; those who joined still get its result. It knows whether
//! anybody still waits for it, and until when.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

/// The flights that are under way.
pub(crate) struct Flights<K, V> {
    under_way: Arc<UnderWay<K, V>>,
}

/// A place on a flight. Dropped, it is free again.
pub(crate) struct Seat<V> {
    result: watch::Receiver<Option<V>>,
}

/// The duty to land what one starts. A flight that is dropped instead sends its passengers away.
pub(crate) struct Flight<K: Hash + Eq + Clone, V> {
    under_way: Arc<UnderWay<K, V>>,
    key: K,
    result: watch::Sender<Option<V>>,
    /// Whether another may have started for the same key.
    is_over: bool,
}

/// Why nobody waits for a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwanted {
    /// They have all gone away.
    Gone,
    /// The time of the last of them is over.
    Late,
}

type UnderWay<K, V> = Mutex<HashMap<K, Passengers<V>>>;

struct Passengers<V> {
    result: watch::Sender<Option<V>>,
    /// When the last of them gives up.
    until: Instant,
}

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self { under_way: Arc::default() }
    }

    /// A seat on the flight for `key`, for somebody who waits until then; and the flight itself, when there was none before.
    pub(crate) fn board(&self, key: &K, until: Instant) -> (Seat<V>, Option<Flight<K, V>>) {
        let mut under_way = lock(&self.under_way);
        if let Some(passengers) = under_way.get_mut(key) {
            passengers.until = passengers.until.max(until);
            return (Seat { result: passengers.result.subscribe() }, None);
        }
        let (sender, result) = watch::channel(None);
        under_way.insert(key.clone(), Passengers { result: sender.clone(), until });
        let flight =
            Flight { under_way: Arc::clone(&self.under_way), key: key.clone(), result: sender, is_over: false };
        (Seat { result }, Some(flight))
    }
}

impl<V: Clone> Seat<V> {
    /// The result, or `None` when the flight ended without one.
    pub(crate) async fn landed(mut self) -> Option<V> {
        self.result.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<K: Hash + Eq + Clone, V> Flight<K, V> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// Whether somebody still waits for it. If not, it is over: whoever asks from now on starts another one.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&mut self, now: Instant) -> Result<(), Unwanted> {
        // Under the lock from the question to the end, so that nobody boards in between.
        let mut under_way = lock(&self.under_way);
        let passengers = under_way.get(&self.key).filter(|_| !self.is_over);
        let unwanted = match passengers {
            Some(passengers) if passengers.result.receiver_count() > 0 && passengers.until > now => return Ok(()),
            Some(passengers) if passengers.result.receiver_count() > 0 => Unwanted::Late,
            _ => Unwanted::Gone,
        };
        if !std::mem::replace(&mut self.is_over, true) {
            under_way.remove(&self.key);
        }
        Err(unwanted)
    }

    pub(crate) fn land(self, value: V) {
        self.result.send_replace(Some(value));
    }
}

impl<K: Hash + Eq + Clone, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            lock(&self.under_way).remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under this lock is a single step, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn all_who_board_before_it_lands_share_one_flight() {
        let (flights, until) = (Flights::new(), Instant::now());
        let (first, flight) = flights.board(&"7", until);
        let (second, none) = flights.board(&"7", until);
        let (_other, another) = flights.board(&"8", until);
        assert!(none.is_none() && another.is_some());
        flight.unwrap().land(1);
        assert_eq!((first.landed().await, second.landed().await), (Some(1), Some(1)));
        assert!(flights.board(&"7", until).1.is_some());
    }

    #[tokio::test]
    async fn a_flight_that_is_given_up_sends_its_passengers_away() {
        let (flights, until) = (Flights::<_, u8>::new(), Instant::now());
        let (seat, flight) = flights.board(&"7", until);
        drop(flight);
        assert_eq!(seat.landed().await, None);
        assert!(flights.board(&"7", until).1.is_some());
    }

    #[tokio::test]
    async fn a_flight_is_wanted_until_its_most_patient_passenger_gives_up_or_the_last_has_gone() {
        let (flights, start) = (Flights::<_, u8>::new(), Instant::now());
        let [soon, later, latest] = [1, 2, 3].map(|seconds| start + Duration::from_secs(seconds));
        let (first, flight) = flights.board(&"7", soon);
        let mut flight = flight.unwrap();
        let (second, _) = flights.board(&"7", later);
        let (third, _) = flights.board(&"7", soon);
        assert_eq!(flight.check(soon), Ok(()));
        drop((first, second));
        assert_eq!(flight.check(soon), Ok(()));
        drop(third);
        assert_eq!(flight.check(soon), Err(Unwanted::Gone));

        let (_seat, flight) = flights.board(&"8", later);
        let mut flight = flight.unwrap();
        assert_eq!(flight.check(latest), Err(Unwanted::Late));
        // Over for those who come, and its end does not end theirs.
        let (_seat, another) = flights.board(&"8", latest);
        drop(flight);
        assert_eq!(another.unwrap().check(later), Ok(()));
    }
}
