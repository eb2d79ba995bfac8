//! Streams that stay open, and notice the first thing that is missing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A stream under way.
pub(crate) struct Stream {
    socket: TcpStream,
    /// How many messages have come, all in order.
    messages: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Stream {
    /// Events, as a browser's `EventSource` gets them.
    pub(crate) fn events(address: SocketAddr, cookie: &str) -> Self {
        let request = format!("GET /events HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\n\r\n");
        Self::open(address, &request, 200, |reader, _, messages| {
            let mut text = String::new();
            for number in 0_u64.. {
                let event = format!("data: {number}\n\n");
                // A proxy may cut the stream into other chunks than the application did.
                while text.len() < event.len() {
                    text += &chunk(reader)?;
                }
                text = text.strip_prefix(&event).ok_or_else(|| format!("{text:?} instead of {event:?}"))?.to_owned();
                messages.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        })
    }

    /// A WebSocket that is sent something every 20 ms, and must give it back.
    pub(crate) fn web_socket(address: SocketAddr, cookie: &str) -> Self {
        let request = format!(
            "GET /socket HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIGtleSBvZiBhIHRlc3Q=\r\n\r\n"
        );
        Self::open(address, &request, 101, |reader, writer, messages| {
            for number in 0_u64.. {
                // A binary message of eight bytes, masked with zeros.
                let message = [&[0x82, 0x88, 0, 0, 0, 0], number.to_be_bytes().as_slice()].concat();
                writer.write_all(&message).map_err(|error| error.to_string())?;
                expect(reader, &message)?;
                messages.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        })
    }

    fn open(
        address: SocketAddr,
        request: &str,
        status: u16,
        follow: fn(&mut BufReader<TcpStream>, &mut TcpStream, &AtomicU64) -> Result<(), String>,
    ) -> Self {
        let mut socket = TcpStream::connect(address).expect("Envoy listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        socket.write_all(request.as_bytes()).expect("Envoy reads");
        let mut reader = BufReader::new(socket.try_clone().expect("a second handle"));
        let mut line = String::new();
        reader.read_line(&mut line).expect("Envoy answers");
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).expect("Envoy answers");
        }
        let messages = Arc::new(AtomicU64::new(0));
        let (counted, mut writer) = (Arc::clone(&messages), socket.try_clone().expect("a second handle"));
        let thread = thread::spawn(move || {
            let end = follow(&mut reader, &mut writer, &counted).expect_err("it has no end");
            println!("a stream ended: {end}");
        });
        Self { socket, messages, thread }
    }

    /// How many messages have come so far. Fails if the stream has ended, or something was missing in it.
    pub(crate) fn messages(&self) -> u64 {
        assert!(
            !self.thread.is_finished(),
            "the stream has ended after {} messages",
            self.messages.load(Ordering::SeqCst)
        );
        self.messages.load(Ordering::SeqCst)
    }

    /// Waits for one more message, and closes the stream.
    pub(crate) fn close(self) -> u64 {
        let before = self.messages();
        while self.messages() == before {
            thread::sleep(Duration::from_millis(5));
        }
        let all = self.messages();
        self.socket.shutdown(Shutdown::Both).expect("it was open");
        self.thread.join().expect("a thread that ends");
        all
    }
}

/// One chunk of a body.
fn chunk(reader: &mut BufReader<TcpStream>) -> Result<String, String> {
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| error.to_string())?;
    let length = usize::from_str_radix(line.trim_end(), 16).map_err(|_| format!("{line:?} is no length"))?;
    let mut bytes = vec![0; length + 2];
    reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn expect(reader: &mut impl Read, message: &[u8]) -> Result<(), String> {
    let mut found = vec![0; message.len()];
    reader.read_exact(&mut found).map_err(|error| error.to_string())?;
    if found == message { Ok(()) } else { Err(format!("{found:?} instead of {message:?}")) }
}
