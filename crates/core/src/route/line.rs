//! What rules look at in a request.

use super::{Host, Path};
use crate::headers::Field;

/// Method, host and path of a request. Host and path are read when a rule looks at them.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The method; `None` if there is none, or if a header or parameter may make another one of it.
    pub method: Option<&'a str>,
    authority: Field<'a>,
    path: Field<'a>,
}

impl<'a> RequestLine<'a> {
    /// Reads the pseudo-headers. `overridden` says that a header makes another method of it for some.
    #[must_use]
    pub fn read(method: Field<'a>, authority: Field<'a>, path: Field<'a>, overridden: bool) -> Self {
        let by_query = path.only().is_some_and(overrides_method);
        let method = method.only().filter(|_| !overridden && !by_query);
        Self { method: method.and_then(|method| std::str::from_utf8(method).ok()), authority, path }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> Host<'a> {
        self.authority.only().map_or(Host::Ambiguous, Host::read)
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> Path<'a> {
        self.path.only().map_or(Path::Ambiguous, Path::read)
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
