//! What the gate reads of a request, all of it in one pass over the headers.

use super::event::HeaderEdit;
use crate::cookie;
use crate::headers::{Field, HeaderMap};
use crate::identity::same_header;
use crate::policy::Policy;
use crate::route::{Origins, RequestLine, is_unsafe};
use crate::sign_in::Navigation;

/// The parts of a request that the gate looks at. They lie in the map that they were read from.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) cookies: Vec<&'a [u8]>,
    pub(super) authorization: Vec<&'a [u8]>,
    /// Headers in whatever spelling that only the gate may set.
    pub(super) forged: Vec<Vec<u8>>,
    /// Whether the request shows the secret value of the bypass.
    pub(super) bypass: bool,
    /// Whether the path is one of the issuer's.
    pub(super) issuer_path: bool,
    /// What rules look at.
    pub(super) line: RequestLine<'a>,
    /// The `:path`, as it came.
    pub(super) path: Field<'a>,
    /// Whether another protocol is asked for on this connection.
    upgrades: bool,
    origins: Origins<'a>,
    /// What CORS preflights ask for.
    requested_method: Field<'a>,
    navigation: Navigation<'a>,
}

/// Headers by which some apps take another method for the one that was asked for.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// The lines of a request, as they are found.
#[derive(Debug, Default)]
struct Found<'a> {
    cookies: Vec<&'a [u8]>,
    authorization: Vec<&'a [u8]>,
    forged: Vec<Vec<u8>>,
    bypass: Field<'a>,
    method: Field<'a>,
    authority: Field<'a>,
    host: Field<'a>,
    path: Field<'a>,
    overridden: bool,
    upgrades: bool,
    fetch_site: Field<'a>,
    origin: Field<'a>,
    requested_method: Field<'a>,
    navigation: Navigation<'a>,
}

impl<'a> Found<'a> {
    fn read(policy: &Policy, map: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in map.lines() {
            found.line(policy, name, value);
        }
        found
    }

    fn line(&mut self, policy: &Policy, name: &[u8], value: &'a [u8]) {
        match name {
            b"cookie" => self.cookies.push(value),
            b"authorization" => self.authorization.push(value),
            b":method" => self.method.add(value),
            b":authority" => self.authority.add(value),
            b"host" => self.host.add(value),
            b":path" => self.path.add(value),
            // RFC 8441: a WebSocket over HTTP/2.
            b"upgrade" | b":protocol" => self.upgrades = true,
            b"origin" => self.origin.add(value),
            b"sec-fetch-site" => self.fetch_site.add(value),
            b"sec-fetch-mode" => self.navigation.fetch_mode.add(value),
            b"accept" => self.navigation.accept.add(value),
            b"x-requested-with" => self.navigation.requested_with.add(value),
            b"access-control-request-method" => self.requested_method.add(value),
            _ => {}
        }
        // Any of them may also be a header that the configuration gives to the gate alone.
        if policy.guarded.may_hold(name) {
            self.guarded(policy, name, value);
        }
    }

    fn guarded(&mut self, policy: &Policy, name: &[u8], value: &'a [u8]) {
        if policy.bypass.as_ref().is_some_and(|bypass| name == bypass.header.as_bytes()) {
            self.bypass.add(value);
        }
        self.overridden |= overrides_method(name);
        if policy.guarded.holds(name) && !self.forged.iter().any(|forged| forged == name) {
            self.forged.push(name.to_vec());
        }
    }

