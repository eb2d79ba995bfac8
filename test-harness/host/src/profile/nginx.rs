//! nginx with `ngx_wasm_module`: its configuration, as far as it decides what becomes of a request.
//!
//! A bare [`Nginx`] protects nothing, as a bare `proxy_pass` does: each safeguard is a line of the configuration, so
//! that a test can leave it out and see what it was for.

use std::collections::BTreeMap;

use crate::headers::Headers;
use crate::stream::Variables;

/// The longest argument that a directive of nginx takes.
pub(crate) const MAX_CONFIGURATION: usize = 4000;

/// How many header pairs a filter is shown.
pub(crate) const SHOWN_PAIRS: usize = 100;

/// The configuration of one server.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Nginx {
    pub(crate) variables: Variables,
    pub(crate) zones: BTreeMap<String, Zone>,
    pub(crate) isolation: Isolation,
    /// Requests really wait when the filter says so.
    pub(crate) waits: bool,
    admitted_by: Option<String>,
    headers: Vec<(String, Source)>,
}

/// `proxy_wasm_isolation`: which requests share a VM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All of a worker.
    #[default]
    None,
    /// None: each has its own.
    Stream,
}

/// `shm_kv`: a zone of shared data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone {
    pub(crate) bytes: usize,
    pub(crate) evicts: bool,
}

/// What a header is made of.
#[derive(Debug, Clone)]
enum Source {
    /// Nothing: it is never sent.
    Nothing,
    /// The variable alone.
    Variable(String),
    /// The variable, or what the client sent while that is empty.
    VariableOrClient(String),
}

/// Where a request goes.
pub(crate) enum Destination {
    App(Headers),
    Deny,
}

impl Nginx {
    /// A server that has nothing but the filter and a `proxy_pass`.
    pub fn bare() -> Self {
        Self::default()
    }

    /// `set $name value;` on the level of the server.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.as_bytes().to_vec());
        self
    }

    /// `shm_kv name size;`, with `eviction=slru` or without.
    pub fn shm_kv(mut self, name: &str, bytes: usize, evicts: bool) -> Self {
        self.zones.insert(name.to_owned(), Zone { bytes, evicts });
        self
    }

    /// `proxy_set_header name $variable;`. Nothing is sent while the variable is empty.
    pub fn proxy_set_header(mut self, name: &str, variable: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), Source::Variable(variable.to_owned())));
        self
    }

    /// `proxy_set_header name "";`
    pub fn proxy_drop_header(mut self, name: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), Source::Nothing));
        self
    }

    /// `proxy_set_header name $mapped;`, mapped from a variable where that is not empty, and else the client's own.
    pub fn proxy_override_header(mut self, name: &str, variable: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), Source::VariableOrClient(variable.to_owned())));
        self
    }

    /// `map $variable $backend { default deny; 1 app; }` and `proxy_pass http://$backend;`
    pub fn admitted_by(mut self, variable: &str) -> Self {
        self.admitted_by = Some(variable.to_owned());
        self
    }

    /// A filter that does nothing after the one under test, or `proxy_wasm_request_headers_in_access on;`
    pub fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// `proxy_wasm_isolation`
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Where a request goes on to, and with which headers.
    pub(crate) fn destination(&self, wire: &Headers, variables: &Variables) -> Destination {
        let value = |name: &String| variables.get(name).map(Vec::as_slice).unwrap_or_default();
        if self.admitted_by.as_ref().is_some_and(|name| value(name) != b"1") {
            return Destination::Deny;
        }
        let mut headers = wire.clone();
        for (name, source) in &self.headers {
            let value = match source {
                Source::Nothing => b"",
                Source::VariableOrClient(variable) if value(variable).is_empty() => continue,
                Source::Variable(variable) | Source::VariableOrClient(variable) => value(variable),
            };
            headers.remove(name);
            if !value.is_empty() {
                headers.add(name, value);
            }
        }
        Destination::App(headers)
    }

    /// Whether a property of this path may be set.
    pub(crate) fn may_set(&self, path: &[&[u8]]) -> bool {
        match path {
            [b"ngx", name] => self.variables.keys().any(|known| known.as_bytes() == *name),
            [b"wasmx", _] | [b"request", b"query"] => true,
            _ => false,
        }
    }

    /// The zone of a key: that of its prefix, or the one named `*`.
    pub(crate) fn zone(&self, key: &[u8]) -> Option<Zone> {
        let prefix = key.split(|byte| *byte == b'/').next().filter(|prefix| prefix.len() < key.len());
        let named = |name: &str| self.zones.get(name).copied();
        prefix.and_then(|prefix| named(std::str::from_utf8(prefix).ok()?)).or_else(|| named("*"))
    }
}
