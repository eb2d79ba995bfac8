//! An application whose answers need not end: a WebSocket, and a stream of events.
//!
//! `GET /events` gives numbered events until the client goes. An upgrade to `websocket` gives back what is sent. All else
//! is answered as by [`Upstream`](crate::upstream::Upstream).
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::http::{read_body, read_head};
use crate::server::{Answer, Request};
use crate::upstream::Received;

/// The running application. It takes no more connections when dropped.
#[derive(Debug)]
pub struct Streaming {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Streaming {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, ended) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&ended);
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take_while(|_| !told.load(Ordering::SeqCst)) {
                // An error is the client's going away.
                thread::spawn(move || serve(stream));
            }
        });
        Ok(Self { address, ended })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread. Threads of open connections end with their clients.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (line, headers) = read_head(&mut reader)?;
        if headers.iter().any(|(name, value)| name == "upgrade" && value == b"websocket") {
            writer.write_all(SWITCHING)?;
            return echo(&mut reader, &mut writer);
        }
        if line.starts_with("GET /events ") {
            writer.write_all(EVENTS)?;
            return tell(&mut writer);
        }
        let (body, trailers) = read_body(&mut reader, &headers, false)?;
        let received = Received::from(Request { line, headers, body, trailers });
        writer.write_all(&Answer::new("application/json", serde_json::to_vec(&received)?).into_bytes())?;
    }
}

fn echo(reader: &mut impl Read, writer: &mut impl Write) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = reader.read(&mut buffer)?;
        match buffer.get(..length) {
            None | Some([]) => return Ok(()),
            Some(bytes) => writer.write_all(bytes)?,
        }
    }
}

fn tell(writer: &mut impl Write) -> Result<()> {
    for number in 0_u64.. {
        let event = format!("data: {number}\n\n");
        writer.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
        thread::sleep(STEP);
    }
    Ok(())
}

const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const STEP: Duration = Duration::from_millis(20);
