//! An application that answers every request with what it was told: request line, headers and body.
//!
//! The answer is JSON. Each byte of a request stands in it as the character of the same number (U+0000 to U+00FF), so
//! nothing is lost and nothing is normalised. Tests look at it to see what came through the proxy.
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::http::Reply;
use crate::server::{Answer, Request, Server};

/// The running application.
#[derive(Debug)]
pub struct Upstream(Server);

/// A request as the application received it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Received {
    /// The request line.
    pub line: String,
    /// The header lines in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The trailers in order, names in lower case.
    pub trailers: Vec<(String, String)>,
}

impl Upstream {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        Ok(Self(Server::start(|request| {
            // Strings always make JSON.
            Answer::new("application/json", serde_json::to_vec(&Received::from(request)).unwrap_or_default())
        })?))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.requests()
    }
}

impl Received {
    /// Reads the application's answer.
    ///
    /// # Errors
    /// When the reply is not the application's.
    pub fn from_reply(reply: &Reply) -> Result<Self> {
        serde_json::from_slice(&reply.body)
            .with_context(|| format!("status {}, not an answer of the upstream: {:?}", reply.status, reply.text()))
    }

    /// All values of the header `name` (in lower case).
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of the header `name` (in lower case); nothing when it is absent or there several times.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

impl From<Request> for Received {
    fn from(request: Request) -> Self {
        let lines = |lines: Vec<(String, Vec<u8>)>| {
            lines.into_iter().map(|(name, value)| (name, as_characters(&value))).collect()
        };
        let body = as_characters(&request.body);
        Self { line: request.line, headers: lines(request.headers), body, trailers: lines(request.trailers) }
    }
}

fn as_characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn it_says_what_it_received_byte_for_byte_and_in_order() {
        let upstream = Upstream::start().unwrap();
        let mut connection = http::Connection::open(upstream.address()).unwrap();
        let request = b"POST /a HTTP/1.1\r\nX-B: 1\r\nx-a: \xff\x01\r\nX-B: 2\r\ncontent-length: 2\r\n\r\n\x00\xe9";
        for _ in 0..2 {
            let received = Received::from_reply(&connection.send(request).unwrap()).unwrap();
            assert_eq!(received.line, "POST /a HTTP/1.1");
            assert_eq!(received.all("x-b"), ["1", "2"]);
            assert_eq!(received.only("x-b"), None);
            assert_eq!(received.only("x-a"), Some("\u{ff}\u{1}"));
            assert_eq!(received.body, "\0\u{e9}");
        }
        assert_eq!(upstream.requests(), 2);
    }
}
