//! What rules look at in a request.

use super::{Host, Path};
use crate::headers::Field;

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
    /// Reads the pseudo-headers. `overridden` says that a header makes another method of it for some.
    #[must_use]
    pub fn read(method: Field<'a>, authority: Field<'a>, path: Field<'a>, overridden: bool) -> Self {
        let path = path.only();
        let by_query = path.is_some_and(overrides_method);
        let method = method.only().filter(|_| !overridden && !by_query);
        Self {
            method: method.and_then(|method| std::str::from_utf8(method).ok()),
            host: authority.only().map_or(Host::Ambiguous, Host::read),
            path: path.map_or(Path::Ambiguous, Path::read),
        }
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
