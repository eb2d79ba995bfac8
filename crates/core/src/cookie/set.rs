//! What a reply does to session cookies.

use super::Name;
use super::name::mentions;

/// Whether a `Set-Cookie` line gives the browser what some parser could take for a session. One that takes a cookie
/// away does not: its value is empty.
#[must_use]
pub fn sets_session(line: &[u8], names: &[Name]) -> bool {
    let pair = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let value = pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or(pair);
    let is_empty = value.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b'"');
    !is_empty && mentions(pair, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_cookie_that_is_set_is_told_from_one_that_is_taken_away() {
        let names = [Name::new("__Secure-authjs.session-token").unwrap()];
        for line in [
            "__Secure-authjs.session-token=x; Path=/; HttpOnly",
            "authjs.session-token=x",
            "__Host-authjs.session-token.0=x; Max-Age=0",
            " authjs.session-tokenX = x",
            "authjs.session-token",
        ] {
            assert!(sets_session(line.as_bytes(), &names), "{line}");
        }
        for line in [
            "__Secure-authjs.session-token=; Max-Age=0; Path=/",
            "authjs.session-token.1= ; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "authjs.session-token=\"\"",
            "authjs.csrf-token=x",
            "theme=authjs.session-token",
        ] {
            assert!(!sets_session(line.as_bytes(), &names), "{line}");
        }
    }
}
