//! The replies that the gate gives itself. They tell the status and nothing else: all token failures look alike.

use crate::verdict::{Answer, Denial};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u32,
    /// The headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: &'static str,
}

impl Reply {
    /// The reply to a denied request. `debug` adds the reason in a header.
    #[must_use]
    pub fn to(denial: Denial, debug: bool) -> Self {
        let (status, own, body) = match denial.answer() {
            // RFC 9110 section 15.5.2 asks for the challenge; RFC 6750 section 3 is its form.
            Answer::Unauthenticated => {
                (401, Some(("www-authenticate", "Bearer realm=\"jwe-gate\"")), "{\"error\":\"unauthenticated\"}\n")
            }
            Answer::Forbidden => (403, None, "{\"error\":\"forbidden\"}\n"),
            Answer::Unavailable => (503, Some(("retry-after", "1")), "{\"error\":\"unavailable\"}\n"),
        };
        let mut headers = vec![
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("vary", "Cookie, Authorization"),
        ];
        headers.extend(own);
        if debug {
            headers.push(("x-jwe-gate-reason", denial.as_str()));
        }
        Self { status, headers, body }
    }
}
