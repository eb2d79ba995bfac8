//! The configured name of a session cookie, and the question whether some parser could see it in a piece of header.

use memchr::memrchr;

use super::percent::escape;

/// The prefixes that browsers give a meaning to (RFC 6265bis section 4.1.3), folded.
const PREFIXES: [&[u8]; 3] = [b"", b"__secure-", b"__host-"];

/// The name of a session cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    text: String,
    /// Without `__Secure-` or `__Host-`, and folded.
    base: Vec<u8>,
}

impl Name {
    /// A name that a cookie can have: an RFC 9110 token, with something after the prefix.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let base = ["__Secure-", "__Host-"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        let valid = !base.is_empty() && text.bytes().all(is_token);
        valid.then(|| Self { text: text.to_owned(), base: base.bytes().map(fold).collect() })
    }

    /// The name as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which chunk a cookie of this name is: the digits after `<name>.`, in their only canonical spelling.
    pub(super) fn chunk_index(&self, name: &[u8]) -> Option<usize> {
        let digits = name.strip_prefix(self.text.as_bytes())?.strip_prefix(b".")?;
        match digits {
            [b'0'] => Some(0),
            [b'1'..=b'9', ..] if digits.iter().all(u8::is_ascii_digit) => {
                // What does not fit is far above any limit.
                Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(usize::MAX))
            }
            _ => None,
        }
    }

    /// Whether what stands here starts with this name, with any prefix, for some parser.
    fn leads(&self, bytes: &[u8]) -> bool {
        PREFIXES
            .iter()
            .any(|prefix| folded_prefix(bytes, prefix).and_then(|rest| folded_prefix(rest, &self.base)).is_some())
    }
}

/// Whether some parser could see a cookie in `piece` whose name starts with one of `names`.
///
/// Node splits at semicolons and leaves it at that. Others also split at white space (Python) or commas (RFC 2109,
/// older Ruby and Java), skip what they cannot use at the start, decode names (older Ruby and PHP, Perl), or turn `.`,
/// ` ` and `[` in them into `_` (PHP). Where in doubt the answer is yes: the price is a cookie that the app does not get.
pub(super) fn mentions(piece: &[u8], names: &[Name]) -> bool {
    // No spelling of a name is shorter than the name. Most cookies are, and so are the pieces of a flood.
    if names.iter().all(|name| piece.len() < name.base.len()) {
        return false;
    }
    // What nearly every mention is.
    if names.iter().any(|name| piece.starts_with(name.text.as_bytes())) {
        return true;
    }
    let start = piece.iter().position(|byte| !is_separator(*byte) && *byte != b'=').unwrap_or(piece.len());
    let piece = piece.get(start..).unwrap_or_default();
    // Further on, only a name with `=` after it counts. Looked up once: the time must stay linear.
    starts_with_any(piece, names) || memrchr(b'=', piece).is_some_and(|end| mentions_inside(piece, end, names))
}

/// The same for names that begin behind a separator, up to `end`.
fn mentions_inside(piece: &[u8], end: usize, names: &[Name]) -> bool {
    let mut after_separator = false;
    for (index, byte) in piece.iter().enumerate().take(end) {
        // "=name=value" has an empty name for Node and is "name=value" for others.
        if is_separator(*byte) || (after_separator && *byte == b'=') {
            after_separator = true;
            continue;
        }
        if after_separator && piece.get(index..).is_some_and(|rest| starts_with_any(rest, names)) {
            return true;
        }
        after_separator = false;
    }
    false
}

/// Skips escapes of what would be skipped if it were written plainly. Not what *is* written plainly: there `mentions`
/// looks anew, and the time stays linear.
fn starts_with_any(mut bytes: &[u8], names: &[Name]) -> bool {
    while let Some((byte, rest)) = escape(bytes)
        && (is_separator(byte) || byte == b'=')
    {
        bytes = rest;
    }
    names.iter().any(|name| name.leads(bytes))
}

/// What follows `expected`, if that is how `bytes` start once escapes are decoded and unprintable bytes ignored.
fn folded_prefix<'a>(mut bytes: &'a [u8], expected: &[u8]) -> Option<&'a [u8]> {
    for wanted in expected {
        loop {
            let (byte, rest) = escape(bytes).or_else(|| bytes.split_first().map(|(byte, rest)| (*byte, rest)))?;
            bytes = rest;
            if is_printable(byte) {
                if fold(byte) != *wanted {
                    return None;
                }
                break;
            }
        }
    }
    Some(bytes)
}

