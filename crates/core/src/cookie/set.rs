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

/// The names of the cookies in these lines that some parser could take for a session.
#[must_use]
pub fn session_cookies(lines: &[&[u8]], names: &[Name]) -> Vec<Vec<u8>> {
    let sessions = pairs(lines).filter(|pair| mentions(pair.bytes, names));
    sessions.map(|pair| pair.name.unwrap_or(pair.bytes).to_vec()).collect()
}

/// Whether a reply ends the session whose cookies were `shown`: it takes every one of them away, and gives no new one. A
/// refresh of a session also takes cookies away, chunks that it needs no more.
#[must_use]
pub fn takes_session_away(shown: &[Vec<u8>], set: &[Vec<u8>], names: &[Name]) -> bool {
    let taken: BTreeSet<&[u8]> = set.iter().filter_map(|line| taken_name(line)).collect();
    let sets_one = set.iter().any(|line| sets_session(line, names));
    !shown.is_empty() && !sets_one && shown.iter().all(|name| taken.contains(name.as_slice()))
}

/// The cookie that a line takes away.
fn taken_name(line: &[u8]) -> Option<&[u8]> {
    let pair = line.split(|byte| *byte == b';').next()?;
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at_checked(at)?;
    let is_empty = value.iter().skip(1).all(|byte| byte.is_ascii_whitespace() || *byte == b'"');
    is_empty.then(|| name.trim_ascii())
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
    fn a_sign_out_is_told_from_a_refresh() {
        let names = [Name::new("authjs.session-token").unwrap()];
        let end = "=; Max-Age=0";
        let chunks = "theme=dark; authjs.session-token.0=a; authjs.session-token.1=b";
        let case = |shown: &str, set: &[&str]| {
            let set: Vec<_> = set.iter().map(|line| line.as_bytes().to_vec()).collect();
            takes_session_away(&session_cookies(&[shown.as_bytes()], &names), &set, &names)
        };
        let taken = |name: &str| format!("{name}{end}");
        assert!(case("authjs.session-token=a", &[&taken("authjs.session-token"), "theme=; Max-Age=0"]));
        assert!(case(chunks, &[&taken("authjs.session-token.0"), &taken("authjs.session-token.1")]));
        // A shorter session needs fewer chunks.
        assert!(!case(
            chunks,
            &["authjs.session-token=fresh", &taken("authjs.session-token.0"), &taken("authjs.session-token.1")]
        ));
        assert!(!case(chunks, &["authjs.session-token.0=fresh", &taken("authjs.session-token.1")]));
        assert!(!case(chunks, &[&taken("authjs.session-token.1")]));
        assert!(!case(chunks, &[&taken("authjs.session-token")]));
        assert!(!case("authjs.session-token=a", &["authjs.csrf-token=; Max-Age=0"]));
        assert!(!case("authjs.session-token=a", &[]));
        assert!(!case("theme=dark", &[&taken("authjs.session-token")]));
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
