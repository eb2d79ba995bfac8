//! The replies that the gate gives itself. They tell the status and nothing else: all token failures look alike.

use std::borrow::Cow;

use crate::verdict::{Answer, Denial};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u32,
    /// The headers.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: &'static str,
}

impl Reply {
    /// The reply to a denied request. `debug` adds the reason in a header.
    #[must_use]
    pub fn to(denial: Denial, debug: bool) -> Self {
        let (status, own, body): (_, Option<(_, Cow<'static, str>)>, _) = match denial.answer() {
            // RFC 9110 section 15.5.2 asks for the challenge; RFC 6750 section 3 is its form.
            Answer::Unauthenticated => (
                401,
                Some(("www-authenticate", "Bearer realm=\"jwe-gate\"".into())),
                "{\"error\":\"unauthenticated\"}\n",
            ),
            Answer::BadRequest => (400, None, "{\"error\":\"bad_request\"}\n"),
            Answer::Forbidden => (403, None, "{\"error\":\"forbidden\"}\n"),
            Answer::Limited { wait } => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                (429, Some(("retry-after", seconds.to_string().into())), "{\"error\":\"too_many_requests\"}\n")
            }
            Answer::Unavailable => (503, Some(("retry-after", "1".into())), "{\"error\":\"unavailable\"}\n"),
        };
        let mut headers = vec![
            ("content-type", Cow::Borrowed("application/json")),
            ("cache-control", "no-store".into()),
            ("vary", "Cookie, Authorization".into()),
        ];
        headers.extend(own);
        if debug {
            headers.push(("x-jwe-gate-reason", denial.as_str().into()));
        }
        Self { status, headers, body }
    }
}
