//! Single flight: what is being looked up already is waited for and not looked up again.
//!
//! A flight is a task of its own. Whoever started it may go away; those who joined still get its result.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The flights that are under way.
pub(crate) struct Flights<K, V> {
    landing: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

/// A place on a flight.
pub(crate) struct Seat<V> {
    result: watch::Receiver<Option<V>>,
}

/// The duty to land what one starts. A flight that is dropped instead sends its passengers away.
pub(crate) struct Flight<K: Hash + Eq + Clone, V> {
    landing: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    key: K,
    result: watch::Sender<Option<V>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self { landing: Arc::default() }
    }

    /// A seat on the flight for `key`; and the flight itself, when there was none before.
    pub(crate) fn board(&self, key: &K) -> (Seat<V>, Option<Flight<K, V>>) {
        let mut landing = lock(&self.landing);
        if let Some(result) = landing.get(key) {
            return (Seat { result: result.clone() }, None);
        }
        let (sender, result) = watch::channel(None);
        landing.insert(key.clone(), result.clone());
        let flight = Flight { landing: Arc::clone(&self.landing), key: key.clone(), result: sender };
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

    pub(crate) fn land(self, value: V) {
        self.result.send_replace(Some(value));
    }
}

impl<K: Hash + Eq + Clone, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        lock(&self.landing).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under this lock is a single step, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_board_before_it_lands_share_one_flight() {
        let flights = Flights::new();
        let (first, flight) = flights.board(&"7");
        let (second, none) = flights.board(&"7");
        let (_other, another) = flights.board(&"8");
        assert!(none.is_none() && another.is_some());
        flight.unwrap().land(1);
        assert_eq!((first.landed().await, second.landed().await), (Some(1), Some(1)));
        assert!(flights.board(&"7").1.is_some());
    }

    #[tokio::test]
    async fn a_flight_that_is_given_up_sends_its_passengers_away() {
        let flights = Flights::<_, u8>::new();
        let (seat, flight) = flights.board(&"7");
        drop(flight);
        assert_eq!(seat.landed().await, None);
        assert!(flights.board(&"7").1.is_some());
    }
}
