//! What the gate reads of a request, each header once.

use super::event::{HeaderEdit, RequestHeaders};
use crate::cookie;
use crate::identity::same_header;
use crate::policy::Policy;

/// The parts of a request that the gate looks at.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) cookies: Vec<Vec<u8>>,
    pub(super) authorization: Vec<Vec<u8>>,
    /// Headers in whatever spelling that only the gate may set.
    pub(super) forged: Vec<Vec<u8>>,
    /// Whether the request shows the secret value of the bypass.
    pub(super) bypass: bool,
    /// Whether the path is one of the issuer's; told apart only where it matters.
    pub(super) issuer_path: bool,
}

impl Request {
    /// Reads a request. Values are moved out of the map, not copied: tokens are long.
    pub(super) fn read(policy: &Policy, headers: &dyn RequestHeaders) -> Self {
        let (mut cookies, mut authorization, mut forged) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bypasses, mut paths) = (Vec::new(), Vec::new());
        for (name, value) in headers.all() {
            match name.as_slice() {
                b"cookie" => cookies.push(value),
                b"authorization" => authorization.push(value),
                b":path" => paths.push(value),
                _ if policy.guarded.iter().any(|ours| same_header(ours, &name)) => {
                    if policy.bypass.as_ref().is_some_and(|bypass| name == bypass.header.as_bytes()) {
                        bypasses.push(value);
                    }
                    if !forged.contains(&name) {
                        forged.push(name);
                    }
                }
                _ => {}
            }
        }
        Self {
            cookies,
            authorization,
            forged,
            bypass: opens(policy, &bypasses),
            issuer_path: policy.reads_paths() && is_issuer_path(policy, &paths),
        }
    }

    /// The lines of the `Cookie` header.
    pub(super) fn cookie_lines(&self) -> Vec<&[u8]> {
        self.cookies.iter().map(Vec::as_slice).collect()
    }

    /// The lines of the `Authorization` header.
    pub(super) fn authorization_lines(&self) -> Vec<&[u8]> {
        self.authorization.iter().map(Vec::as_slice).collect()
    }

    /// What becomes of `Authorization` when it is not what let the request in. Auth.js would take a JWE there for a
    /// session; other credentials are the app's own.
    pub(super) fn authorization_without_session(&self) -> HeaderEdit {
        let session = |line: &Vec<u8>| cookie::looks_like_jwe(line);
        if self.authorization.iter().any(session) { HeaderEdit::Remove } else { HeaderEdit::Keep }
    }
}

/// Compared in constant time; shown twice it is not shown.
fn opens(policy: &Policy, values: &[Vec<u8>]) -> bool {
    match (&policy.bypass, values) {
        (Some(bypass), [value]) => bypass.value.matches(value),
        _ => false,
    }
}

/// A path that cannot be read is taken for one of the issuer's: those are handled more strictly.
pub(super) fn is_issuer_path(policy: &Policy, values: &[Vec<u8>]) -> bool {
    let [path] = values else { return true };
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let odd = path.iter().any(|byte| matches!(byte, b'%' | b'\\' | b';')) || path.windows(2).any(|two| two == b"//");
    odd || policy.issuer_paths.iter().any(|issuer| starts_with(path, issuer.as_bytes()))
}

/// Case counts for little in some apps, and a prefix of `/api/auth/` also stands for `/api/auth`.
fn starts_with(path: &[u8], prefix: &[u8]) -> bool {
    let bare = prefix.strip_suffix(b"/").unwrap_or(prefix);
    path.get(..bare.len()).is_some_and(|start| start.eq_ignore_ascii_case(bare))
}
