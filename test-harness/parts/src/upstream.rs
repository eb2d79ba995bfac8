//! An HTTP/1.1 application that answers every request with what it was told: request line, headers and body.
//!
//! The answer is JSON. Each byte of a request stands in it as the character of the same number (U+0000 to U+00FF), so
//! nothing is lost and nothing is normalised. Tests look at it to see what came through the proxy.
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::http::{Reply, read_body, read_head};

/// The running application. It ends when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request as the application received it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Received {
    /// The request line.
    pub line: String,
    /// The header lines in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
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

impl Upstream {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { ended: AtomicBool::new(false), requests: AtomicU64::new(0) });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then drops the listener. Threads of open connections end with their clients.
        let _ = TcpStream::connect(self.address);
    }
}

#[derive(Debug)]
struct Shared {
    ended: AtomicBool,
    requests: AtomicU64,
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        // An error is the client's going away.
        thread::spawn(move || serve(stream, &shared));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (line, headers) = read_head(&mut reader)?;
        let body = read_body(&mut reader, &headers, false)?;
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let headers = headers.into_iter().map(|(name, value)| (name, as_characters(&value))).collect();
        let answer = serde_json::to_vec(&Received { line, headers, body: as_characters(&body) })?;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        writer.write_all(&[head.into_bytes(), answer].concat())?;
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
