//! Percent-decoding of values, as the packages do it with `decodeURIComponent`.

use std::borrow::Cow;

use memchr::memchr;

/// The decoded value; the value itself where an escape is broken, as the packages do.
///
/// An escape that stands for a byte outside ASCII is left alone too. No token has such a byte, so either way the value
/// is refused later, and nothing here has to know UTF-8.
pub(super) fn decoded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'%', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, tail @ ..] = rest {
        let (byte, tail) = match (byte, escape(rest)) {
            (b'%', Some(escaped)) if escaped.0.is_ascii() => escaped,
            (b'%', _) => return Cow::Borrowed(value),
            _ => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    Cow::Owned(bytes)
}

/// The byte that the escape at the start stands for, and what follows it.
pub(super) fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = bytes else { return None };
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_leave_the_value_alone() {
        let cases = [
            ("", ""),
            ("abc", "abc"),
            ("a%2Eb%2e", "a.b."),
            ("%00", "\0"),
            ("%2525", "%25"),
            ("a+b", "a+b"),
            ("a%2Eb%", "a%2Eb%"),
            ("a%2Eb%2", "a%2Eb%2"),
            ("a%2Eb%zz", "a%2Eb%zz"),
            ("a%2Eb%C3%A9", "a%2Eb%C3%A9"),
        ];
        for (value, expected) in cases {
            assert_eq!(decoded(value.as_bytes()), expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn a_value_without_escapes_is_not_copied() {
        assert!(matches!(decoded(b"eyJ.abc"), Cow::Borrowed(_)));
    }
}
