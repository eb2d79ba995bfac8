//! Session tokens in `Authorization: Bearer`, where the packages look when there is no session cookie.

use std::borrow::Cow;

use super::pair::trim;
use super::percent::decoded;
use super::{CredentialError, Limits};

/// The value of `Authorization: Bearer`, percent-decoded; it may be empty. `None` if there is no such header.
///
/// Everything after the first space is the value, so that "Bearer one two" is no token: a parser may take either.
///
/// # Errors
/// [`CredentialError`] when there is a second Authorization header beside a Bearer, or the value is too large.
pub fn bearer<'a>(lines: &[&'a [u8]], limits: &Limits) -> Result<Option<Cow<'a, [u8]>>, CredentialError> {
    let Some(value) = lines.iter().find_map(|line| value(line)) else { return Ok(None) };
    if lines.len() > 1 {
        return Err(CredentialError::AmbiguousBearer);
    }
    if value.len() > limits.token_bytes {
        return Err(CredentialError::TokenTooLarge);
    }
    Ok(Some(decoded(value)))
}

fn value(line: &[u8]) -> Option<&[u8]> {
    let line = trim(line);
    let (scheme, rest) = line.split_at_checked(b"bearer".len())?;
    let value = match rest {
        [] => rest,
        [b' ', value @ ..] => value,
        _ => return None,
    };
    scheme.eq_ignore_ascii_case(b"bearer").then_some(value)
}

/// Whether an Authorization header may hold a session token for some parser, so that it must not go upstream unless
/// the token was accepted. Other Bearer values, with fewer parts, are the app's own.
#[must_use]
pub fn looks_like_jwe(line: &[u8]) -> bool {
    let Some(after) = line.windows(6).position(|word| word.eq_ignore_ascii_case(b"bearer")) else { return false };
    let decoded = decoded(line.get(after + 6..).unwrap_or_default());
    let is_separator = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b',' | b';' | b'"');
    decoded.split(is_separator).any(|part| part.split(|byte| *byte == b'.').nth(4).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(lines: &[&'a [u8]]) -> Option<Cow<'a, [u8]>> {
        bearer(lines, &Limits::default()).unwrap()
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_the_value_is_decoded() {
        for line in ["Bearer a.b", "bearer a.b", " BEARER a%2Eb\t"] {
            assert_eq!(found(&[line.as_bytes()]).as_deref(), Some(b"a.b".as_slice()), "{line}");
        }
        assert_eq!(found(&[b"Bearer"]).as_deref(), Some(b"".as_slice()));
        assert_eq!(found(&[b"Bearer one two"]).as_deref(), Some(b"one two".as_slice()));
        assert_eq!(found(&[b"Bearer  two-spaces"]).as_deref(), Some(b" two-spaces".as_slice()));
        for line in ["", "Basic YTpi", "Bearerx y", "Bearer\ta.b", "Token Bearer a.b"] {
            assert_eq!(found(&[line.as_bytes()]), None, "{line}");
        }
    }

    #[test]
    fn a_second_authorization_header_is_ambiguous() {
        let error = bearer(&[b"Basic YTpi", b"Bearer a.b"], &Limits::default()).unwrap_err();
        assert_eq!(error, CredentialError::AmbiguousBearer);
        assert_eq!(found(&[b"Basic YTpi", b"Basic YTpj"]), None);
    }

    #[test]
    fn a_value_over_the_limit_is_too_large() {
        let limits = Limits { token_bytes: 3, ..Limits::default() };
        assert!(bearer(&[b"Bearer abc"], &limits).is_ok());
        assert_eq!(bearer(&[b"Bearer abcd"], &limits).unwrap_err(), CredentialError::TokenTooLarge);
    }

    #[test]
    fn five_parts_look_like_a_session_token_and_fewer_do_not() {
        for line in [
            "Bearer e..i.c.t",
            "bearer e..i.c.t",
            "Bearer\te..i.c.t",
            "Bearer e%2E%2ei%2ec.t",
            "Bearer x e..i.c.t",
            "Basic YTpi, Bearer e..i.c.t",
            "Bearer e..i.c.t, Bearer e.p.s",
        ] {
            assert!(looks_like_jwe(line.as_bytes()), "{line}");
        }
        for line in ["Bearer e.p.s", "Bearer opaque", "Bearer", "Basic YTpi", "Token e..i.c.t"] {
            assert!(!looks_like_jwe(line.as_bytes()), "{line}");
        }
    }
}
