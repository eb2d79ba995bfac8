//! A private Redis Cluster: masters that share the slots, each with a replica if wanted.
#![expect(clippy::expect_used, reason = "a test names parts that there are")]

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ports::Port;
use crate::redis::{PATIENCE, Redis, RedisOptions};

/// A running cluster. Its nodes end when it is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    // Held, never read: each node talks to the others on a second port.
    _buses: Vec<Port>,
}

impl RedisCluster {
    /// Three masters, and as many replicas if `replicated`. The masters are nodes 0 to 2; node 3 is the replica of node 0,
    /// and so on. A master that is gone for a second is replaced by its replica.
    ///
    /// # Errors
    /// When Redis is not installed, or the nodes do not become a cluster.
    pub fn start(replicated: bool) -> Result<Self> {
        let count = if replicated { 2 * MASTERS } else { MASTERS };
        let buses = (0..count).map(|_| Port::take()).collect::<Result<Vec<_>>>()?;
        let nodes = buses.iter().map(|bus| Redis::start_as(RedisOptions::default(), arguments(bus)));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        for (number, node) in nodes.iter().enumerate() {
            // Without it, nodes that meet would quarrel over epochs for some seconds.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
        }
        for (node, (first, last)) in nodes.iter().zip(slots()) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        let (first, others) = nodes.split_first().context("a cluster has nodes")?;
        for (node, bus) in others.iter().zip(buses.iter().skip(1)) {
            let (port, bus) = (node.address().port().to_string(), bus.number().to_string());
            first.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        let cluster = Self { nodes, _buses: buses };
        cluster.wait_until("every node to know all others", Self::all_have_met)?;
        cluster.replicate()?;
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// Every node as `host:port`, with commas in between.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.nodes.iter().map(|node| node.address().to_string()).collect::<Vec<_>>().join(",")
    }

    /// One node.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, number: usize) -> &Redis {
        self.nodes.get(number).expect("a node of this cluster")
    }

    /// One node, to be killed or restarted.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node_mut(&mut self, number: usize) -> &mut Redis {
        self.nodes.get_mut(number).expect("a node of this cluster")
    }

    /// The node that serves `key` now.
    ///
    /// # Errors
    /// When none does.
    pub fn master_of(&self, key: &str) -> Result<usize> {
        let witness = self.witness()?;
        let slot: u16 = witness.command(&["CLUSTER", "KEYSLOT", key])?.parse()?;
        let nodes = witness.command(&["CLUSTER", "NODES"])?;
        let line = nodes.lines().find(|line| serves(line, slot)).with_context(|| format!("nobody has slot {slot}"))?;
        self.nodes.iter().position(|node| line.contains(&place(node))).context("a node of this cluster")
    }

    /// Runs one command where `key` is served.
    ///
    /// # Errors
    /// When `redis-cli` fails, or nobody serves the key.
    pub fn command(&self, key: &str, arguments: &[&str]) -> Result<String> {
        self.node(self.master_of(key)?).command(arguments)
    }

    /// Waits until every slot is served again by a node that is running, and all running nodes know.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_until_whole(&self) -> Result<()> {
        self.wait_until("the cluster to serve every slot", |cluster| {
            let running = cluster.nodes.iter().filter(|node| node.is_running());
            for node in running {
                if !node.command(&["CLUSTER", "INFO"])?.contains("cluster_state:ok") {
                    return Ok(false);
                }
            }
            let nodes = cluster.witness()?.command(&["CLUSTER", "NODES"])?;
            let gone: Vec<_> = cluster.nodes.iter().filter(|node| !node.is_running()).map(place).collect();
            let is_of_the_gone = |line: &str| has_slots(line) && gone.iter().any(|place| line.contains(place));
            Ok(!nodes.lines().any(is_of_the_gone))
        })
    }

    fn replicate(&self) -> Result<()> {
        for (master, replica) in self.nodes.iter().zip(self.nodes.iter().skip(MASTERS)) {
            let id = master.command(&["CLUSTER", "MYID"])?;
            replica.command(&["CLUSTER", "REPLICATE", &id])?;
        }
        self.wait_until("the replicas to follow", |cluster| {
            for replica in cluster.nodes.iter().skip(MASTERS) {
                if !replica.command(&["INFO", "replication"])?.contains("master_link_status:up") {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn all_have_met(&self) -> Result<bool> {
        for node in &self.nodes {
            let lines = node.command(&["CLUSTER", "NODES"])?;
            if lines.lines().filter(|line| is_well(line) && line.contains(" connected")).count() < self.nodes.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn witness(&self) -> Result<&Redis> {
        self.nodes.iter().find(|node| node.is_running()).context("no node is running")
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !is_so(self)? {
            if start.elapsed() > PATIENCE {
                let nodes = self.witness()?.command(&["CLUSTER", "NODES"])?;
                bail!("waited {PATIENCE:?} for {what}:\n{nodes}");
            }
            thread::sleep(STEP);
        }
        Ok(())
    }
}

fn arguments(bus: &Port) -> Vec<String> {
    let bus = bus.number().to_string();
    let arguments = [
        ["--cluster-enabled", "yes"],
        ["--cluster-config-file", "nodes.conf"],
        ["--cluster-node-timeout", "1000"],
        ["--cluster-port", &bus],
        ["--repl-diskless-sync-delay", "0"],
    ];
    arguments.concat().into_iter().map(str::to_owned).collect()
}

/// The ranges of the masters.
fn slots() -> impl Iterator<Item = (usize, usize)> {
    (0..MASTERS).map(|number| (number * SLOTS / MASTERS, (number + 1) * SLOTS / MASTERS - 1))
}

/// How a line of `CLUSTER NODES` names a node.
fn place(node: &Redis) -> String {
    format!(" {}@", node.address())
}

/// Whether a line of `CLUSTER NODES` is about a node that is not thought to have failed.
fn is_well(line: &str) -> bool {
    let flags = line.split(' ').nth(2).unwrap_or_default();
    !flags.contains("fail") && !flags.contains("handshake")
}

fn has_slots(line: &str) -> bool {
    line.split(' ').nth(8).is_some()
}

fn serves(line: &str, slot: u16) -> bool {
    let within = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        range.is_some_and(|(first, last)| (first..=last).contains(&slot))
    };
    is_well(line) && line.split(' ').skip(8).any(within)
}

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_master_is_replaced_by_its_replica_which_has_the_data() {
        let mut cluster = RedisCluster::start(true).unwrap();
        for key in ["a", "b", "c", "d"] {
            cluster.command(key, &["SET", key, key]).unwrap();
        }
        let master = cluster.master_of("a").unwrap();
        assert!(master < MASTERS);
        cluster.node(master).command(&["WAIT", "1", "5000"]).unwrap();
        cluster.node_mut(master).kill();
        cluster.wait_until_whole().unwrap();
        assert_eq!(cluster.master_of("a").unwrap(), master + MASTERS);
        assert_eq!(cluster.command("a", &["GET", "a"]).unwrap(), "a");
    }

    #[test]
    fn each_slot_is_served_by_one_of_three_masters() {
        let ranges: Vec<_> = slots().collect();
        assert_eq!((ranges[0].0, ranges[MASTERS - 1].1), (0, SLOTS - 1));
        assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    }
}
