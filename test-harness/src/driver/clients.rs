//! Clients of a real proxy: each request on a thread and a connection of its own.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use jwe_gate_test_parts::http::Connection;
use jwe_gate_test_parts::upstream::Received;

use super::{Outcome, Sent, characters};
use crate::request::Request;

/// How long a request may take that is not held up on purpose.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to look at a request before it is said to wait.
pub(super) const GLANCE: Duration = Duration::from_millis(200);

/// The requests that were sent.
#[derive(Default)]
pub(super) struct Clients(Vec<InHand>);

/// The path of an app's stream.
const EVENTS: &str = "/events";

struct InHand {
    reply: Receiver<Outcome>,
    outcome: Option<Outcome>,
    connection: TcpStream,
}

impl Clients {
    /// Sends a request to a proxy.
    pub(super) fn send(&mut self, proxy: SocketAddr, request: &Request) -> Sent {
        let stream = TcpStream::connect(proxy).expect("the proxy listens");
        let connection = stream.try_clone().expect("a second handle");
        let (tell, reply) = channel();
        let bytes = request.bytes();
        thread::spawn(move || {
            let reply = Connection::over(stream).send(bytes);
            // The scenario may have ended meanwhile.
            let _ = tell.send(reply.map_or(Outcome::Closed, |reply| match Received::from_reply(&reply) {
                Ok(received) => Outcome::Forwarded(received.headers),
                Err(_) => Outcome::Replied {
                    status: reply.status,
                    headers: reply.headers.into_iter().map(|(name, value)| (name, characters(&value))).collect(),
                },
            }));
        });
        self.0.push(InHand { reply, outcome: None, connection });
        Sent(self.0.len() - 1)
    }

    /// Asks for a stream of events, and waits until it has begun.
    pub(super) fn open(&mut self, proxy: SocketAddr, request: &Request) -> Sent {
        let mut stream = TcpStream::connect(proxy).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = Request { path: EVENTS.into(), ..request.clone() };
        stream.write_all(&request.bytes()).expect("the proxy reads");
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("the proxy answers");
        assert_eq!(characters(&head), "HTTP/1.1 200");
        let (_, reply) = channel();
        self.0.push(InHand { reply, outcome: None, connection: stream });
        Sent(self.0.len() - 1)
    }

    /// Whether events still come.
    pub(super) fn is_open(&mut self, sent: Sent) -> bool {
        let connection = &mut self.0[sent.0].connection;
        // What has come so far may be plenty, and what comes next is the answer.
        let mut buffer = vec![0; 1 << 16];
        let begun = Instant::now();
        while begun.elapsed() < GLANCE {
            match connection.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            }
        }
        true
    }

    /// Disconnects the client of a request.
    pub(super) fn abandon(&mut self, sent: Sent) {
        let request = &mut self.0[sent.0];
        request.connection.shutdown(Shutdown::Both).expect("the connection was open");
        request.outcome = Some(Outcome::Closed);
        // The proxy must have noticed before the scenario goes on.
        thread::sleep(GLANCE);
    }

    /// What became of a request; one that is held up is looked at for a moment only.
    pub(super) fn outcome(&mut self, sent: Sent, is_held: bool) -> Outcome {
        let request = &mut self.0[sent.0];
        let patience = if is_held { GLANCE } else { PATIENCE };
        let begun = Instant::now();
        while request.outcome.is_none() && begun.elapsed() < patience {
            match request.reply.try_recv() {
                Ok(outcome) => request.outcome = Some(outcome),
                Err(TryRecvError::Empty) => thread::sleep(Duration::from_millis(1)),
                Err(TryRecvError::Disconnected) => request.outcome = Some(Outcome::Closed),
            }
        }
        request.outcome.clone().unwrap_or(Outcome::Waiting)
    }
}
