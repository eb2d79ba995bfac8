//! Cookie headers, pair by pair, as the `cookie` package takes them apart.

use memchr::memchr;

/// One piece of a Cookie header, between semicolons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    /// All of it, without spaces and tabs around it.
    pub(super) bytes: &'a [u8],
    /// What stands before the first `=`, without spaces and tabs around it. A piece without `=` is no cookie.
    pub(super) name: Option<&'a [u8]>,
    /// What stands after it, likewise.
    pub(super) value: &'a [u8],
}

/// The pieces of all Cookie headers in turn; HTTP/2 may send one header for each cookie (RFC 9113 section 8.2.3).
pub(super) fn pairs<'a>(lines: &[&'a [u8]]) -> impl Iterator<Item = Pair<'a>> {
    lines.iter().copied().flat_map(|line| Pieces(Some(line))).map(Pair::new)
}

/// `split` of the standard library looks at one byte at a time; this runs over every token of every request.
struct Pieces<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0.take()?;
        let end = memchr(b';', line).and_then(|at| line.split_at_checked(at));
        let Some((piece, [_semicolon, rest @ ..])) = end else { return Some(line) };
        self.0 = Some(rest);
        Some(piece)
    }
}

impl<'a> Pair<'a> {
    fn new(piece: &'a [u8]) -> Self {
        let bytes = trim(piece);
        match memchr(b'=', bytes).and_then(|at| bytes.split_at_checked(at)) {
            Some((name, [_equals, value @ ..])) => Self { bytes, name: Some(trim(name)), value: trim(value) },
            _ => Self { bytes, name: None, value: &[] },
        }
    }
}

/// Without spaces and tabs at both ends: what the `cookie` package trims, and no more.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_and_trimmed_as_the_package_does() {
        let lines: [&[u8]; 2] = [b" a = 1 ;b=\t2=3\t;; c", b"d=;=e"];
        let found: Vec<_> = pairs(&lines).map(|pair| (pair.name, pair.value)).collect();
        let expected: [(Option<&[u8]>, &[u8]); 6] =
            [(Some(b"a"), b"1"), (Some(b"b"), b"2=3"), (None, b""), (None, b""), (Some(b"d"), b""), (Some(b""), b"e")];
        assert_eq!(found, expected);
    }
}