/// Makes equal what some parser takes for equal.
const fn fold(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' | b'[' | b'+' => b'_',
        _ => byte.to_ascii_lowercase(),
    }
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b'"' | b' ') || !is_printable(byte)
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> [Name; 1] {
        [Name::new("__Secure-authjs.session-token").unwrap()]
    }

    #[test]
    fn names_are_tokens_with_something_after_the_prefix() {
        for text in ["authjs.session-token", "__Secure-a", "__Host-a", "a", "x!#$%&'*+-.^_`|~"] {
            assert_eq!(Name::new(text).unwrap().as_str(), text);
        }
        for text in ["", "__Secure-", "__Host-", "a b", "a;b", "a=b", "a,b", "é", "a\0", "\"a\"", "a(b"] {
            assert_eq!(Name::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn chunks_have_canonical_numbers() {
        let [name] = names();
        let index = |suffix: &str| name.chunk_index(format!("__Secure-authjs.session-token{suffix}").as_bytes());
        assert_eq!(index(".0"), Some(0));
        assert_eq!(index(".10"), Some(10));
        assert_eq!(index(".99999999999999999999999999"), Some(usize::MAX));
        for suffix in ["", ".", ".00", ".01", ".-1", ".+1", ". 1", ".1a", "X.1", ".1.1", ".0x1", ".1e1"] {
            assert_eq!(index(suffix), None, "{suffix}");
        }
    }

    #[test]
    fn what_some_parser_takes_for_a_session_cookie_is_a_mention() {
        let pieces: [&[u8]; 34] = [
            b"__Secure-authjs.session-token=x",
            b"__Secure-authjs.session-token",
            b"__Secure-authjs.session-tokenX=x",
            b"__Secure-authjs.session-token.9=x",
            b"__Secure-authjs.session-token-foo=x",
            b"__SECURE-AUTHJS.SESSION-TOKEN=x",
            b"authjs.session-token=x",
            b"authjs.session-token.0=x",
            b"__Host-authjs.session-token=x",
            b"__Host-authjs.session-token",
            b" \tauthjs.session-token = x",
            b"\x0bauthjs.session-token=x",
            b"\xa0authjs.session-token=x",
            b"\0authjs.session-token=x",
            b"\xc2\xa0authjs.session-token=x",
            b"auth\0js.session-token=x",
            b"\"authjs.session-token\"=x",
            b"=authjs.session-token=x",
            b"== authjs.session-token=x",
            b"authjs_session-token=x",
            b"authjs session-token=x",
            b"authjs[session-token=x",
            b"..Secure-authjs.session-token=x",
            b"%61uthjs%2Esession-token=x",
            b"%20authjs.session-token=x",
            b"%20%00%3dauthjs.session-token=x",
            b"a=1 authjs.session-token=x",
            b"a=1\tauthjs.session-token=x",
            b"a=1\x0cauthjs.session-token = x",
            b"a=1,authjs.session-token=x",
            b"a=1, __Secure-authjs.session-token=x",
            b"a=\"1\"authjs.session-token=x",
            b"a %61uthjs.session-token=x",
            b"a\x7f=authjs.session-token=x",
        ];
        for piece in pieces {
            assert!(mentions(piece, &names()), "{}", piece.escape_ascii());
        }
    }

    #[test]
    fn other_cookies_are_no_mention() {
        let pieces: [&[u8]; 14] = [
            b"",
            b"a=1",
            b"x__Secure-authjs.session-token=x",
            b"__Secure-x-authjs.session-token=x",
            b"authjs.session-toke=x",
            b"authjs.csrf-token=x",
            b"__Host-authjs.csrf-token=x",
            b"__Secure-authjs.callback-url=https%3A%2F%2Fexample.org",
            b"next-auth.session-token=x",
            b"a=authjs.session-token",
            b"a=b=authjs.session-token=x",
            b"a=the authjs.session-token cookie",
            b"%",
            b"a=%41%",
        ];
        for piece in pieces {
            assert!(!mentions(piece, &names()), "{}", piece.escape_ascii());
        }
    }
}
