//! A steady small load, of which every single answer is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jwe_gate_test_parts::http::{Connection, Reply, get};

use super::{cookie, told};

/// Users who visit in turn until [`Traffic::stop`].
#[derive(Debug)]
pub struct Traffic {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

/// What came of one visit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Who sent it.
    pub subject: String,
    /// The status.
    pub status: u16,
    /// The users that the app was told of, where it was asked.
    pub told: Option<Vec<String>>,
    /// When to come again.
    pub retry_after: Option<String>,
}

impl Seen {
    pub(crate) fn of(subject: &str, reply: &Reply) -> Self {
        let retry_after = reply.header("retry-after").map(str::to_owned);
        Self { subject: subject.to_owned(), status: reply.status, told: told(reply), retry_after }
    }

    /// Whether the app was asked, and told that it is the sender and nobody else.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.status == 200 && self.told.as_deref() == Some(std::slice::from_ref(&self.subject))
    }

    /// Whether the app heard nothing of it.
    #[must_use]
    pub fn is_kept_out(&self) -> bool {
        self.status != 200 && self.told.is_none()
    }
}

impl Traffic {
    pub(super) fn start(mut connection: Connection, subjects: &[&str]) -> Self {
        let requests: Vec<_> = subjects.iter().map(|subject| request(subject)).collect();
        let enough = Arc::new(AtomicBool::new(false));
        let told_enough = Arc::clone(&enough);
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            // A round is always finished: everybody is seen.
            while !told_enough.load(Ordering::Relaxed) {
                for (subject, request) in &requests {
                    let reply = connection.send(request).expect("Envoy answers everything");
                    seen.push(Seen::of(subject, &reply));
                    thread::sleep(PAUSE);
                }
            }
            seen
        });
        Self { enough, thread }
    }

    /// Ends it and returns all that was seen, in order.
    ///
    /// # Panics
    /// When a request was not answered at all.
    #[must_use]
    pub fn stop(self) -> Vec<Seen> {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("every request was answered")
    }
}

fn request(subject: &str) -> (String, String) {
    (subject.to_owned(), get("/", &[("cookie", &cookie(subject))]))
}

const PAUSE: Duration = Duration::from_millis(5);
