//! Bursts: many signed-in users who ask for a page in the same moment, against the whole chain as it is shipped.
//!
//! `make burst` runs them large, tests run them small; both count with the same code. What is counted must hold at every
//! size: a user is asked about once, a page that is the same for all is asked for once. Times are printed, never judged.

mod app;
mod content;
mod crowd;
mod lookups;
mod report;
mod stage;

pub use app::App;
pub use content::{anonymous, content};
pub use crowd::{Answer, Crowd, request};
pub use lookups::{echo, fleet, many_users, one_user};
pub use report::Report;
pub use stage::{Asked, Plan, Stage, subject};

/// How large a burst is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Connections, with one request each.
    pub requests: usize,
    /// Users among whom they are divided evenly.
    pub users: usize,
}
