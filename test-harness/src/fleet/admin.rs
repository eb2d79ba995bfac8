//! An administrator, who ends sessions at a lookup service.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use jwe_gate_contract::Receipt;
use jwe_gate_test_parts::http::send;
use serde_json::{Value, json};

/// Ends a session. It is durable when this returns.
///
/// # Errors
/// When the service does not say so.
pub fn end_session(service: SocketAddr, sid: &str) -> Result<Receipt> {
    revoke(service, &json!({ "kind": "session", "sid": sid }), sid)
}

/// Ends all sessions of a user up to now. It is durable when this returns.
///
/// # Errors
/// When the service does not say so.
pub fn end_subject(service: SocketAddr, user: &str) -> Result<Receipt> {
    revoke(service, &json!({ "kind": "subject", "sub": user }), user)
}

fn revoke(service: SocketAddr, target: &Value, name: &str) -> Result<Receipt> {
    // The service writes what has one id once, so that it may be sent again.
    let id: String = format!("an-id-of-the-tests-{name}").replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let body = json!({ "version": 1, "realm": "default", "id": id, "target": target }).to_string();
    let request = format!(
        "POST /v1/revocations HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {ADMIN_TOKEN}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = send(service, request)?;
    ensure!(reply.status / 100 == 2, "{} {}", reply.status, reply.text());
    Ok(serde_json::from_slice(&reply.body)?)
}

/// What administrators show.
pub const ADMIN_TOKEN: &str = "the administrators of these tests show this";
