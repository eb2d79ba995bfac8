//! Replies that go on until somebody ends them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::wait_until;

/// An open reply. Its connection is closed when it is dropped.
pub(crate) struct Open {
    socket: TcpStream,
    /// Bytes that have come.
    bytes: Arc<AtomicU64>,
    /// When the last of them came, once it has ended.
    ended: Arc<Mutex<Option<Instant>>>,
}

impl Open {
    /// A stream of events and a WebSocket.
    pub(crate) fn both(proxy: SocketAddr, cookie: &str) -> [Self; 2] {
        let events = format!("GET /events HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\n\r\n");
        let socket = format!(
            "GET /socket HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIGtleSBvZiBhIHRlc3Q=\r\n\r\n"
        );
        [Self::new(proxy, &events, false), Self::new(proxy, &socket, true)]
    }

    fn new(proxy: SocketAddr, request: &str, echoes: bool) -> Self {
        let mut socket = TcpStream::connect(proxy).expect("Envoy listens");
        socket.write_all(request.as_bytes()).expect("Envoy reads");
        let mut head = [0; 12];
        socket.read_exact(&mut head).expect("Envoy answers");
        assert!(head == *b"HTTP/1.1 200" || head == *b"HTTP/1.1 101", "{}", head.escape_ascii());
        let (bytes, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let open = Self { socket, bytes: Arc::clone(&bytes), ended: Arc::clone(&ended) };
        let mut socket = open.socket.try_clone().expect("a second handle");
        thread::spawn(move || {
            let (mut buffer, mut last) = ([0; 4096], Instant::now());
            while let Ok(length @ 1..) = socket.read(&mut buffer) {
                last = Instant::now();
                bytes.fetch_add(length as u64, Ordering::SeqCst);
                if echoes {
                    thread::sleep(Duration::from_millis(10));
                    // A binary message of one byte, masked with zeros; it comes back.
                    let _ = socket.write_all(&[0x82, 0x81, 0, 0, 0, 0, 7]);
                }
            }
            *ended.lock().expect("no holder panicked") = Some(last);
        });
        open
    }

    /// Waits until something has come beyond the head of the reply; fails when it has ended.
    pub(crate) fn has_begun(&self) {
        wait_until("a stream to begin", || self.bytes() > 200);
    }

    /// How much has come; fails when it has ended.
    pub(crate) fn bytes(&self) -> u64 {
        assert_eq!(*self.ended.lock().expect("no holder panicked"), None, "the stream has ended");
        self.bytes.load(Ordering::SeqCst)
    }

    /// Waits for its end. Returns how long after this moment something came; Envoy closes the connection a second later.
    pub(crate) fn cut_after(&self, begun: Instant) -> Duration {
        wait_until("a stream to be cut", || self.ended.lock().expect("no holder panicked").is_some());
        let ended = self.ended.lock().expect("no holder panicked");
        ended.map_or(Duration::MAX, |last| last.saturating_duration_since(begun))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
