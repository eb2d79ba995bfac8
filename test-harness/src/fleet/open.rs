//! Replies that go on until somebody ends them.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jwe_gate_test_parts::http::Connection;

use super::wait_until;

/// An open reply. Its connection is closed when it is dropped.
#[derive(Debug)]
pub struct Open {
    socket: TcpStream,
    /// Bytes that have come.
    bytes: Arc<AtomicU64>,
    /// When the last of them came, once it has ended.
    ended: Arc<Mutex<Option<Instant>>>,
}

impl Open {
    /// A stream of events and a WebSocket, each on a new connection.
    #[must_use]
    pub fn both(connect: impl Fn() -> Connection, cookie: &str) -> [Self; 2] {
        let events = format!("GET /events HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\n\r\n");
        let socket = format!(
            "GET /socket HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-fetch-site: same-origin\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIGtleSBvZiBhIHRlc3Q=\r\n\r\n"
        );
        [Self::new(connect(), &events, false), Self::new(connect(), &socket, true)]
    }

    fn new(mut connection: Connection, request: &str, echoes: bool) -> Self {
        connection.write(request.as_bytes()).expect("Envoy reads");
        let mut buffer = [0; 4096];
        let length = connection.read_some(&mut buffer).expect("Envoy answers");
        let head = &buffer[..length];
        let is_open = [&b"HTTP/1.1 200"[..], b"HTTP/1.1 101"].iter().any(|start| head.starts_with(start));
        assert!(is_open, "{}", head.escape_ascii());
        let (bytes, ended) = (Arc::new(AtomicU64::new(length as u64)), Arc::new(Mutex::new(None)));
        let socket = connection.socket().expect("a second handle");
        let open = Self { socket, bytes: Arc::clone(&bytes), ended: Arc::clone(&ended) };
        thread::spawn(move || {
            let mut last = Instant::now();
            loop {
                if echoes {
                    thread::sleep(Duration::from_millis(10));
                    // A binary message of one byte, masked with zeros; it comes back.
                    let _ = connection.write(&[0x82, 0x81, 0, 0, 0, 0, 7]);
                }
                let Ok(length @ 1..) = connection.read_some(&mut buffer) else { break };
                last = Instant::now();
                bytes.fetch_add(length as u64, Ordering::SeqCst);
            }
            *ended.lock().expect("no holder panicked") = Some(last);
        });
        open
    }

    /// Waits until more has come; fails when it has ended.
    pub fn goes_on(&self) {
        let before = self.bytes();
        wait_until("a stream to go on", || self.bytes() > before);
    }

    /// Waits for its end. Returns how long after this moment something came; Envoy closes the connection a second later.
    #[must_use]
    pub fn cut_after(&self, begun: Instant) -> Duration {
        wait_until("a stream to be cut", || self.ended.lock().expect("no holder panicked").is_some());
        let ended = self.ended.lock().expect("no holder panicked");
        ended.map_or(Duration::MAX, |last| last.saturating_duration_since(begun))
    }

    fn bytes(&self) -> u64 {
        assert_eq!(*self.ended.lock().expect("no holder panicked"), None, "the stream has ended");
        self.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
