//! One Envoy of a fleet, which can be cut off from the lookup service, and begin anew.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository, version};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::fault_proxy::{FaultProxy, Mode};
use jwe_gate_test_parts::http::{Connection, Reply, get};
use serde_json::{Value, json};

use super::IN_A_ROW;
use crate::artefact;
use crate::chain::{AUTH_SECRET, LOOKUP_SECRET};

/// A running Envoy with two workers.
#[derive(Debug)]
pub struct Proxy {
    // Fields drop in order: whoever asks goes before who is asked.
    /// Ten at a time, so that all but surely some are at each worker, and used in turn.
    connections: Mutex<VecDeque<Connection>>,
    envoy: Envoy,
    /// The ways to the replicas.
    links: Vec<FaultProxy>,
    launch: Launch,
    authority: PathBuf,
}

impl Proxy {
    pub(super) fn start(
        app: SocketAddr,
        replicas: &[SocketAddr],
        certificates: &Certificates,
        revocation: &Value,
    ) -> Result<Self> {
        let links = replicas.iter().map(|replica| FaultProxy::start(*replica)).collect::<Result<Vec<_>>>()?;
        let lookup: Vec<_> = links.iter().map(FaultProxy::address).collect();
        let shipped = Shipped {
            wasm: &artefact::path(),
            certificates,
            app,
            lookup: &lookup,
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
        };
        let text = following(&shipped.configuration()?, &lookup, revocation)?;
        let launch = Launch::new(text)
            .env("AUTH_SECRET", AUTH_SECRET)
            .env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)
            .concurrency(2);
        let (envoy, authority) = (Envoy::start(&launch)?, certificates.authority.clone());
        Ok(Self { connections: Mutex::default(), envoy, links, launch, authority })
    }

    /// Ends it, and starts it again with nothing in its memory.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.connections = Mutex::default();
        self.envoy.process().kill();
        self.envoy = Envoy::start(&self.launch)?;
        Ok(())
    }

    /// Changes what becomes of its connections to all replicas.
    pub fn links(&self, mode: Mode) {
        self.links.iter().for_each(|link| link.set(mode));
    }

    /// Changes what becomes of its connections to one replica.
    pub fn link(&self, replica: usize, mode: Mode) {
        self.links[replica].set(mode);
    }

    /// Its Envoy.
    #[must_use]
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// A new connection.
    ///
    /// # Panics
    /// When Envoy is gone.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open_tls(self.envoy.address("https"), &self.authority).expect("Envoy listens")
    }

    /// The status for a session; 401 for a request that is cut, as what is under way may be.
    #[must_use]
    pub fn status(&self, cookie: &str) -> u16 {
        self.ask("/", cookie).map_or(401, |reply| reply.status)
    }

    /// The statuses for a session by both workers, each once.
    #[must_use]
    pub fn in_a_row(&self, cookie: &str) -> Vec<u16> {
        let statuses: BTreeSet<_> = (0..IN_A_ROW).map(|_| self.status(cookie)).collect();
        statuses.into_iter().collect()
    }

    /// The statuses of the page for load balancers by both workers, each once.
    ///
    /// # Panics
    /// When Envoy does not answer.
    #[must_use]
    pub fn readiness(&self) -> Vec<u16> {
        let ask = |_| self.ask(READY, "theme=dark").expect("Envoy answers").status;
        (0..IN_A_ROW).map(ask).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Signs out as a page of the app does. It is durable when this returns.
    ///
    /// # Errors
    /// When the gate does not say so.
    pub fn sign_out(&self, cookie: &str) -> Result<()> {
        let reply = self.connect().send(signing_out(cookie))?;
        ensure!(reply.status == 204, "{} to a sign-out", reply.status);
        Ok(())
    }

    fn ask(&self, path: &str, cookie: &str) -> Result<Reply> {
        let connections = || self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = Some(connections()).filter(|kept| kept.len() >= IN_A_ROW).and_then(|mut kept| kept.pop_front());
        let mut connection = kept.unwrap_or_else(|| self.connect());
        let reply = connection.send(get(path, &[("cookie", cookie)]))?;
        connections().push_back(connection);
        Ok(reply)
    }
}

/// The request of a user who signs out.
#[must_use]
pub(super) fn signing_out(cookie: &str) -> String {
    let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin"), ("content-length", "0")];
    get(SIGN_OUT, &headers).replacen("GET", "POST", 1)
}

/// The shipped configuration with the feed: the cluster that is documented, and the field `revocation` of the filter.
fn following(shipped: &str, replicas: &[SocketAddr], revocation: &Value) -> Result<String> {
    let mut revocation = revocation.clone();
    revocation["ready_path"] = json!(READY);
    revocation["sign_out"] = json!({ "path": SIGN_OUT });
    let routes = r#""routes": [{ "access": "required" }]"#;
    let text = replaced(shipped, routes, &format!("\"revocation\": {revocation}, {routes}"))?;
    let cluster = cluster(replicas)?.trim_end().replace('\n', "\n    ");
    replaced(&text, "\n  clusters:\n", &format!("\n  clusters:\n    {cluster}\n"))
}

/// The cluster of the feed, as it stands in the documentation but for its hosts.
fn cluster(replicas: &[SocketAddr]) -> Result<String> {
    let guide = fs::read_to_string(repository().join("docs/CONFIGURATION.md"))?;
    let start = guide.find("- name: jwe_gate_revocations").context("the documented cluster")?;
    let length = guide[start..].find("```").context("its end")?;
    let host = |place: &str| format!("{{ endpoint: {{ address: {{ socket_address: {{ {place} }} }} }} }}");
    let place = |replica: &SocketAddr| host(&format!("address: {}, port_value: {}", replica.ip(), replica.port()));
    let hosts: Vec<_> = replicas.iter().map(place).collect();
    let documented = &guide[start..start + length];
    let until =
        if version()? < (1, 37) { documented.find("      retry_policy:").context("its retries")? } else { length };
    replaced(&documented[..until], &host("address: jwe-gate-lookup, port_value: 9090"), &hosts.join(", "))
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.matches(from).count() == 1, "{from:?} should be there once");
    Ok(text.replace(from, to))
}

const READY: &str = "/readyz";
const SIGN_OUT: &str = "/sign-out";
