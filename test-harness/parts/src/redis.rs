//! A private Redis server.
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::certificates::Certificates;
use crate::ports::Port;
use crate::process::{self, Process, find_program};
use crate::scratch::Scratch;

/// A Redis server with an empty store, ended when dropped.
#[derive(Debug)]
pub struct Redis {
    // Fields drop in order: the process goes before its directory.
    process: Option<Process>,
    port: Port,
    options: RedisOptions,
    certificates: Option<Certificates>,
    /// What a server that is part of a cluster or has replicas is told besides.
    arguments: Vec<String>,
    scratch: Scratch,
}

/// How the server is set up.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// The password that clients must give.
    pub password: Option<String>,
    /// Serve TLS, and nothing else.
    pub tls: bool,
}

impl Redis {
    /// Starts a server without password and TLS.
    ///
    /// # Errors
    /// When Redis is not installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(RedisOptions::default())
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When Redis is not installed or does not start.
    pub fn start_with(options: RedisOptions) -> Result<Self> {
        Self::start_as(options, Vec::new())
    }

    /// Starts a server with further arguments on its command line.
    pub(crate) fn start_as(options: RedisOptions, arguments: Vec<String>) -> Result<Self> {
        let scratch = Scratch::new()?;
        let certificates = options.tls.then(|| Certificates::write(scratch.path())).transpose()?;
        let port = Port::take()?;
        let mut redis = Self { process: None, port, options, certificates, arguments, scratch };
        redis.restart()?;
        Ok(redis)
    }

    /// Starts it again, empty, on the same port; ends it first if it is running.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let mut process = Process::spawn("redis-server", self.server()?, &self.scratch.path().join("redis.log"))?;
        process.wait_for_log("Ready to accept connections", PATIENCE)?;
        self.process = Some(process);
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
        self.process.as_ref().context("redis is not running")?.pause()
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> Result<()> {
        self.process.as_ref().context("redis is not running")?.resume()
    }

    /// Whether it has been started and not killed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The authority to trust when it serves TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The URL for clients, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("{scheme}://{password}{}", self.address())
    }

    /// Runs one command and returns the reply as `redis-cli` prints it to a pipe.
    ///
    /// # Errors
    /// When `redis-cli` fails.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = redis_cli()?;
        command.args(["-h", "127.0.0.1", "-p", &self.port.number().to_string()]);
        if let Some(password) = &self.options.password {
            command.env("REDISCLI_AUTH", password);
        }
        if let Some(files) = &self.certificates {
            command.arg("--tls").arg("--cacert").arg(&files.authority);
        }
        command.args(arguments);
        Ok(process::run(command)?.trim_end_matches('\n').to_owned())
    }

    fn server(&self) -> Result<Command> {
        let mut command = redis_server()?;
        let port = self.port.number().to_string();
        command.current_dir(self.scratch.path());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password]);
        }
        match &self.certificates {
            None => command.args(["--port", &port]),
            Some(files) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file"])
                .arg(&files.certificate)
                .arg("--tls-key-file")
                .arg(&files.key)
                .arg("--tls-ca-cert-file")
                .arg(&files.authority),
        };
        command.args(&self.arguments);
        Ok(command)
    }
}

/// The server's program.
pub(crate) fn redis_server() -> Result<Command> {
    Ok(Command::new(find_program("redis-server", &[]).context(INSTALL)?))
}

/// The client's program.
pub(crate) fn redis_cli() -> Result<Command> {
    Ok(Command::new(find_program("redis-cli", &[]).context(INSTALL)?))
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const INSTALL: &str = "redis-server and redis-cli are needed: apt-get install -y redis-server";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_server_is_empty_and_on_the_same_port() {
        let mut redis = Redis::start().unwrap();
        let address = redis.address();
        redis.command(&["SET", "a", "1"]).unwrap();
        assert_eq!(redis.command(&["GET", "a"]).unwrap(), "1");
        redis.restart().unwrap();
        assert_eq!(redis.address(), address);
        assert_eq!(redis.command(&["GET", "a"]).unwrap(), "");
    }

    #[test]
    fn password_and_tls_are_asked_for() {
        let options = RedisOptions { password: Some("opensesame".into()), tls: true };
        let mut redis = Redis::start_with(options).unwrap();
        assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
        redis.options.password = None;
        assert!(redis.command(&["PING"]).unwrap().contains("NOAUTH"));
    }
}
