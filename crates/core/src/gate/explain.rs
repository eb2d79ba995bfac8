//! Why a request gets what it gets, for people: the same reading of it that decisions go by.

use super::read::Request;
use crate::headers::HeaderMap;
use crate::policy::Policy;
use crate::route::{Match, Treatment};

/// What the gate sees in a request before it looks at a credential.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each fact is told by itself")]
pub struct Explanation {
    /// How far each rule holds, in order, up to the first that does.
    pub rules: Vec<Match>,
    /// What the rules come to.
    pub treatment: Treatment,
    /// Whether it shows the secret value of the bypass.
    pub bypass: bool,
    /// Whether the path is one where the app makes fresh tokens.
    pub issuer_path: bool,
    /// Whether it is a CORS preflight.
    pub preflight: bool,
    /// Whether another site makes the browser do something that may have effects.
    pub cross_site: bool,
    /// Whether a browser is about to show the reply as a page.
    pub navigation: bool,
}

impl Policy {
    /// Reads a request as the gate does.
    #[must_use]
    pub fn explain(&self, headers: &HeaderMap) -> Explanation {
        let request = Request::read(self, headers);
        Explanation {
            rules: self.routes.rules.explain(&request.line),
            treatment: self.routes.rules.treatment(&request.line),
            bypass: request.bypass,
            issuer_path: request.issuer_path,
            preflight: request.is_preflight(),
            cross_site: request.is_cross_site(&self.allowed_origins),
            navigation: request.is_navigation(),
        }
    }
}
