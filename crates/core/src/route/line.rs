//! What rules look at in a request.

use super::{Host, Path};

/// Method, host and path of a request, each `Ambiguous` or nothing where it could be read in more than one way.
#[derive(Clone, Debug)]
pub struct RequestLine<'a> {
    /// The method; `None` if there is none, or if a header or parameter may make another one of it.
    pub method: Option<&'a str>,
    /// The host.
    pub host: Host<'a>,
    /// The path.
    pub path: Path<'a>,
}

impl<'a> RequestLine<'a> {
    /// Reads the pseudo-headers, each given with all its lines, and whether a header overrides the method.
    #[must_use]
    pub fn read(methods: &[&'a [u8]], authorities: &[&'a [u8]], paths: &[&'a [u8]], overridden: bool) -> Self {
        let path = only(paths);
        let by_query = path.is_some_and(overrides_method);
        let method = only(methods).filter(|_| !overridden && !by_query);
        Self {
            method: method.and_then(|method| std::str::from_utf8(method).ok()),
            host: only(authorities).map_or(Host::Ambiguous, Host::read),
            path: path.map_or(Path::Ambiguous, Path::read),
        }
    }
}

fn only<'a>(lines: &[&'a [u8]]) -> Option<&'a [u8]> {
    match lines {
        [line] => Some(line),
        _ => None,
    }
}

/// `?_method=DELETE`, in whatever spelling. Frameworks take it with `POST` only, but a rule had better not know.
fn overrides_method(target: &[u8]) -> bool {
    let query = target.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    query.split(|byte| matches!(byte, b'&' | b';')).any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        unescaped(name).eq_ignore_ascii_case(b"_method")
    })
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}
