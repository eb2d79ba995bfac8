//! The artefact in a real nginx under the shipped configuration, for whoever has one: `make test-nginx NGINX=…`.
//!
//! The shipped file is used as it is, but for what is marked REPLACE in it, the places of logs, and TLS. Each gate is a
//! server of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::server::Server;
use jwe_gate_test_parts::upstream::Upstream;
use serde_json::{Value, json};

use super::clients::Clients;
use super::envoy::serve;
use super::{Driver, Outcome, Sent, Traits, nginx};
use crate::lookup::FakeLookup;
use crate::request::Request;
use crate::scenario::{Setup, set};
use crate::{artefact, nginx_conf, token};

const PATIENCE: Duration = Duration::from_secs(10);

/// The program, where one was named.
#[must_use]
pub fn program() -> Option<PathBuf> {
    std::env::var_os("NGINX").map(PathBuf::from)
}

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    let program = program().expect("NGINX names an nginx: make test-nginx NGINX=/path/to/nginx");
    let folder = Scratch::new().expect("a folder of one's own");
    let app = Upstream::start().expect("the app starts");
    let service = serve(lookup.clone());
    let ports: Vec<Port> = setup.gates.iter().map(|_| Port::take().expect("a port")).collect();
    let mut driver =
        RealNginx { program, folder, app, service, ports, lookup, clients: Clients::default(), nginx: None };
    driver.write(setup);
    driver.nginx = Some(driver.spawn(setup));
    Box::new(driver)
}

struct RealNginx {
    program: PathBuf,
    folder: Scratch,
    app: Upstream,
    service: Server,
    ports: Vec<Port>,
    lookup: FakeLookup,
    clients: Clients,
    nginx: Option<Process>,
}

impl RealNginx {
    fn write(&self, setup: &Setup) {
        let listening: Vec<_> = self.ports.iter().map(Port::address).collect();
        let places = Places {
            folder: self.folder.path(),
            module: &artefact::path_for_nginx(),
            app: self.app.address(),
            service: self.service.address(),
            gates: &listening,
        };
        fs::write(self.folder.path().join("nginx.conf"), conf(setup, &places)).expect("a folder of one's own");
    }

    fn spawn(&self, setup: &Setup) -> Process {
        let folder = self.folder.path();
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
        let mut nginx = Process::spawn("nginx", command, &folder.join("output")).expect("nginx starts");
        let listens = |port: &Port| TcpStream::connect(port.address()).is_ok();
        nginx.wait_until("it to listen", PATIENCE, |_| self.ports.iter().all(listens)).expect("nginx listens");
        nginx
    }
}

impl Driver for RealNginx {
    fn traits(&self) -> Traits {
        Traits { shows_counters: false, ..Traits::NGINX }
    }

    fn now_ms(&self) -> u64 {
        token::now_ms()
    }

    fn advance(&mut self, ms: u64) {
        thread::sleep(Duration::from_millis(ms));
    }

    fn send(&mut self, request: &Request) -> Sent {
        self.clients.send(self.ports[request.gate].address(), request)
    }

    fn abandon(&mut self, sent: Sent) {
        self.clients.abandon(sent);
    }

    fn outcome(&mut self, sent: Sent) -> Outcome {
        self.clients.outcome(sent, self.lookup.is_held())
    }

    fn counters(&mut self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    fn shared_writes(&mut self) -> Option<u64> {
        None
    }

    /// Starts nginx anew: its variables can change only so.
    fn reconfigure(&mut self, _gate: usize, setup: &Setup) -> Result<(), String> {
        self.nginx = None;
        self.write(setup);
        self.nginx = Some(self.spawn(setup));
        Ok(())
    }

    fn check_health(&mut self) {
        let log = self.nginx.as_ref().map(Process::log).unwrap_or_default();
        for bad in ["trap", "panicked", "exited on signal", "[alert]", "[emerg]"] {
            assert!(!log.contains(bad), "{bad}:\n{log}");
        }
    }
}

/// What of the shipped configuration depends on where it runs.
struct Places<'a> {
    folder: &'a Path,
    module: &'a Path,
    app: SocketAddr,
    service: SocketAddr,
    gates: &'a [SocketAddr],
}

/// The shipped configuration for these places, with a server for each gate.
fn conf(setup: &Setup, places: &Places<'_>) -> String {
    let folder = places.folder.display();
    let shipped = nginx_conf::shipped();
    let (head, server) = shipped.split_once("    server {\n        listen").expect("the shipped server");
    let (server, _) = server.rsplit_once('}').expect("the end of http");
    let head = nginx_conf::replaced(
        // The service of a test speaks plain HTTP.
        &without_lines(head, "tls_"),
        &[
            ("worker_processes auto;", &format!("daemon off;\nworker_processes {};", setup.workers)),
            ("/var/log/nginx/error.log warn", "stderr info"),
            ("/run/nginx.pid", &format!("{folder}/nginx.pid")),
            ("/var/log/nginx/access.log", &format!("{folder}/access.log")),
            ("/etc/jwe-gate/jwe_gate_nginx.wasm", &places.module.display().to_string()),
            ("127.0.0.1:8080", &places.app.to_string()),
        ],
    );
    let environment: Vec<_> = setup.environment.iter().map(|(name, _)| format!("env {name};\n")).collect();
    let environment = environment.concat();
    let servers = setup.gates.iter().zip(places.gates).map(|(gate, address)| {
        let config = addressed(nginx::gate(gate.clone()), places.service);
        let server = server.replace(&nginx_conf::filter(&shipped), &config.replace('\'', "\\'"));
        let server = without_lines(&server, "ssl_").replacen(" 8443 ssl", &format!(" {address}"), 1);
        format!("    server {{\n        listen{server}")
    });
    format!("{environment}{head}{}}}\n", servers.collect::<String>())
}

/// The service listens where it could, not where the profile says.
fn addressed(mut gate: Value, service: SocketAddr) -> String {
    if gate.pointer("/lookup/cluster") == Some(&json!(nginx::LOOKUP)) {
        set(&mut gate, "/lookup/cluster", json!(service.to_string()));
    }
    gate.to_string()
}

fn without_lines(text: &str, with: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with(with))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::gate;

    #[test]
    fn the_shipped_configuration_fits_into_a_test() {
        let [app, service, one, two] = [1, 2, 3, 4].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (folder, module) = (Path::new("/folder"), Path::new("/jwe_gate_nginx.wasm"));
        let places = Places { folder, module, app, service, gates: &[one, two] };
        let conf = conf(&Setup::default().gates(vec![gate(), gate()]), &places);
        assert_eq!(conf.matches('{').count(), conf.matches('}').count(), "{conf}");
        for (text, count) in
            [("listen 127.0.0.1:3;", 1), ("listen 127.0.0.1:4;", 1), ("ssl_", 0), ("8443", 0), ("proxy_pass", 2)]
        {
            let lines = conf.lines().filter(|line| line.contains(text)).count();
            assert_eq!(lines, count, "{text}: {conf}");
        }
        let config: Value = serde_json::from_str(&nginx_conf::filter(&conf)).unwrap();
        assert_eq!(config.pointer("/lookup/cluster").unwrap(), "127.0.0.1:2");
    }
}
