//! A connection to one server or to a cluster. Each carries many requests at once.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster_async::ClusterConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError};

use super::server::{RedisServer, Topology};

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) enum Link {
    Cluster(ClusterConnection),
    Server(MultiplexedConnection),
}

impl Link {
    /// Connects, which takes no longer than a few seconds.
    pub(super) async fn open(server: &RedisServer) -> Result<Self, RedisError> {
        match server.topology() {
            Topology::Cluster(client) => Ok(Self::Cluster(client.get_async_connection().await?)),
            Topology::Sentinels(client) => {
                let master = client.lock().await.async_get_client().await?;
                connect(&master).await
            }
            Topology::Single(client) => connect(client).await,
        }
    }

    /// Sends a command and reads the answer.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::Cluster(connection) => command.query_async(connection).await,
            Self::Server(connection) => command.query_async(connection).await,
        }
    }
}

async fn connect(client: &Client) -> Result<Link, RedisError> {
    // How long an answer is waited for is up to who asks.
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(TO_CONNECT)).set_response_timeout(None);
    Ok(Link::Server(client.get_multiplexed_async_connection_with_config(&config).await?))
}

/// For one connection.
pub(super) const TO_CONNECT: Duration = Duration::from_secs(1);
