//! A real Envoy: started with a configuration, watched through its admin page and the kernel.
//!
//! It chooses its own ports (`port_value: 0`), so that runs do not meet. The binary is the one that `make setup` installs,
//! or what `ENVOY` names. [`crate::envoy_config`] makes configurations.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::http;
use crate::process::{Process, run};
use crate::scratch::Scratch;

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The bootstrap configuration, YAML or JSON. Its admin page must listen on port 0 of 127.0.0.1.
    pub configuration: String,
    /// The environment. Nothing is inherited, so that no secret of the machine takes part.
    pub environment: BTreeMap<String, String>,
    /// How many worker threads.
    pub concurrency: u32,
    /// The log level, `warning` unless changed.
    pub log_level: &'static str,
}

impl Launch {
    /// One worker and an empty environment.
    #[must_use]
    pub fn new(configuration: impl Into<String>) -> Self {
        Self { configuration: configuration.into(), environment: BTreeMap::new(), concurrency: 1, log_level: "warning" }
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the number of worker threads.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }
}

/// A running Envoy. It ends when dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
    _scratch: Scratch,
}

impl Envoy {
    /// Starts it and waits until all listeners serve.
    ///
    /// # Errors
    /// When Envoy is not installed, refuses the configuration, or is not ready in time; the error shows its log.
    pub fn start(launch: &Launch) -> Result<Self> {
        let (scratch, mut process) = spawn(launch)?;
        let admin_file = scratch.path().join(ADMIN);
        process.wait_until("Envoy's admin page", PATIENCE, |_| read_address(&admin_file).is_some())?;
        let admin = read_address(&admin_file).ok_or_else(|| anyhow!("no address in {}", admin_file.display()))?;
        process.wait_until("Envoy to be ready", PATIENCE, |_| is_ready(admin))?;
        let listeners = listeners(admin)?;
        Ok(Self { process, admin, listeners, _scratch: scratch })
    }

    /// Starts it with a configuration that it must refuse, and returns the lines that it logged.
    ///
    /// # Errors
    /// When Envoy is not installed, or accepts the configuration.
    pub fn refusal(launch: &Launch) -> Result<String> {
        let (scratch, mut process) = spawn(launch)?;
        let admin_file = scratch.path().join(ADMIN);
        let status =
            process.wait_until("Envoy to be ready", PATIENCE, |_| read_address(&admin_file).is_some_and(is_ready));
        match status {
            Ok(()) => bail!("Envoy accepted the configuration:\n{}", launch.configuration),
            Err(_) if process.wait(Duration::ZERO).is_ok() => Ok(process.log()),
            Err(error) => Err(error),
        }
    }

    /// Where the listener `name` listens.
    ///
    /// # Panics
    /// When the configuration has no such listener.
    #[must_use]
    #[expect(clippy::panic, reason = "a slip in a test, told best where it is")]
    pub fn address(&self, name: &str) -> SocketAddr {
        let Some(address) = self.listeners.get(name) else {
            panic!("no listener {name:?}, but {:?}", self.listeners.keys());
        };
        *address
    }

