//! The application with `@auth/express`, `interop/app.mjs`, and browsers that use it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_parts::http::{Reply, get, send};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;
use serde_json::Value;

use super::packages;

/// The running application.
pub(crate) struct Application {
    // Fields drop in order: the process goes before its log.
    _process: Process,
    port: Port,
    _scratch: Scratch,
}

impl Application {
    /// Starts it, with the `jwt` callback that is shipped or with none.
    pub(crate) fn start(with_callback: bool) -> Self {
        let (scratch, port) = (Scratch::new().unwrap(), Port::take().unwrap());
        let mut command = Command::new("node");
        command.arg("app.mjs").arg(port.number().to_string()).current_dir(packages()).env("AUTH_SECRET", SECRET);
        command.args((!with_callback).then_some("plain"));
        let mut process = Process::spawn("the application", command, &scratch.path().join("log")).unwrap();
        process.wait_for_log("listening", Duration::from_secs(30)).unwrap();
        Self { _process: process, port, _scratch: scratch }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

/// A browser of somebody's: it keeps the cookies that it is given, and shows them.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// One whose user has signed in, through this proxy.
    pub(crate) fn signed_in(proxy: SocketAddr, user: &str) -> Self {
        let mut browser = Self::default();
        let reply = browser.post(proxy, "/api/auth/callback/credentials", &format!("&name={user}"));
        assert_eq!(reply.status, 302, "{}", reply.text());
        assert!(browser.token().is_some(), "{reply:?}");
        browser
    }

    /// Signs out as the application's own page does. What is left afterwards are the browser's cookies.
    pub(crate) fn sign_out(&mut self, proxy: SocketAddr) -> Reply {
        self.post(proxy, "/api/auth/signout", "")
    }

    /// The session's token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.cookies.get(COOKIE).map(String::as_str)
    }

    /// The `Cookie` header.
    pub(crate) fn header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn get(&mut self, proxy: SocketAddr, path: &str) -> Reply {
        let reply = send(proxy, get(path, &[("cookie", &self.header()), ("connection", "close")])).unwrap();
        self.keep(&reply);
        reply
    }

    /// A form of the application's own.
    fn post(&mut self, proxy: SocketAddr, path: &str, fields: &str) -> Reply {
        let page: Value = serde_json::from_slice(&self.get(proxy, "/api/auth/csrf").body).unwrap();
        let token = page.get("csrfToken").and_then(Value::as_str).unwrap();
        let body = format!("csrfToken={token}{fields}");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\ncookie: {}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.header(),
            body.len()
        );
        let reply = send(proxy, request).unwrap();
        self.keep(&reply);
        reply
    }

    fn keep(&mut self, reply: &Reply) {
        for (name, value) in set_cookies(reply) {
            match &*value {
                "" => self.cookies.remove(&name),
                _ => self.cookies.insert(name, value),
            };
        }
    }
}

/// The session's token that a reply gives, if it does.
pub(crate) fn fresh_token(reply: &Reply) -> Option<String> {
    set_cookies(reply).find(|(name, value)| name == COOKIE && !value.is_empty()).map(|(_, value)| value)
}

/// Names and values of the cookies that a reply sets.
fn set_cookies(reply: &Reply) -> impl Iterator<Item = (String, String)> {
    let lines = reply.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines.map(|(_, line)| {
        let line = String::from_utf8_lossy(line).into_owned();
        let pair = line.split(';').next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or_default();
        (name.to_owned(), value.to_owned())
    })
}
