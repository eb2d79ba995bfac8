//! Leaves a failing server alone for a moment, so that its failure costs one request its timeout and not all of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Open after a failure, until a pause has passed; then one caller may try.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It had worked and now fails.
    Failed,
    /// Nothing.
    None,
    /// It had failed and now works.
    Recovered,
}

impl Circuit {
    /// Whether to try. While it fails, whoever is let through holds the others off for another pause.
    pub(super) fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed => true,
            State::Open { until } if now < until => false,
            State::Open { .. } => {
                *state = opened(now);
                true
            }
        }
    }

    /// Takes the result of a try.
    pub(super) fn report(&self, succeeded: bool, now: Instant) -> Change {
        let mut state = self.lock();
        match (&*state, succeeded) {
            (State::Closed, true) | (State::Open { .. }, false) => Change::None,
            (State::Closed, false) => {
                *state = opened(now);
                Change::Failed
            }
            (State::Open { .. }, true) => {
                *state = State::Closed;
                Change::Recovered
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn opened(now: Instant) -> State {
    State::Open { until: now.checked_add(PAUSE).unwrap_or(now) }
}

const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_try_per_pause_is_let_through_until_one_succeeds() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        assert!(circuit.lets_through(start));
        assert_eq!(circuit.report(false, start), Change::Failed);
        assert!(!circuit.lets_through(start));
        let later = start + PAUSE;
        assert!(circuit.lets_through(later));
        assert!(!circuit.lets_through(later));
        assert_eq!(circuit.report(false, later), Change::None);
        assert_eq!(circuit.report(true, later), Change::Recovered);
        assert!(circuit.lets_through(later));
    }
}
