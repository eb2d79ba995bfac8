//! What users get while a part of the chain fails: the rule for every case, in one place.
//!
//! [`make`] makes faults happen in the real chain, [`mod@column`] looks what users get meanwhile, [`table`] compares that with
//! `docs/FAULTS.md`.

pub mod column;
pub mod make;
pub mod table;

use std::time::Duration;

use Fault::{Killed, RestartedEmpty, Slow};
use Outcome::{Refused, Served, Unavailable, Wavering};
use Part::{ClusterNode, Postgres, Redis, Replica};
use State::{Known, Removed, Stale, Unknown};

/// What fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The shared cache.
    Redis,
    /// One node of three, where the shared cache is a Redis Cluster without replicas.
    ClusterNode,
    /// The database.
    Postgres,
    /// One lookup service of two.
    Replica,
}

/// How it fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The process is gone, and connections are refused.
    Killed,
    /// The process stands still, with its connections open.
    Paused,
    /// It answers late, within what is waited for.
    Slow,
    /// It answers with random bytes.
    Garbage,
    /// It resets connections.
    Reset,
    /// It has been started again without what it held.
    RestartedEmpty,
}

/// What is known of a user when the fault begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// In the database, and asked about a moment ago.
    Known,
    /// In the database, and never asked about.
    Unknown,
    /// In the database, and asked about so long ago that it is time to ask again.
    Stale,
    /// Taken from the database, and refused since; that, too, so long ago that it is time to ask again.
    Removed,
}

/// What the user gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The page.
    Served,
    /// 403: the user must not pass.
    Refused,
    /// 503: nobody can tell, so come again.
    Unavailable,
    /// Either the page or 503, until Envoy has stopped asking the replica that fails; from then on the page.
    Wavering,
}

/// What a user must get.
///
/// Whoever is known needs nobody, and whoever was refused stays refused. Redis is only ever a shortcut. Everything else
/// needs the database by way of a replica: what was known stands in where that fails, and what was not is put off.
#[must_use]
#[expect(clippy::match_same_arms, reason = "each rule stands for itself, the more general ones first")]
pub fn expected(part: Part, fault: Fault, state: State) -> Outcome {
    match (part, fault, state) {
        (_, _, Removed) => Refused,
        (_, _, Known) | (Redis | ClusterNode, _, _) | (_, Slow, _) => Served,
        // It answers, and it is the source of record.
        (Postgres, RestartedEmpty, Unknown | Stale) => Refused,
        (Postgres, _, Unknown) => Unavailable,
        // Nothing is heard of it, so the lookup is over before another replica could be asked.
        (Replica, Fault::Paused, Unknown) => Wavering,
        (Replica, _, Unknown) => Served,
        (_, _, Stale) => Served,
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Redis, ClusterNode, Postgres, Replica];

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Redis => "Redis",
            ClusterNode => "one node of a Redis Cluster",
            Postgres => "Postgres",
            Replica => "one lookup service of two",
        }
    }
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [Killed, Self::Paused, Slow, Self::Garbage, Self::Reset, RestartedEmpty];

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Killed => "killed",
            Self::Paused => "paused",
            Slow => "slow",
            Self::Garbage => "garbage",
            Self::Reset => "connections reset",
            RestartedEmpty => "restarted empty",
        }
    }
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Known, Unknown, Stale, Removed];
}

impl Outcome {
    /// What stands in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Served => "200",
            Refused => "403",
            Unavailable => "503",
            Wavering => "200 or 503, then 200",
        }
    }
}

/// Every byte of a slow part comes so much later. The exchanges that open a connection and ask fit into every timeout.
const DELAY: Duration = Duration::from_millis(30);
