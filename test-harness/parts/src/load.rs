//! A bounded load: a number of requests over a few keep-alive connections, as fast as the server answers.
//!
//! One thread keeps one request under way on each connection and goes round: read an answer, send the next request.
//! It costs little, needs no tool, and stops when the requests are used up.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::http::Connection;

/// What the server answered, and how long it all took.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// How many answers had which status.
    pub statuses: BTreeMap<u16, u64>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Outcome {
    /// How many requests were answered.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Whether every answer had the status `status`.
    #[must_use]
    pub fn all(&self, status: u16) -> bool {
        self.statuses.keys().eq([&status])
    }
}

/// Sends all `requests` over `connections` connections.
///
/// # Errors
/// When the server closes a connection or gives no proper answer.
pub fn run<R: AsRef<[u8]>>(
    address: SocketAddr,
    connections: usize,
    requests: impl IntoIterator<Item = R>,
) -> Result<Outcome> {
    let mut requests = requests.into_iter();
    let mut open = (0..connections).map(|_| Connection::open(address)).collect::<Result<Vec<_>>>()?;
    let mut outcome = Outcome::default();
    let start = Instant::now();
    // The first `busy` connections wait for an answer. It shrinks as the requests run out, last connection first.
    let mut busy = 0;
    for (connection, request) in open.iter_mut().zip(requests.by_ref()) {
        connection.write(request.as_ref())?;
        busy += 1;
    }
    while busy > 0 {
        let mut still_busy = 0;
        for connection in open.iter_mut().take(busy) {
            *outcome.statuses.entry(connection.read()?.status).or_default() += 1;
            if let Some(request) = requests.next() {
                connection.write(request.as_ref())?;
                still_busy += 1;
            }
        }
        busy = still_busy;
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;
    use crate::upstream::Upstream;

    #[test]
    fn each_request_is_sent_once_however_they_divide_among_the_connections() {
        for (connections, requests) in [(1, 3), (4, 3), (4, 9), (3, 0)] {
            let upstream = Upstream::start().unwrap();
            let all = (0..requests).map(|number| http::get(&format!("/{number}"), &[]));
            let outcome = run(upstream.address(), connections, all).unwrap();
            assert_eq!((outcome.answers(), upstream.requests()), (requests, requests));
            assert_eq!(outcome.all(200), requests > 0);
        }
    }
}
