//! A small HTTP/1.1 server on a free port, a thread for each connection, whose answers a function makes.
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::Result;

use crate::http::{read_body, read_head};

/// The running server. It takes no more connections when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request line.
    pub line: String,
    /// The header lines in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
    /// What came after it, names in lower case.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// What is to be answered, with the status 200 unless changed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, but for `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How many bytes more are promised than come before the connection is closed.
    pub missing: usize,
}

impl Answer {
    /// A body of this type.
    #[must_use]
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: vec![("content-type", content_type.to_owned())], body: body.into(), missing: 0 }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let head = format!("HTTP/1.1 {} \r\ncontent-length: {}\r\n", self.status, self.body.len() + self.missing);
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = headers.fold(head, |text, line| text + &line) + "\r\n";
        [head.into_bytes(), self.body].concat()
    }
}

impl Server {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(answer: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // The standard library lets 128 clients wait to be accepted. In a burst the others would try again a second later.
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let answer: Arc<Handler> = Arc::new(answer);
        thread::spawn(move || accept(&listener, &accepting, &answer));
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

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then drops the listener. Threads of open connections end with their clients.
        let _ = TcpStream::connect(self.address);
    }
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    requests: AtomicU64,
}

type Handler = dyn Fn(Request) -> Answer + Send + Sync;

fn accept(listener: &TcpListener, shared: &Arc<Shared>, answer: &Arc<Handler>) {
    for stream in listener.incoming().flatten() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let (shared, answer) = (Arc::clone(shared), Arc::clone(answer));
        // An error is the client's going away.
        thread::spawn(move || serve(stream, &shared, answer.as_ref()));
    }
}

fn serve(stream: TcpStream, shared: &Shared, answer: &Handler) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (line, headers) = read_head(&mut reader)?;
        let (body, trailers) = read_body(&mut reader, &headers, false)?;
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let answer = answer(Request { line, headers, body, trailers });
        let breaks_off = answer.missing > 0;
        writer.write_all(&answer.into_bytes())?;
        if breaks_off {
            return Ok(writer.shutdown(Shutdown::Both)?);
        }
    }
}

const BACKLOG: i32 = 4096;
