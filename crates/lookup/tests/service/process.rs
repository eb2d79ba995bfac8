//! The program itself: its port, its log, its end.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use jwe_gate_contract::{Kind, LOOKUP_PATH, LookupAnswer, LookupQuestion, LookupSecret, MAC_HEADER, VERSION};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::{self, Process};
use jwe_gate_test_parts::scratch::Scratch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{SECRET, assert_allows, question};

struct Running {
    // Fields drop in order: the process goes before its directory.
    process: Process,
    port: Port,
    _scratch: Scratch,
}

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwe-gate-lookup"));
    command.env_clear().env("JWE_GATE_LOOKUP_SECRET", SECRET);
    command
}

fn start() -> Running {
    let (scratch, port) = (Scratch::new().unwrap(), Port::take().unwrap());
    let mut command = program();
    command.arg("--embedded").arg(scratch.path().join("users.sqlite")).args(["--seed", "alice@example.org"]);
    command.arg("--listen").arg(port.address().to_string());
    let mut process = Process::spawn("jwe-gate-lookup", command, &scratch.path().join("log")).unwrap();
    process.wait_for_log("\"ready\"", PATIENCE).unwrap();
    Running { process, port, _scratch: scratch }
}

async fn ask(address: SocketAddr) -> LookupAnswer {
    let questions = vec![question(Kind::Subject, "alice@example.org")];
    let body = serde_json::to_string(&LookupQuestion { version: VERSION, deadline_ms: 5_000, questions }).unwrap();
    let mac = LookupSecret::new(SECRET).unwrap().sign_question(body.as_bytes());
    let request = format!(
        "POST {LOOKUP_PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{MAC_HEADER}: {mac}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).unwrap()
}

/// Asks for a page in HTTP/2 from the first byte on, and returns the first byte of the reply's headers: `0x88` says 200.
async fn first_header_byte_over_http2(address: SocketAddr, path: &str) -> u8 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    request.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // Compressed headers: GET, http, and two names of the static table with values in plain.
    let mut headers = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    headers.extend(path.bytes());
    headers.extend([0x01, 1, b'x']);
    request.extend([0, 0, u8::try_from(headers.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    request.extend(headers);
    stream.write_all(&request).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == 1 {
            return payload[0];
        }
    }
}

#[tokio::test]
async fn http_1_and_http_2_are_served_on_one_port() {
    let running = start();
    let address = running.port.address();
    assert_allows(&ask(address).await.answers[0].outcome, "alice@example.org");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(first_header_byte_over_http2(address, path).await, 0x88, "{path}");
    }
}

#[tokio::test]
async fn the_log_is_json_and_tells_neither_ids_nor_secrets() {
    let mut running = start();
    ask(running.port.address()).await;
    running.process.terminate().unwrap();
    assert!(running.process.wait(PATIENCE).unwrap().success());
    let log = running.process.log();
    let messages: Vec<_> = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let messages: Vec<_> = messages.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["listening", "ready", "stopped"]);
    assert!(!log.contains("alice") && !log.contains(SECRET));
}

#[tokio::test]
async fn connections_that_idle_do_not_keep_it_from_ending() {
    let mut running = start();
    let _idle = TcpStream::connect(running.port.address()).await.unwrap();
    ask(running.port.address()).await;
    running.process.terminate().unwrap();
    assert!(running.process.wait(PATIENCE).unwrap().success());
}

#[test]
fn a_mistake_ends_it_with_one_line_that_says_which() {
    let error = process::run(program()).unwrap_err().to_string();
    let expected = "jwe-gate-lookup: DATABASE_URL: not given; give it or POSTGRES_HOST, POSTGRES_DB and POSTGRES_USER, \
                    or start with --embedded for SQLite\n";
    assert!(error.ends_with(expected), "{error}");
}