    /// The host that every part of the proxy and the app takes for it.
    fn host(&self) -> Field<'a> {
        match (self.authority, self.host) {
            (Field::Line(authority), Field::Line(host)) if authority != host => Field::Several,
            (Field::Line(_), Field::Several) => Field::Several,
            (authority, _) => authority,
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a request.
    pub(super) fn read(policy: &Policy, map: &'a HeaderMap) -> Self {
        let found = Found::read(policy, map);
        let authority = found.host();
        let line = RequestLine::read(found.method, authority, found.path, found.overridden);
        Self {
            bypass: opens(policy, found.bypass),
            issuer_path: is_issuer_path(policy, found.path),
            navigation: Navigation { method: line.method, ..found.navigation },
            origins: Origins { fetch_site: found.fetch_site, origin: found.origin, authority },
            line,
            path: found.path,
            upgrades: found.upgrades,
            requested_method: found.requested_method,
            cookies: found.cookies,
            authorization: found.authorization,
            forged: found.forged,
        }
    }

    /// Whether it is for this path to the letter, whatever the query: a path in another spelling is the application's.
    pub(super) fn is_for(&self, path: &str) -> bool {
        let own = self.path.only().and_then(|path| path.split(|byte| *byte == b'?').next());
        own == Some(path.as_bytes())
    }

    /// What becomes of `Authorization` when it is not what let the request in. Auth.js would take a JWE there for a
    /// session; other credentials are the app's own.
    pub(super) fn authorization_without_session(&self) -> HeaderEdit {
        let session = |line: &&[u8]| cookie::looks_like_jwe(line);
        if self.authorization.iter().any(session) { HeaderEdit::Remove } else { HeaderEdit::Keep }
    }

    /// Whether a page of another site makes the browser do something with it that may have effects.
    pub(super) fn is_cross_site(&self, allowed_origins: &[String]) -> bool {
        is_unsafe(self.line.method, self.upgrades) && self.origins.are_foreign(allowed_origins)
    }

    /// Whether a browser asks what a page of another origin may do (Fetch standard, CORS-preflight request).
    pub(super) fn is_preflight(&self) -> bool {
        let says = |field: Field<'_>| field.only().is_some_and(|line| !line.is_empty());
        self.line.method == Some("OPTIONS") && says(self.origins.origin) && says(self.requested_method)
    }

    /// Whether a browser is about to show the reply as a page.
    pub(super) fn is_navigation(&self) -> bool {
        !self.upgrades && self.navigation.is_one()
    }
}

/// Headers that only the gate may set. Nearly all headers of a request are told apart from them, and from those that name another
/// method, by their length and their last sign.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    /// The shortest first.
    names: Vec<String>,
    /// By length, a bit for each sign that one of that length ends with.
    ends: [u32; LENGTHS],
}

impl Guarded {
    /// Names in lower case.
    pub(crate) fn new(mut names: Vec<String>) -> Self {
        names.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
        names.dedup();
        let read = names.iter().map(String::as_str).chain(METHOD_OVERRIDES);
        let mut ends = [0; LENGTHS];
        for name in read {
            if let Some(known) = ends.get_mut(length(name.as_bytes())) {
                *known |= end(name.as_bytes());
            }
        }
        Self { names, ends }
    }

    /// Whether a trailer is one that an app could take for such a header, or for a credential that nobody has checked.
    pub(crate) fn holds_trailer(&self, name: &[u8]) -> bool {
        self.holds(name) || ["cookie", "authorization"].iter().any(|credential| same_header(credential, name))
    }

    /// Whether a header is one of them, or one that names another method, in whatever spelling.
    pub(super) fn concerns(&self, name: &[u8]) -> bool {
        self.may_hold(name) && (self.holds(name) || overrides_method(name))
    }

    /// Whether a header has to be looked at.
    #[inline]
    fn may_hold(&self, name: &[u8]) -> bool {
        self.ends.get(length(name)).is_some_and(|ends| ends & end(name) != 0)
    }

    /// Whether a header is one of them in whatever spelling.
    pub(crate) fn holds(&self, name: &[u8]) -> bool {
        let start = self.names.partition_point(|ours| ours.len() < name.len());
        let mut alike = self.names.iter().skip(start).take_while(|ours| ours.len() == name.len());
        alike.any(|ours| same_header(ours, name))
    }

    /// Whether a header is one of them to the letter.
    pub(crate) fn names(&self, name: &[u8]) -> bool {
        self.names.iter().any(|ours| ours.as_bytes() == name)
    }
}

