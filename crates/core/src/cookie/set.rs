//! What a reply does to session cookies.

use std::collections::BTreeSet;

use super::Name;
use super::name::mentions;
use super::pair::pairs;

/// Whether a `Set-Cookie` line gives the browser what some parser could take for a session. One that takes a cookie
/// away does not: its value is empty.
#[must_use]
pub fn sets_session(line: &[u8], names: &[Name]) -> bool {
    let pair = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let value = pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or(pair);
    let is_empty = value.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b'"');
    !is_empty && mentions(pair, names)
}

/// The `Set-Cookie` lines that take away whatever some parser could take for a session: the configured cookies in every
/// spelling, and all that the request shows, which the browser holds for sure.
#[must_use]
pub fn cleared(lines: &[&[u8]], names: &[Name]) -> Vec<String> {
    let configured = names.iter().flat_map(|name| {
        let bare = PREFIXES.iter().find_map(|prefix| name.as_str().strip_prefix(prefix)).unwrap_or(name.as_str());
        ["", "__Secure-", "__Host-"].map(|prefix| format!("{prefix}{bare}"))
    });
    let shown = pairs(lines).filter(|pair| mentions(pair.bytes, names)).filter_map(|pair| {
        let name = std::str::from_utf8(pair.name?).ok()?;
        // One that is no name cannot be written either.
        Name::new(name).map(|name| name.as_str().to_owned())
    });
    let cookies: BTreeSet<String> = configured.chain(shown).collect();
    cookies.into_iter().map(|cookie| take_away(&cookie)).collect()
}

/// Browsers refuse to touch prefixed cookies without `Secure` (RFC 6265bis section 4.1.3).
fn take_away(cookie: &str) -> String {
    let is_prefixed = PREFIXES.iter().any(|prefix| starts_with(cookie, prefix));
    let secure = if is_prefixed { "; Secure" } else { "" };
    format!("{cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}")
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

const PREFIXES: [&str; 2] = ["__Secure-", "__Host-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_could_be_a_session_is_taken_away_and_nothing_else() {
        let names = [Name::new("__Secure-authjs.session-token").unwrap()];
        let lines: [&[u8]; 2] =
            [b"theme=dark; authjs.session-token.0=a; __secure-authjs.session-tokenX=b", b"a=authjs.b"];
        let end = "=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
        assert_eq!(
            cleared(&lines, &names),
            [
                format!("__Host-authjs.session-token{end}; Secure"),
                format!("__Secure-authjs.session-token{end}; Secure"),
                format!("__secure-authjs.session-tokenX{end}; Secure"),
                format!("authjs.session-token{end}"),
                format!("authjs.session-token.0{end}"),
            ]
        );
    }

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
