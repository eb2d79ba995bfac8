//! The shared cache of a chain: one Redis server, or a Redis Cluster.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jwe_gate_test_parts::fault_proxy::FaultProxy;
use jwe_gate_test_parts::redis::Redis;
use jwe_gate_test_parts::redis_cluster::RedisCluster;

/// Redis, in one of its forms.
#[derive(Debug)]
pub enum Cache {
    /// One server.
    Server(Redis),
    /// Three masters without replicas. The first is the one that may fail.
    Cluster(RedisCluster),
}

impl Cache {
    pub(super) fn start(cluster: bool) -> Result<Self> {
        Ok(if cluster { Self::Cluster(RedisCluster::start(false)?) } else { Self::Server(Redis::start()?) })
    }

    /// The server, or the node that may fail.
    #[must_use]
    pub fn node(&self) -> &Redis {
        match self {
            Self::Server(server) => server,
            Self::Cluster(cluster) => cluster.node(0),
        }
    }

    /// The same, to be killed.
    pub fn node_mut(&mut self) -> &mut Redis {
        match self {
            Self::Server(server) => server,
            Self::Cluster(cluster) => cluster.node_mut(0),
        }
    }

    /// Starts that one again, empty. `link` is the proxy before it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self, link: &FaultProxy) -> Result<()> {
        self.node_mut().restart()?;
        self.announce(link)
    }

    /// A cluster tells clients where its nodes are. The one that may fail is said to be where the proxy is.
    pub(super) fn announce(&self, link: &FaultProxy) -> Result<()> {
        let Self::Cluster(cluster) = self else { return Ok(()) };
        let (start, port) = (Instant::now(), link.address().port().to_string());
        cluster.node(0).command(&["CONFIG", "SET", "cluster-announce-port", &port])?;
        let is_told =
            |node| anyhow::Ok(cluster.node(node).command(&["CLUSTER", "NODES"])?.contains(&format!(":{port}@")));
        while !(is_told(1)? && is_told(2)?) {
            ensure!(start.elapsed() < PATIENCE, "the cluster does not hear of the proxy");
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// The variable that tells the lookup service where it is, the node that may fail being at `node`.
    pub(super) fn variable(&self, node: SocketAddr) -> (&'static str, String) {
        match self {
            Self::Server(_) => ("REDIS_URL", format!("redis://{node}")),
            Self::Cluster(cluster) => {
                ("REDIS_CLUSTER_NODES", format!("{node},{},{}", cluster.node(1).address(), cluster.node(2).address()))
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(50);
