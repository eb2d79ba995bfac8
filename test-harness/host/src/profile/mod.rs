//! Which proxy this host behaves like. What differs between proxies is asked here, or lies in a folder of its own.

mod nginx;

pub use nginx::{Isolation, Nginx};
pub(crate) use nginx::{MAX_CONFIGURATION, SHOWN_PAIRS, Zone};

use nginx::Destination;

use crate::headers::Headers;
use crate::stream::Variables;

/// A proxy to imitate.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Profile {
    /// Envoy 1.40 with V8.
    #[default]
    Envoy,
    /// nginx with `ngx_wasm_module`, under this configuration.
    Nginx(Nginx),
}

/// The callbacks that end a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    Delete,
    Done,
    Log,
}

/// Envoy keeps these request headers in one line each and joins what comes in several.
const JOINED_BY_ENVOY: [&[u8]; 4] = [b"authorization", b"content-type", b"user-agent", b"x-forwarded-for"];

impl Profile {
    /// The configuration of nginx, where this is nginx.
    pub(crate) fn nginx(&self) -> Option<&Nginx> {
        match self {
            Self::Envoy => None,
            Self::Nginx(conf) => Some(conf),
        }
    }

    /// Whether several request lines of this name reach the filter as one, joined by commas.
    pub(crate) fn joins(&self, name: &[u8]) -> bool {
        match self {
            Self::Envoy => JOINED_BY_ENVOY.iter().any(|joined| joined.eq_ignore_ascii_case(name)),
            Self::Nginx(_) => false,
        }
    }

    /// Whether a request header of this name is dropped before any filter sees it.
    pub(crate) fn drops(&self, name: &[u8]) -> bool {
        // `underscores_in_headers off`, the default.
        self.nginx().is_some() && name.contains(&b'_')
    }

    /// Whether the callback for headers is told that no body follows.
    pub(crate) fn flags_end_of_stream(&self) -> bool {
        self.nginx().is_none()
    }

    /// The variables of a request before a filter sees it.
    pub(crate) fn variables(&self) -> Variables {
        self.nginx().map(|conf| conf.variables.clone()).unwrap_or_default()
    }

    /// What the application gets of a request that goes on; `None` if it never reaches the application.
    pub(crate) fn delivered(&self, request: &Headers, wire: &Headers, variables: &Variables) -> Option<Headers> {
        match self {
            Self::Envoy => Some(request.clone()),
            Self::Nginx(conf) => match conf.destination(wire, variables) {
                Destination::App(headers) => Some(headers),
                Destination::Deny => None,
            },
        }
    }

    /// Whether the filter sees the response headers of the reply that it gave itself.
    pub(crate) fn shows_own_replies(&self) -> bool {
        match self {
            Self::Envoy | Self::Nginx(_) => true,
        }
    }

    /// The order in which a request is closed.
    pub(crate) fn farewells(&self) -> [Farewell; 3] {
        match self {
            Self::Envoy | Self::Nginx(_) => [Farewell::Log, Farewell::Done, Farewell::Delete],
        }
    }
}
