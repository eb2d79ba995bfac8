//! The request that the arguments describe.

use jwe_gate_core::gate::RequestHeaders;
use jwe_gate_core::headers::HeaderMap;

use crate::arguments::RequestArguments;
use crate::failure::Failure;

/// Its headers, in order.
pub(super) struct Request {
    lines: Vec<(String, String)>,
    /// The same, as the gate reads them.
    map: HeaderMap,
}

impl Request {
    pub(super) fn read(path: &str, arguments: &RequestArguments) -> Result<Self, Failure> {
        let mut lines = vec![(":method".to_owned(), arguments.method.clone()), (":path".to_owned(), path.to_owned())];
        lines.extend(arguments.host.iter().map(|host| (":authority".to_owned(), host.clone())));
        for header in &arguments.headers {
            for line in text(header)?.lines().filter(|line| !line.trim().is_empty()) {
                let (name, value) = line.split_once(':').ok_or(Failure::Header)?;
                lines.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        if let Some(cookie) = &arguments.cookie {
            lines.push(("cookie".to_owned(), text(cookie)?.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let map = lines.iter().map(|(name, value)| (name, value)).collect();
        Ok(Self { lines, map })
    }

    /// The first line of a header.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        self.lines(name).next().map(str::as_bytes)
    }

    /// All lines of a header as one.
    pub(super) fn all(&self, name: &str, between: &str) -> String {
        self.lines(name).collect::<Vec<_>>().join(between)
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl RequestHeaders for Request {
    fn map(&self) -> &HeaderMap {
        &self.map
    }

    fn client(&self) -> Option<Vec<u8>> {
        None
    }

    fn are_complete(&self) -> bool {
        true
    }
}

/// An argument, or what is in the file that it names.
fn text(argument: &str) -> Result<String, Failure> {
    match argument.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(Failure::io(file)),
        None => Ok(argument.to_owned()),
    }
}
