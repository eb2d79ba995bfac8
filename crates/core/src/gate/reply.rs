//! The replies that the gate gives itself. They tell the status and nothing else: all token failures look alike.

use std::borrow::Cow;

use crate::template::{Filling, Template};
use crate::verdict::{Answer, Denial};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u32,
    /// The headers.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: String,
}

/// The bodies that the operator has written.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    /// For 400.
    pub bad_request: Option<Body>,
    /// For 403.
    pub forbidden: Option<Body>,
    /// For 429.
    pub limited: Option<Body>,
    /// For 401.
    pub unauthenticated: Option<Body>,
    /// For 503.
    pub unavailable: Option<Body>,
    /// Where to sign in, for all of them.
    pub sign_in: String,
}

/// A body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its text.
    pub template: Template,
}

impl Reply {
    /// The reply to a denied request. `debug` adds the reason in a header.
    #[must_use]
    pub fn to(denial: Denial, replies: &Replies, debug: bool) -> Self {
        let answer = denial.answer();
        let (status, error, own): (_, _, Option<(_, Cow<'static, str>)>) = match answer {
            // RFC 9110 section 15.5.2 asks for the challenge; RFC 6750 section 3 is its form.
            Answer::Unauthenticated => {
                (401, "unauthenticated", Some(("www-authenticate", "Bearer realm=\"jwe-gate\"".into())))
            }
            Answer::BadRequest => (400, "bad_request", None),
            Answer::Forbidden => (403, "forbidden", None),
            Answer::Limited { wait } => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                (429, "too_many_requests", Some(("retry-after", seconds.to_string().into())))
            }
            Answer::Unavailable => (503, "unavailable", Some(("retry-after", "1".into()))),
        };
        let (content_type, body) = match replies.to(answer) {
            Some(Body { content_type, template }) => {
                let filling = Filling { status, error, sign_in: &replies.sign_in };
                (content_type.clone().into(), template.fill(&filling))
            }
            None => (Cow::Borrowed("application/json"), format!("{{\"error\":\"{error}\"}}\n")),
        };
        let mut headers = vec![("content-type", content_type)];
        headers.extend(uncached());
        headers.extend(own);
        headers.extend(reason(denial, debug));
        Self { status, headers, body }
    }

    /// Says that a session has ended, and takes its cookies away.
    #[must_use]
    pub fn signed_out(location: Option<String>, cookies: Vec<String>) -> Self {
        let status = if location.is_some() { 303 } else { 204 };
        let mut headers: Vec<_> = cookies.into_iter().map(|line| ("set-cookie", Cow::Owned(line))).collect();
        headers.extend(uncached());
        headers.extend(location.map(|location| ("location", Cow::Owned(location))));
        Self { status, headers, body: String::new() }
    }

    /// Sessions can be admitted.
    #[must_use]
    pub fn ready() -> Self {
        let mut headers = vec![("content-type", Cow::Borrowed("text/plain"))];
        headers.extend(uncached());
        Self { status: 200, headers, body: "ready\n".to_owned() }
    }

    /// The path takes `POST` alone.
    #[must_use]
    pub fn post_only() -> Self {
        let mut headers = vec![("allow", Cow::Borrowed("POST"))];
        headers.extend(uncached());
        Self { status: 405, headers, body: String::new() }
    }

    /// Sends a browser to the sign-in page.
    #[must_use]
    pub fn redirect(location: String, denial: Denial, debug: bool) -> Self {
        let mut headers = vec![("location", Cow::Owned(location))];
        headers.extend(uncached());
        headers.extend(reason(denial, debug));
        Self { status: 302, headers, body: String::new() }
    }
}

impl Replies {
    fn to(&self, answer: Answer) -> Option<&Body> {
        match answer {
            Answer::BadRequest => self.bad_request.as_ref(),
            Answer::Forbidden => self.forbidden.as_ref(),
            Answer::Limited { .. } => self.limited.as_ref(),
            Answer::Unauthenticated => self.unauthenticated.as_ref(),
            Answer::Unavailable => self.unavailable.as_ref(),
        }
    }
}

/// No cache keeps a reply, and one that does not obey knows at least what it depends on.
fn uncached() -> [(&'static str, Cow<'static, str>); 2] {
    let depends_on = "Cookie, Authorization, Origin, Sec-Fetch-Site, Sec-Fetch-Mode, Accept, X-Requested-With";
    [("cache-control", "no-store".into()), ("vary", depends_on.into())]
}

fn reason(denial: Denial, debug: bool) -> Option<(&'static str, Cow<'static, str>)> {
    debug.then(|| ("x-jwe-gate-reason", denial.as_str().into()))
}
