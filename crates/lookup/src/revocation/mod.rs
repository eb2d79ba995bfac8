//! Revocations: writing them durably, and telling proxies about them at once.
//!
//! [`Revocations::run`] keeps a copy of all that is in force up to date: woken by whoever writes, here or in another
//! service, and in any case after [`Rules::poll`]. Questions are answered from the copy, so that a thousand proxies cost
//! the database what one costs.

mod ask;
mod changes;
mod feed;
mod follow;
mod write;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use jwe_gate_contract::LookupSecret;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc, watch};

pub use write::Wanted;

use crate::clock::Clock;
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::store::journal::{Change, Ears, Journal};
use feed::Feed;

/// How revocations work here. Services that share a database have the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How soon every proxy that can be reached has heard of a revocation.
    pub delay: Duration,
    /// How far the app's clock and the database's may be apart.
    pub skew: Duration,
    /// The longest session that any proxy accepts.
    pub max_session_age: Duration,
    /// How often the database is read where nothing tells that it should be.
    pub poll: Duration,
    /// How long a verdict may be used at most, and so the longest that the change of a user must be remembered.
    pub verdicts: Duration,
}

/// What it is made of.
pub struct Parts {
    /// Where revocations are kept.
    pub journal: Arc<dyn Journal>,
    /// Is told of users that were changed.
    pub lookup: Lookup,
    /// Makes tags.
    pub secret: LookupSecret,
    /// The one realm that is served.
    pub realm: Arc<str>,
    /// How they work.
    pub rules: Rules,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
}

/// The revocations of one realm. Clones are the same.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Nothing until the database has been read.
    feed: RwLock<Option<Feed>>,
    ears: Ears,
    /// What the ears hear.
    changes: Mutex<mpsc::Receiver<Change>>,
    /// How many readings have begun.
    begun: AtomicU64,
    progress: watch::Sender<Progress>,
    waiting: Semaphore,
}

/// What those who wait for an answer look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// The last reading that succeeded, by its number.
    read: u64,
    /// Nobody is to wait any more.
    stopping: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many are waiting.
    Busy,
    /// The request id belongs to another request.
    Conflict,
    /// The session that was shown can be no live one: issued in the future, or too long ago.
    Implausible,
    /// The database cannot be asked. Asking again is safe.
    Unavailable,
}

impl Revocations {
    /// Of these parts. Nothing is read before it [runs](Self::run).
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (sender, changes) = mpsc::channel(MOST_CHANGES);
        Self(Arc::new(Inner {
            parts,
            feed: RwLock::default(),
            ears: Ears { bell: Notify::new(), changes: sender },
            changes: Mutex::new(changes),
            begun: AtomicU64::new(0),
            progress: watch::Sender::default(),
            waiting: Semaphore::new(MOST_WAITING),
        }))
    }

    /// Whether all that is in force has been read once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.progress.borrow().read > 0
    }

    /// Waits for that.
    pub async fn first_read(&self) {
        // The sender lives as long as we do.
        let _ = self.0.progress.subscribe().wait_for(|progress| progress.read > 0).await;
    }

    /// Answers everybody who waits, now and from now on.
    pub fn stop(&self) {
        self.0.progress.send_modify(|progress| progress.stopping = true);
    }

    /// How old the copy is, how many revocations it holds, and how many askers wait.
    #[must_use]
    pub fn state(&self) -> State {
        let now = self.0.parts.clock.now();
        let feed = self.0.feed.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        State {
            age: feed.as_ref().map(|feed| feed.age(now)),
            in_force: feed.as_ref().map_or(0, Feed::len),
            waiting: MOST_WAITING.saturating_sub(self.0.waiting.available_permits()),
        }
    }
}

/// For metrics.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// How long ago the database was read.
    pub age: Option<Duration>,
    /// How many entries are in force.
    pub in_force: usize,
    /// How many wait for news.
    pub waiting: usize,
}

impl Refusal {
    /// A stable name, for metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Conflict => "conflict",
            Self::Implausible => "implausible",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One for each proxy process, and room for many proxies.
const MOST_WAITING: usize = 10_000;

/// Users that were changed and not written yet. They take a commit each, and sign-outs wait in between.
const MOST_CHANGES: usize = 1_000;
