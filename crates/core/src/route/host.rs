//! The host that a request is for.

use std::borrow::Cow;

/// The host of a request, if it can only be read in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// In lower case, without port and without the dot that may stand at the end.
    Named(Cow<'a, str>),
    /// Not a name, or more than one.
    Ambiguous,
}

impl<'a> Host<'a> {
    /// Reads the `:authority` of a request.
    #[must_use]
    pub fn read(authority: &'a [u8]) -> Self {
        let Ok(authority) = std::str::from_utf8(authority) else { return Self::Ambiguous };
        let host = without_port(authority);
        let host = host.strip_suffix('.').unwrap_or(host);
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let plain = match inner {
            Some(address) => {
                !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
            }
            None => is_name(host),
        };
        match plain {
            false => Self::Ambiguous,
            true if host.bytes().any(|byte| byte.is_ascii_uppercase()) => Self::Named(host.to_ascii_lowercase().into()),
            true => Self::Named(host.into()),
        }
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_name(host: &str) -> bool {
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(in_names) && host.split('.').all(|label| !label.is_empty())
}

/// What a rule says of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host below this one, written `*.example.com`; not `example.com` itself.
    Below(String),
}

impl HostPattern {
    /// Reads a pattern; `None` for one that no host matches. A port does not belong in it.
    #[must_use]
    pub fn new(pattern: &str) -> Option<Self> {
        let (host, make): (_, fn(String) -> Self) = match pattern.strip_prefix("*.") {
            Some(parent) => (parent, Self::Below),
            None => (pattern, Self::Exact),
        };
        match Host::read(host.as_bytes()) {
            Host::Named(read) if read.len() == host.len() => Some(make(read.into_owned())),
            _ => None,
        }
    }

    /// Whether this host, as [`Host::Named`] holds it, is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(parent) => host.strip_suffix(parent.as_str()).is_some_and(|start| start.ends_with('.')),
        }
    }
}
