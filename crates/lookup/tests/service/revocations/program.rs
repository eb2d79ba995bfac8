//! The program itself: what it keeps in its file, how it ends, what it logs.

use std::path::Path;
use std::time::{Duration, Instant};

use jwe_gate_contract::{
    FeedAnswer, FeedQuestion, LookupSecret, MAC_HEADER, Message, REVOCATIONS_PATH, Receipt, Target,
};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{ADMIN, Cursor, PATIENCE, id, question, request};
use crate::process::program;
use crate::support::SECRET;

fn start(folder: &Path, port: &Port) -> Process {
    let mut command = program();
    command.env("REVOCATIONS", "true").env("REVOCATION_ADMIN_TOKEN", ADMIN);
    command.arg("--embedded").arg(folder.join("users.sqlite")).arg("--listen").arg(port.address().to_string());
    let mut process = Process::spawn("jwe-gate-lookup", command, &folder.join("log")).unwrap();
    process.wait_for_log("\"ready\"", PATIENCE).unwrap();
    process
}

async fn send(port: &Port, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(port.address()).await.unwrap();
    let length = body.len();
    let request = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 20"), "{head} {body}");
    body.to_owned()
}

async fn follow(port: &Port, question: &FeedQuestion) -> FeedAnswer {
    let target = question.target();
    let mac = LookupSecret::new(SECRET).unwrap().sign(Message::FeedQuestion, target.as_bytes());
    let body = send(port, &format!("GET {target} HTTP/1.1\r\n{MAC_HEADER}: {mac}"), "").await;
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn a_restart_keeps_what_is_revoked_and_the_end_waits_for_nobody() {
    let (scratch, port) = (Scratch::new().unwrap(), Port::take().unwrap());
    let mut process = start(scratch.path(), &port);
    let body = serde_json::to_string(&request(&id(), Target::Subject { sub: "alice@example.org".into() })).unwrap();
    let head = format!("POST {REVOCATIONS_PATH} HTTP/1.1\r\nauthorization: Bearer {ADMIN}");
    let receipt: Receipt = serde_json::from_str(&send(&port, &head, &body).await).unwrap();
    process.kill();

    let mut process = start(scratch.path(), &port);
    let cursor = Cursor { epoch: Some(receipt.epoch), after: receipt.seq - 1 };
    let answer = follow(&port, &question(&cursor, 0)).await;
    assert_eq!((answer.snapshot, answer.entries.len(), answer.upto), (false, 1, receipt.seq));

    let start = Instant::now();
    let cursor = Cursor { after: receipt.seq, ..cursor };
    let asked = question(&cursor, 25_000);
    let (answer, ()) = tokio::join!(follow(&port, &asked), async {
        let metrics = async || send(&port, "GET /metrics HTTP/1.1", "").await;
        while !metrics().await.contains("jwe_gate_lookup_feed_waiting 1") {
            assert!(start.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process.terminate().unwrap();
    });
    assert!(answer.complete && answer.entries.is_empty());
    assert!(process.wait(PATIENCE).unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(20), "it waited to the end");
    let log = process.log();
    assert!(!log.contains("alice") && !log.contains(ADMIN) && !log.contains(SECRET), "{log}");
}
