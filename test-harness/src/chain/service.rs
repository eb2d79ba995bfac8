//! The lookup service as a process of its own, to be killed, silenced and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use jwe_gate_test_parts::http::{get, send};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;

/// The service. It ends when dropped.
#[derive(Debug)]
pub struct Service {
    // Fields drop in order: the process goes before its directory.
    process: Option<Process>,
    program: PathBuf,
    variables: BTreeMap<String, String>,
    port: Port,
    scratch: Scratch,
}

impl Service {
    /// Starts `program` with these variables alone, and waits until it can answer.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(program: &Path, variables: BTreeMap<String, String>) -> Result<Self> {
        let (program, port, scratch) = (program.to_owned(), Port::take()?, Scratch::new()?);
        let mut service = Self { process: None, program, variables, port, scratch };
        service.restart()?;
        Ok(service)
    }

    /// Starts it again on the same port; ends it first if it is running.
    ///
    /// # Errors
    /// When it does not get ready, as without its database.
    pub fn restart(&mut self) -> Result<()> {
        self.launch()?;
        let address = self.port.address();
        let process = self.process.as_mut().context(NOT_RUNNING)?;
        process.wait_until("the lookup service to be ready", PATIENCE, |_| {
            send(address, get("/readyz", &[("connection", "close")])).is_ok_and(|reply| reply.status == 200)
        })
    }

    /// The same without waiting until it is ready.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn launch(&mut self) -> Result<()> {
        self.kill();
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.variables).args(["--listen", &self.port.address().to_string()]);
        self.process = Some(Process::spawn("the lookup service", command, &self.scratch.path().join("log"))?);
        Ok(())
    }

    /// Ends it at once; connections are refused from then on.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Makes it silent with connections open.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> Result<()> {
        self.process.as_ref().context(NOT_RUNNING)?.pause()
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> Result<()> {
        self.process.as_ref().context(NOT_RUNNING)?.resume()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// The memory that it holds, in KiB.
    ///
    /// # Errors
    /// When it is not running.
    pub fn rss_kib(&self) -> Result<u64> {
        self.process.as_ref().context(NOT_RUNNING)?.rss_kib()
    }

    /// What it has logged since it was started last.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}

const NOT_RUNNING: &str = "the lookup service is not running";
const PATIENCE: Duration = Duration::from_secs(30);
