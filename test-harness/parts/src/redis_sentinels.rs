//! A private Redis server with a replica, watched by three sentinels.
#![expect(clippy::expect_used, reason = "a test names parts that there are")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::ports::Port;
use crate::process::{self, Process};
use crate::redis::{PATIENCE, Redis, RedisOptions, redis_cli, redis_server};
use crate::scratch::Scratch;

/// Servers and sentinels, running. They end when this is dropped.
#[derive(Debug)]
pub struct RedisSentinels {
    // Fields drop in order: whoever watches goes before who is watched.
    sentinels: Vec<Sentinel>,
    servers: Vec<Redis>,
}

#[derive(Debug)]
struct Sentinel {
    // Fields drop in order: the process goes before its directory.
    _process: Process,
    port: Port,
    _scratch: Scratch,
}

impl RedisSentinels {
    /// The name by which the sentinels know the master.
    pub const MASTER: &str = "gate";

    /// A master (server 0), its replica (server 1) and three sentinels, two of which must agree. A master that is gone for
    /// half a second is replaced.
    ///
    /// # Errors
    /// When Redis is not installed, or the parts do not find one another.
    pub fn start() -> Result<Self> {
        let master = Redis::start()?;
        let port = master.address().port().to_string();
        let arguments = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let replica = Redis::start_as(RedisOptions::default(), arguments.map(str::to_owned).to_vec())?;
        let sentinels = (0..3).map(|_| Sentinel::start(&port)).collect::<Result<_>>()?;
        let parts = Self { sentinels, servers: vec![master, replica] };
        parts.wait_until("the sentinels to know everybody", |parts| {
            Ok(parts.told()?.iter().all(|told| {
                ["num-other-sentinels\n2", "num-slaves\n1", "flags\nmaster\n"].iter().all(|part| told.contains(part))
            }))
        })?;
        Ok(parts)
    }

    /// Every sentinel as `host:port`, with commas in between.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.sentinels.iter().map(|sentinel| sentinel.port.address().to_string()).collect::<Vec<_>>().join(",")
    }

    /// One of the two servers.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn server(&self, number: usize) -> &Redis {
        self.servers.get(number).expect("one of two servers")
    }

    /// One of the two servers, to be killed or restarted.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn server_mut(&mut self, number: usize) -> &mut Redis {
        self.servers.get_mut(number).expect("one of two servers")
    }

    /// Waits until all sentinels name this server, and it can be written to.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_for_master(&self, number: usize) -> Result<()> {
        let port = format!("port\n{}\n", self.server(number).address().port());
        self.wait_until("the sentinels to agree on the master", |parts| {
            let is_named = parts.told()?.iter().all(|told| told.contains(&port));
            Ok(is_named && parts.server(number).command(&["ROLE"])?.starts_with("master"))
        })
    }

    /// What each sentinel says of the master: names and values, one to a line.
    fn told(&self) -> Result<Vec<String>> {
        let asked = self.sentinels.iter().map(|sentinel| {
            let port = sentinel.port.number().to_string();
            let mut command = redis_cli()?;
            command.args(["-h", "127.0.0.1", "-p", &port, "SENTINEL", "MASTER", Self::MASTER]);
            process::run(command)
        });
        asked.collect()
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !is_so(self)? {
            if start.elapsed() > PATIENCE {
                bail!("waited {PATIENCE:?} for {what}:\n{}", self.told()?.join("\n"));
            }
            thread::sleep(STEP);
        }
        Ok(())
    }
}

impl Sentinel {
    fn start(master_port: &str) -> Result<Self> {
        let (scratch, port) = (Scratch::new()?, Port::take()?);
        let file = scratch.path().join("sentinel.conf");
        let (name, number) = (RedisSentinels::MASTER, port.number());
        let configuration = format!(
            "port {number}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {master_port} 2\n\
             sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n"
        );
        fs::write(&file, configuration)?;
        let mut command = redis_server()?;
        command.current_dir(scratch.path()).arg(&file).arg("--sentinel");
        let mut process = Process::spawn("sentinel", command, &scratch.path().join("sentinel.log"))?;
        process.wait_for_log("+monitor master", PATIENCE)?;
        Ok(Self { _process: process, port, _scratch: scratch })
    }
}

const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_master_is_replaced_by_its_replica() {
        let mut parts = RedisSentinels::start().unwrap();
        parts.wait_for_master(0).unwrap();
        parts.server_mut(0).kill();
        parts.wait_for_master(1).unwrap();
        parts.server(1).command(&["SET", "a", "1"]).unwrap();
    }
}