/// Whether some apps take what this header says for the method.
fn overrides_method(name: &[u8]) -> bool {
    METHOD_OVERRIDES.iter().any(|ours| same_header(ours, name))
}

/// The longest ones share the last place.
const LENGTHS: usize = 64;

fn length(name: &[u8]) -> usize {
    name.len().min(LENGTHS - 1)
}

/// A bit for the sign at the end of a name: the same for all that [`same_header`] takes for the same.
fn end(name: &[u8]) -> u32 {
    match name.last() {
        Some(last) if last.is_ascii_alphanumeric() => 1 << (last.to_ascii_lowercase() & 31),
        _ => 1 << 31,
    }
}

/// Compared in constant time; shown twice it is not shown.
fn opens(policy: &Policy, value: Field<'_>) -> bool {
    match (&policy.bypass, value) {
        (Some(bypass), Field::Line(value)) => bypass.value.matches(value),
        _ => false,
    }
}

/// A path that cannot be read is taken for one of the issuer's: those are handled more strictly.
fn is_issuer_path(policy: &Policy, path: Field<'_>) -> bool {
    let Some(path) = path.only() else { return true };
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let odd = path.iter().any(|byte| matches!(byte, b'%' | b'\\' | b';')) || path.windows(2).any(|two| two == b"//");
    odd || policy.issuer_paths.iter().any(|issuer| starts_with(path, issuer.as_bytes()))
}

/// Case counts for little in some apps, and a prefix of `/api/auth/` also stands for `/api/auth`.
fn starts_with(path: &[u8], prefix: &[u8]) -> bool {
    let bare = prefix.strip_suffix(b"/").unwrap_or(prefix);
    path.get(..bare.len()).is_some_and(|start| start.eq_ignore_ascii_case(bare))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn policy() -> Policy {
        let environment = |name: &str| (name == "AUTH_SECRET").then(|| "a secret for tests".to_owned());
        Policy::compile(Config::from_json(b"{}", &environment).unwrap()).unwrap()
    }

    #[test]
    fn a_method_in_another_header_is_found_in_every_spelling() {
        let policy = policy();
        for name in ["x-http-method-override", "X-HTTP-Method", "x_http_method_override", "X.Method~Override"] {
            let map = [(":method", "POST"), (name, "DELETE")].into_iter().collect();
            assert_eq!(Request::read(&policy, &map).line.method, None, "{name}");
        }
        let map = [(":method", "POST"), ("x-http-method-overrides", "DELETE")].into_iter().collect();
        assert_eq!(Request::read(&policy, &map).line.method, Some("POST"));
    }

    #[test]
    fn a_header_that_the_gate_sets_is_forged_whatever_else_it_is_read_for() {
        let environment = |name: &str| (name == "AUTH_SECRET").then(|| "a secret for tests".to_owned());
        for name in [
            "accept",
            "origin",
            "sec-fetch-site",
            "sec-fetch-mode",
            "x-requested-with",
            "access-control-request-method",
        ] {
            let json = format!(r#"{{"identity":{{"headers":{{"{name}":"sub"}}}}}}"#);
            let policy = Policy::compile(Config::from_json(json.as_bytes(), &environment).unwrap()).unwrap();
            let map = [(":method", "GET"), (name, "mallory")].into_iter().collect();
            assert_eq!(Request::read(&policy, &map).forged, [name.as_bytes().to_vec()], "{name}");
        }
    }

    #[test]
    fn trailers_that_an_app_could_take_for_headers_of_the_gate_are_told_from_others() {
        let policy = policy();
        for name in ["x-user-id", "X_User.Id", "x-original-url", "x-bypass-auth", "cookie", "Authorization"] {
            assert!(policy.guarded.holds_trailer(name.as_bytes()), "{name}");
        }
        for name in ["x-checksum", "grpc-status", "x-user-ids", "cookies"] {
            assert!(!policy.guarded.holds_trailer(name.as_bytes()), "{name}");
        }
    }
}
