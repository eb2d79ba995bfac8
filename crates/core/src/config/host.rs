//! What only some proxies ask of a configuration.

use super::Config;
use super::error::{ConfigError, Fault};
use crate::capabilities::Host;
use crate::identity::Entry;

/// The longest argument that a directive of nginx takes, with some room for how it is quoted.
const MAX_NGINX_BYTES: usize = 4000;

/// Headers whose variables would be `$jwe_ok` and the like.
const TAKEN: [&str; 12] = [
    "ok",
    "bypass",
    "cache",
    "cache-control",
    "lookup-ms",
    "reason",
    "rule",
    "session",
    "status",
    "subject",
    "user",
    "verdict",
];

/// Whether the proxy can work with this.
pub(super) fn suits(config: Config, document: &[u8]) -> Result<Config, ConfigError> {
    if config.revocation.is_some() && !config.host.capabilities().acts_on_others {
        return Err(ConfigError::new("revocation", Fault::NotInThisProxy));
    }
    if config.host == Host::Nginx {
        if document.len() > MAX_NGINX_BYTES {
            return Err(ConfigError::new("host", Fault::TooLong { max: MAX_NGINX_BYTES }));
        }
        // Each header has a variable, and these are the gate's own.
        let taken = |entry: &&Entry| TAKEN.contains(&&*entry.header);
        if let Some(entry) = config.identity.entries.iter().find(taken) {
            return Err(ConfigError::new(format!("identity.headers.{}", entry.header), Fault::HeaderReserved));
        }
        if config.lookup.as_ref().is_some_and(|lookup| !is_address(&lookup.cluster)) {
            return Err(ConfigError::new("lookup.cluster", Fault::Address));
        }
    }
    Ok(config)
}

/// A name or an address, and a port.
fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':').is_some_and(|(name, number)| !name.is_empty() && port(number))
}
