//! The lookup service as it is shipped, on a database of its own, and an administrator who ends sessions.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use jwe_gate_test_harness::fleet::{ADMIN_TOKEN, end_session, end_subject};
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_parts::http::{get, send};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;

/// The running service.
pub(crate) struct Service {
    // Fields drop in order: the process goes before its directory.
    process: Process,
    port: Port,
    scratch: Scratch,
}

impl Service {
    /// Starts it with these users.
    pub(crate) fn start(users: &[&str]) -> Self {
        let (scratch, port) = (Scratch::new().expect("a folder"), Port::take().expect("a port"));
        let mut service = Self { process: launch(&scratch, &port, users), port, scratch };
        service.wait();
        service
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills it, and starts it again on the same database and port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = launch(&self.scratch, &self.port, &[]);
        self.wait();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Ends a session. It is durable when this returns.
    pub(crate) fn end_session(&self, sid: &str) {
        end_session(self.address(), sid).expect("the service writes it");
    }

    /// Ends all sessions of a user up to now, and says when that was by the database's clock.
    pub(crate) fn end_subject(&self, user: &str) -> u64 {
        end_subject(self.address(), user).expect("the service writes it").at_ms
    }

    /// How many revocations it has written.
    pub(crate) fn revocations(&self) -> u64 {
        let metrics = send(self.address(), get("/metrics", &[("connection", "close")])).expect("the service answers");
        let text = metrics.text();
        let lines = text.lines().filter(|line| line.starts_with("jwe_gate_lookup_revocations_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn wait(&mut self) {
        let address = self.address();
        let ready = |_: &Process| {
            send(address, get("/readyz", &[("connection", "close")])).is_ok_and(|reply| reply.status == 200)
        };
        self.process.wait_until("the lookup service to be ready", Duration::from_secs(30), ready).expect("it starts");
    }
}

fn launch(scratch: &Scratch, port: &Port, users: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookup-service"));
    command.env_clear().arg("--embedded").arg(scratch.path().join("users.sqlite"));
    command.args(["--listen", &port.address().to_string()]);
    command.args(users.iter().flat_map(|user| ["--seed", user]));
    command.envs([
        ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET),
        ("REVOCATIONS", "true"),
        ("REVOCATION_ADMIN_TOKEN", ADMIN_TOKEN),
    ]);
    Process::spawn("the lookup service", command, &scratch.path().join("log")).expect("the service can be run")
}
