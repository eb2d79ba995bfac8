//! The app behind a fleet: it notes when it was last asked in each round.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use jwe_gate_test_parts::server::{Answer, Server};

/// The running app.
#[derive(Debug)]
pub(super) struct App {
    server: Server,
    /// By round.
    last: Arc<Mutex<Vec<Option<Instant>>>>,
}

impl App {
    pub(super) fn start(rounds: usize) -> Result<Self> {
        let last = Arc::new(Mutex::new(vec![None; rounds]));
        let noted = Arc::clone(&last);
        let server = Server::start(move |request| {
            let now = Instant::now();
            let round =
                request.line.split(' ').nth(1).and_then(|path| path.strip_prefix("/round/")?.parse::<usize>().ok());
            let mut last = noted.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(last) = round.and_then(|round| last.get_mut(round)) {
                *last = Some(now);
            }
            Answer::new("text/plain", "ok")
        })?;
        Ok(Self { server, last })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// When a request of this round came last.
    pub(super) fn last(&self, round: usize) -> Option<Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(round).copied().flatten()
    }
}
