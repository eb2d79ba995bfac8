//! Uploads that wait for a lookup: what they send meanwhile stays within the listener's buffers, and arrives whole.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use jwe_gate_contract::MAC_HEADER;
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_harness::token::SECRET;
use jwe_gate_test_harness::{FakeLookup, Token, artefact, scenario};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http::{Connection, Reply};
use jwe_gate_test_parts::server::{Answer, Server};

const UPLOADS: usize = 200;
const BODY: usize = 1 << 20;

/// What `envoy/envoy.yaml` says.
const SHIPPED_LIMIT: usize = 32_768;

/// What Envoy may hold for one of them, in KiB: the listener's 32 KiB where it reads and again where the request is kept,
/// and as much for the connection itself and the filter.
const EACH_KIB: u64 = 96;

#[test]
fn parked_uploads_stay_within_the_buffers_and_arrive_whole() {
    let grown = parked(SHIPPED_LIMIT);
    assert!(grown <= UPLOADS as u64 * EACH_KIB, "Envoy has grown by {grown} KiB");
    // Else it was the kernel that held them back, and nothing has been shown.
    let grown = parked(2 * BODY);
    assert!(grown >= (UPLOADS * BODY / 2048) as u64, "Envoy has grown by only {grown} KiB");
}

/// By how many KiB Envoy grows when that many uploads wait, each connection having buffers of so many bytes.
fn parked(limit: usize) -> u64 {
    let lookup = FakeLookup::default();
    lookup.add("alice");
    lookup.hold();
    let (service, app) = (serve(lookup.clone()), Server::start(|request| length(&request.body)).unwrap());
    let envoy = start(&service, &app, limit);
    let before = envoy.rss_kib().unwrap();

    let mut uploads: Vec<_> = (0..UPLOADS).map(|_| Upload::start(envoy.address("gate"))).collect();
    let mut last_progress = Instant::now();
    while last_progress.elapsed() < Duration::from_secs(1) {
        if uploads.iter_mut().map(Upload::send).sum::<usize>() > 0 {
            last_progress = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let grown = envoy.rss_kib().unwrap().saturating_sub(before);
    let sent = uploads.iter().map(|upload| upload.sent).sum::<usize>() / 1024;
    println!("{UPLOADS} parked uploads, {sent} KiB sent, buffers of {limit} bytes: Envoy has grown by {grown} KiB");
    assert_eq!(lookup.questions().len(), 1);

    lookup.release();
    for upload in uploads {
        let reply = upload.finish();
        assert_eq!((reply.status, reply.text()), (200, BODY.to_string()));
    }
    assert_eq!(lookup.questions().len(), 1);
    grown
}

/// A client that sends as much as is taken from it.
struct Upload {
    stream: TcpStream,
    sent: usize,
}

impl Upload {
    fn start(address: SocketAddr) -> Self {
        let cookie = Token::of("alice", jwe_gate_test_harness::token::now_ms()).pair();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: app.test\r\ncontent-length: {BODY}\r\ncookie: {cookie}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, sent: 0 }
    }

    /// Sends what is taken now, and returns how much that was.
    fn send(&mut self) -> usize {
        let before = self.sent;
        while self.sent < BODY {
            match self.stream.write(&[b'x'; 1 << 14][..(BODY - self.sent).min(1 << 14)]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.sent - before
    }

    fn finish(mut self) -> Reply {
        self.stream.set_nonblocking(false).unwrap();
        self.send();
        Connection::over(self.stream).read().unwrap()
    }
}

fn start(service: &Server, app: &Server, limit: usize) -> Envoy {
    let mut gate = scenario::gate();
    scenario::set(&mut gate, "/lookup/timeout_ms", 60_000.into());
    let filter = Filter::new(&artefact::path(), &gate.to_string());
    let filter = filter.environment(&["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET"]);
    let listener = Listener::to_cluster("gate", "app").option("request_timeout", "300s".into()).filter(filter);
    let config = Config::new().cluster("app", app.address()).cluster("lookup", service.address()).listener(listener);
    let text = config.build();
    let shipped = format!("\"per_connection_buffer_limit_bytes\":{SHIPPED_LIMIT}");
    assert!(text.contains(&shipped), "{text}");
    let config = text.replace(&shipped, &format!("\"per_connection_buffer_limit_bytes\":{limit}"));
    // All of them connect to the app at once when they are let go, which takes its time on a busy machine.
    let config = config.replace("\"connect_timeout\":\"0.2s\"", "\"connect_timeout\":\"10s\"");
    let launch = Launch::new(config).env("AUTH_SECRET", SECRET).env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET);
    Envoy::start(&launch.concurrency(2)).unwrap()
}

fn length(body: &[u8]) -> Answer {
    Answer::new("text/plain", body.len().to_string())
}

fn serve(lookup: FakeLookup) -> Server {
    Server::start(move |request| {
        lookup.arrived(&request.body);
        lookup.wait();
        let mac = request.headers.iter().find(|(name, _)| name == MAC_HEADER).map(|(_, mac)| mac.clone());
        let (headers, body) = lookup.answer(&mac.unwrap_or_default(), &request.body).unwrap();
        headers.into_iter().fold(Answer::new("application/json", body), |answer, (name, mac)| answer.header(name, mac))
    })
    .unwrap()
}
