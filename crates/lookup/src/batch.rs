//! What waits for the database travels together.
//!
//! As long as few queries are under way, what comes goes out at once. What comes meanwhile waits until one of them is done,
//! and is then asked for in one query. So nobody waits while there is little to do, and the more there is, the fewer
//! queries it takes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What waits, and how many are at work on it.
pub(crate) struct Batches<T> {
    state: Mutex<State<T>>,
    at_once: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    working: usize,
}

/// The duty to work on what waits until nothing does.
pub(crate) struct Shift<T> {
    batches: Arc<Batches<T>>,
    is_over: bool,
}

impl<T> Batches<T> {
    /// At most `at_once` batches are worked on at a time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), working: 0 }), at_once }
    }

    /// Adds what is to be done, and gives a shift to whoever adds it, unless enough are at work.
    pub(crate) fn add(self: &Arc<Self>, items: impl IntoIterator<Item = T>) -> Option<Shift<T>> {
        let mut state = self.lock();
        state.waiting.extend(items);
        if state.waiting.is_empty() || state.working >= self.at_once {
            return None;
        }
        state.working += 1;
        Some(Shift { batches: Arc::clone(self), is_over: false })
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Shift<T> {
    /// The next batch, oldest first. Without one the shift is over.
    pub(crate) fn batch(&mut self) -> Option<Vec<T>> {
        if self.is_over {
            return None;
        }
        let mut state = self.batches.lock();
        if state.waiting.is_empty() {
            // In one step with the look at what waits: whoever adds something finds a shift that goes on, or gets one.
            state.working -= 1;
            self.is_over = true;
            return None;
        }
        let count = state.waiting.len().min(LARGEST);
        Some(state.waiting.drain(..count).collect())
    }
}

impl<T> Drop for Shift<T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.batches.lock().working -= 1;
        }
    }
}

/// A list of keys that any database takes with ease.
const LARGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_all_are_at_work_is_one_batch_for_whoever_is_free_first() {
        let batches = Arc::new(Batches::new(2));
        let mut first = batches.add([1]).unwrap();
        assert_eq!(first.batch(), Some(vec![1]));
        let mut second = batches.add([2]).unwrap();
        assert_eq!(second.batch(), Some(vec![2]));
        assert!((3..100).all(|item| batches.add([item]).is_none()));
        assert_eq!(second.batch(), Some((3..100).collect()));
        assert_eq!((first.batch(), second.batch()), (None, None));
        assert_eq!(batches.add([100]).unwrap().batch(), Some(vec![100]));
    }

    #[test]
    fn a_batch_is_bounded() {
        let batches = Arc::new(Batches::new(1));
        let mut shift = batches.add(0..=LARGEST).unwrap();
        assert_eq!(shift.batch().unwrap().len(), LARGEST);
        assert_eq!(shift.batch(), Some(vec![LARGEST]));
    }

    #[test]
    fn a_shift_that_is_broken_off_leaves_its_place_to_another() {
        let batches = Arc::new(Batches::new(1));
        drop(batches.add([1, 2]));
        assert_eq!(batches.add([3]).unwrap().batch(), Some(vec![1, 2, 3]));
        assert!(batches.add([]).is_none());
    }
}