    /// The address of the admin page.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// What the admin page answers to a `GET` of `path`.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub fn admin(&self, path: &str) -> Result<String> {
        ask(self.admin, path)
    }

    /// All counters and gauges by name. Envoy leaves the filter's own under `wasmcustom.`
    ///
    /// # Errors
    /// When the admin page does not answer.
    pub fn stats(&self) -> Result<BTreeMap<String, u64>> {
        stats(self.admin)
    }

    /// The sum of all counters whose name ends with `suffix`; 0 where there is none yet.
    ///
    /// # Errors
    /// When the admin page does not answer.
    pub fn stat(&self, suffix: &str) -> Result<u64> {
        Ok(self.stats()?.iter().filter(|(name, _)| name.ends_with(suffix)).map(|(_, value)| value).sum())
    }

    /// Waits until `is_so`, looking again and again.
    ///
    /// # Errors
    /// When Envoy ends first or the time is over; the error shows its log.
    pub fn wait_until(&mut self, what: &str, is_so: impl Fn(&BTreeMap<String, u64>) -> bool) -> Result<()> {
        let admin = self.admin;
        self.process.wait_until(what, PATIENCE, |_| stats(admin).is_ok_and(|stats| is_so(&stats)))
    }

    /// What it has logged, access logs to the standard output among it.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process, to pause or kill it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The memory that it holds, in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn rss_kib(&self) -> Result<u64> {
        self.process.rss_kib()
    }

    /// The processor time that its threads have used, all together.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu_time(&self) -> Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id()))?;
        // The first number is the time on a processor in nanoseconds; /proc/…/stat counts in hundredths of a second.
        let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("schedstat")).ok();
        let times = threads.flatten().filter_map(of_thread);
        let times = times.filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Ok(Duration::from_nanos(times.sum()))
    }
}

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The version of the Envoy that is tested: major and minor.
///
/// # Errors
/// When there is none, or it does not say.
pub fn version() -> Result<(u32, u32)> {
    let mut command = Command::new(binary()?);
    command.arg("--version");
    let said = run(command)?;
    // Such as `envoy  version: dc2d3098/1.36.2/Clean/RELEASE/BoringSSL`.
    let version = said.split("version: ").nth(1).and_then(|rest| rest.split('/').nth(1));
    let version = version.and_then(|version| {
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    version.with_context(|| format!("no version in {said:?}"))
}

fn binary() -> Result<PathBuf> {
    let file =
        std::env::var_os(BINARY_VARIABLE).map_or_else(|| repository().join(".build/venv/bin/envoy"), PathBuf::from);
    if !file.is_file() {
        bail!("Envoy is needed at {}: run `make setup`, or name another in {BINARY_VARIABLE}", file.display());
    }
    Ok(file)
}

fn spawn(launch: &Launch) -> Result<(Scratch, Process)> {
    let scratch = Scratch::new()?;
    let configuration = scratch.path().join("envoy.yaml");
    fs::write(&configuration, &launch.configuration)?;
    let mut command = Command::new(binary()?);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")))
        .envs(&launch.environment)
        .arg("-c")
        .arg(&configuration)
        .arg("--admin-address-path")
        .arg(scratch.path().join(ADMIN))
        .args(["--concurrency", &launch.concurrency.to_string(), "--log-level", launch.log_level])
        // Access logs are written soon; the default is ten seconds.
        .args(["--file-flush-interval-msec", "100"])
        // Hot restart would let two runs meet through shared memory.
        .arg("--disable-hot-restart");
    let process = Process::spawn("Envoy", command, &scratch.path().join("log"))?;
    Ok((scratch, process))
}

/// Envoy writes the file a little before it is complete.
fn read_address(file: &Path) -> Option<SocketAddr> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn is_ready(admin: SocketAddr) -> bool {
    ask(admin, "/ready").is_ok_and(|answer| answer.trim() == "LIVE")
}

fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>> {
    let page: Value = serde_json::from_str(&ask(admin, "/listeners?format=json")?)?;
    let all = page.get("listener_statuses").and_then(Value::as_array).context("no listeners")?;
    Ok(all.iter().filter_map(listener).collect())
}

fn listener(status: &Value) -> Option<(String, SocketAddr)> {
    let name = status.get("name")?.as_str()?.to_owned();
    let address = status.pointer("/local_address/socket_address")?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    let ip = address.get("address")?.as_str()?.parse().ok()?;
    Some((name, SocketAddr::new(ip, port)))
}

fn stats(admin: SocketAddr) -> Result<BTreeMap<String, u64>> {
    let page = ask(admin, "/stats")?;
    let pairs = page.lines().filter_map(|line| line.rsplit_once(": "));
    // Histograms and text values are no numbers.
    Ok(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}

fn ask(admin: SocketAddr, path: &str) -> Result<String> {
    let reply = http::send(admin, http::get(path, &[("connection", "close")]))?;
    if reply.status != 200 {
        bail!("Envoy's admin page answers {} to {path}", reply.status);
    }
    Ok(reply.text())
}

const ADMIN: &str = "admin-address";
const BINARY_VARIABLE: &str = "ENVOY";
// Compiling the module takes seconds where many runs share few cores.
const PATIENCE: Duration = Duration::from_mins(1);
