//! The client that asks services and proxies.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::failure::Failure;

/// One that trusts this authority, in PEM, or the well-known ones.
pub(crate) fn agent(authority: Option<&Path>) -> Result<Agent, Failure> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = authority {
        let pem = fs::read(path).map_err(Failure::io(path))?;
        let certificate = Certificate::from_pem(&pem).map_err(|_| Failure::Certificate(path.to_owned()))?;
        tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
    }
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        // A redirect is an answer: what follows it would be asked for without cookies and credentials.
        .max_redirects(0)
        .max_idle_connections(MOST_CONNECTIONS)
        .max_idle_connections_per_host(MOST_CONNECTIONS)
        .tls_config(tls.build());
    Ok(config.build().into())
}

const MOST_CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(30);
