//! Where Redis is: one server, a master that sentinels know, or a cluster.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ::redis::cluster::ClusterClient;
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates,
    TlsMode,
};
use tokio::sync::Mutex;

use super::link::TO_CONNECT;

/// How to reach Redis.
#[derive(Clone)]
pub struct RedisServer {
    topology: Topology,
}

#[derive(Clone)]
pub(super) enum Topology {
    Cluster(Arc<ClusterClient>),
    Sentinels(Arc<Mutex<SentinelClient>>),
    Single(Arc<Client>),
}

/// The host and port of a Redis server or a sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisNode {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Who to be towards a server.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The user, unless it is the default one.
    pub username: Option<String>,
    /// The password, if one is asked for.
    pub password: Option<String>,
}

/// How connections are protected.
#[derive(Clone)]
pub enum Tls {
    /// By TLS, where a PEM file with this content says whom to trust.
    Authority(Vec<u8>),
    /// Not at all.
    Off,
    /// By TLS, where the system says whom to trust.
    System,
}

/// The address or the certificates of a Redis server make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidServer;

impl RedisServer {
    /// Reads a `redis://` or `rediss://` URL. `authority` is a PEM file's content, to trust instead of the system's
    /// authorities.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_url(url: &str, authority: Option<Vec<u8>>) -> Result<Self, InvalidServer> {
        let is_network = url.starts_with("redis://") || url.starts_with("rediss://");
        let info = url.into_connection_info().ok().filter(|_| is_network).ok_or(InvalidServer)?;
        Self::single(info, &authority.map_or(Tls::System, Tls::Authority))
    }

    /// One server.
    ///
    /// # Errors
    /// When the host or the certificates make no sense.
    pub fn at(node: &RedisNode, credentials: &Credentials, tls: &Tls) -> Result<Self, InvalidServer> {
        let info = node.address(tls).into_connection_info()?.set_redis_settings(credentials.settings());
        Self::single(info, tls)
    }

    /// A cluster, of which these nodes tell the others. All have the same credentials.
    ///
    /// # Errors
    /// When a host or the certificates make no sense.
    pub fn cluster(nodes: &[RedisNode], credentials: &Credentials, tls: &Tls) -> Result<Self, InvalidServer> {
        use_ring();
        let addresses: Vec<_> = nodes.iter().map(|node| node.address(tls)).collect();
        // The cache is asked within milliseconds or not at all, so there is no time for many tries.
        let mut builder = ClusterClient::builder(addresses)
            .connection_timeout(TO_CONNECT)
            .response_timeout(TO_CONNECT)
            .retries(2)
            .min_retry_wait(5)
            .max_retry_wait(20);
        if let Some(username) = &credentials.username {
            builder = builder.username(username);
        }
        if let Some(password) = &credentials.password {
            builder = builder.password(password);
        }
        if let Some(certificates) = tls.certificates() {
            builder = builder.certs(certificates);
        }
        Ok(Self { topology: Topology::Cluster(Arc::new(builder.build()?)) })
    }

    /// The master that these sentinels know as `name`. TLS is for both.
    ///
    /// # Errors
    /// When a host or the certificates make no sense.
    pub fn sentinels(
        sentinels: &[RedisNode],
        name: &str,
        to_sentinels: &Credentials,
        to_servers: &Credentials,
        tls: &Tls,
    ) -> Result<Self, InvalidServer> {
        use_ring();
        let addresses = sentinels.iter().map(|sentinel| sentinel.address(tls));
        let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?;
        if let Some(username) = &to_sentinels.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &to_sentinels.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if let Some(username) = &to_servers.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &to_servers.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if !matches!(tls, Tls::Off) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            builder = builder.set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = tls.certificates() {
            builder = builder.set_client_to_redis_certificates(certificates.clone());
            builder = builder.set_client_to_sentinel_certificates(certificates);
        }
        Ok(Self { topology: Topology::Sentinels(Arc::new(Mutex::new(builder.build()?))) })
    }

    fn single(info: ConnectionInfo, tls: &Tls) -> Result<Self, InvalidServer> {
        use_ring();
        let client = match tls.certificates() {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates),
        };
        Ok(Self { topology: Topology::Single(Arc::new(client?)) })
    }

    pub(super) fn topology(&self) -> &Topology {
        &self.topology
    }
}

impl RedisNode {
    fn address(&self, tls: &Tls) -> ConnectionAddr {
        let (host, port) = (self.host.clone(), self.port);
        match tls {
            Tls::Off => ConnectionAddr::Tcp(host, port),
            Tls::Authority(_) | Tls::System => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        }
    }
}

/// `host:port`; the host is a name or an IP address, one of version 6 in brackets.
impl FromStr for RedisNode {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidServer)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(InvalidServer)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_version_6 = bare.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        if is_version_6 || (!host.is_empty() && host.bytes().all(is_name)) {
            return Ok(Self { host: bare.unwrap_or(host).to_owned(), port });
        }
        Err(InvalidServer)
    }
}

impl Credentials {
    fn settings(&self) -> RedisConnectionInfo {
        let settings = self.username.iter().fold(RedisConnectionInfo::default(), RedisConnectionInfo::set_username);
        self.password.iter().fold(settings, RedisConnectionInfo::set_password)
    }
}

// A password does not belong in logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Tls {
    fn certificates(&self) -> Option<TlsCertificates> {
        match self {
            Self::Authority(pem) => Some(TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) }),
            Self::Off | Self::System => None,
        }
    }
}

impl From<RedisError> for InvalidServer {
    fn from(_: RedisError) -> Self {
        Self
    }
}

/// The TLS library wants to be told of its cipher provider once; being told again is no harm.
fn use_ring() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_a_host_and_a_port() {
        let node = |host: &str, port| Ok(RedisNode { host: host.into(), port });
        assert_eq!("cache-1.example.org:6379".parse(), node("cache-1.example.org", 6379));
        assert_eq!("10.0.0.1:7000".parse(), node("10.0.0.1", 7000));
        assert_eq!("[::1]:7000".parse(), node("::1", 7000));
        for text in
            ["", "cache", ":6379", "cache:", "cache:0", "cache:x", "a b:1", "::1:7000", "[x]:1", "redis://a:1", "a@b:1"]
        {
            assert_eq!(text.parse::<RedisNode>(), Err(InvalidServer), "{text:?}");
        }
    }
}
