//! The servers of the demo: lookup service, application, and Envoy with `envoy/envoy.yaml`.
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::http::{Connection, get, send};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::Upstream;

use crate::session::random_text;

/// All servers, running. They end when this is dropped.
pub(crate) struct Stage {
    envoy: Envoy,
    certificates: Certificates,
    _app: Upstream,
    _lookup: Process,
    _port: Port,
    _scratch: Scratch,
}

impl Stage {
    /// Starts them, with one known user. `once` takes any free ports; else those of the file where they are free.
    pub(crate) fn set(auth_secret: &str, user: &str, once: bool) -> Result<Self> {
        let scratch = Scratch::new()?;
        let certificates = Certificates::write(scratch.path())?;
        let lookup_secret = random_text()?;
        let port = Port::take()?;
        let lookup = start_lookup(scratch.path(), port.address(), &lookup_secret, user)?;
        let app = Upstream::start()?;
        let wasm = repository().join("dist/jwe_gate.wasm");
        ensure!(wasm.is_file(), "{} is missing: run `make build`", wasm.display());
        let local = |preferred| local(if once { 0 } else { preferred });
        let shipped = Shipped {
            wasm: &wasm,
            certificates: &certificates,
            app: app.address(),
            lookup: &[port.address()],
            listen: local(8443),
            admin: local(9901),
        };
        let launch = Launch::new(shipped.configuration()?)
            .env("AUTH_SECRET", auth_secret)
            .env("JWE_GATE_LOOKUP_SECRET", lookup_secret);
        let envoy = Envoy::start(&launch)?;
        Ok(Self { envoy, certificates, _app: app, _lookup: lookup, _port: port, _scratch: scratch })
    }

    /// A new connection to the gate.
    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open_tls(self.envoy.address("https"), &self.certificates.authority)
    }

    /// Where the gate is.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/", self.envoy.address("https").port())
    }

    /// Where Envoy's admin page is.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.envoy.admin_address()
    }

    /// The file with the authority that signed the gate's certificate.
    pub(crate) fn authority(&self) -> &Path {
        &self.certificates.authority
    }
}

/// Port `preferred` of 127.0.0.1, or any free one where that is taken.
fn local(preferred: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, preferred));
    let is_free = TcpListener::bind(address).is_ok();
    if is_free { address } else { (Ipv4Addr::LOCALHOST, 0).into() }
}

fn start_lookup(folder: &Path, address: SocketAddr, secret: &str, user: &str) -> Result<Process> {
    let mut command = Command::new(beside_this_program("jwe-gate-lookup")?);
    command
        .env_clear()
        .env("JWE_GATE_LOOKUP_SECRET", secret)
        .arg("--embedded")
        .arg(folder.join("users.sqlite"))
        .args(["--seed", user, "--listen", &address.to_string()]);
    let mut process = Process::spawn("the lookup service", command, &folder.join("lookup.log"))?;
    process.wait_until("the lookup service to be ready", PATIENCE, |_| {
        send(address, get("/readyz", &[("connection", "close")])).is_ok_and(|reply| reply.status == 200)
    })?;
    Ok(process)
}

fn beside_this_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.parent().context("this program lies in no folder")?.join(name);
    ensure!(program.is_file(), "{} is missing: `make demo` builds it", program.display());
    Ok(program)
}

const PATIENCE: Duration = Duration::from_secs(30);
