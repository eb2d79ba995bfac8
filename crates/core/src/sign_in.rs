//! Sending browsers to the sign-in page, and back to where they wanted to go.
//!
//! The way back is made of the configured public URL and never of what the request says of its host, and the page is
//! configured: so nothing that a client sends leads anywhere else.

use std::fmt::Write;

use crate::headers::Field;

/// The sign-in page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    origin: String,
    page: String,
}

/// What tells a browser that shows a page from a script that fetches something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Navigation<'a> {
    /// The method, if there can be no doubt about it.
    pub method: Option<&'a str>,
    /// `Sec-Fetch-Mode`.
    pub fetch_mode: Field<'a>,
    /// `Accept`.
    pub accept: Field<'a>,
    /// `X-Requested-With`.
    pub requested_with: Field<'a>,
}

/// A longer way back than this is left out, since proxies and browsers take no URL of any length.
const MAX_PATH_BYTES: usize = 2048;

impl SignIn {
    /// The page, for an app with this origin.
    #[must_use]
    pub fn new(origin: &str, page: &str) -> Self {
        Self { origin: origin.to_owned(), page: page.to_owned() }
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Where to send a browser that asked for this `:path`: to the page, with the way back as Auth.js reads it.
    #[must_use]
    pub fn location(&self, path: &[u8]) -> String {
        // Anything else could become a part of the host when it is put behind it.
        let path = if path.starts_with(b"/") && path.len() <= MAX_PATH_BYTES { path } else { b"/" };
        let separator = if self.page.contains('?') { '&' } else { '?' };
        let mut location = format!("{}{separator}callbackUrl=", self.page);
        for byte in self.origin.bytes().chain(path.iter().copied()) {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => location.push(char::from(byte)),
                // Writing to a String cannot fail.
                _ => drop(write!(location, "%{byte:02X}")),
            }
        }
        location
    }
}

impl Navigation<'_> {
    /// Whether a browser is about to show the reply as a page. Scripts get a status that they can read: a page where they
    /// expect data, or a redirect that they follow across origins, helps nobody.
    #[must_use]
    pub fn is_one(&self) -> bool {
        let wants_pages = |accept: &[u8]| accept.windows(9).any(|words| words.eq_ignore_ascii_case(b"text/html"));
        let by_mode = match self.fetch_mode {
            Field::Line(mode) => mode == b"navigate",
            // Browsers older than 2020 and 2023 respectively do not say.
            Field::Absent => self.accept.only().is_some_and(wants_pages),
            Field::Several => false,
        };
        self.method == Some("GET") && self.requested_with == Field::Absent && by_mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_one_value_and_leads_to_the_app() {
        let sign_in = SignIn::new("https://app.test", "https://app.test/api/auth/signin");
        let base = "https://app.test/api/auth/signin?callbackUrl=https%3A%2F%2Fapp.test";
        for (path, back) in [
            ("/a?b=c&d=/e", "%2Fa%3Fb%3Dc%26d%3D%2Fe"),
            ("/%2e/\u{e9}\r\nset-cookie: x", "%2F%252e%2F%C3%A9%0D%0Aset-cookie%3A%20x"),
            ("//evil.test/", "%2F%2Fevil.test%2F"),
            ("@evil.test/", "%2F"),
            (".evil.test/", "%2F"),
            (":8443", "%2F"),
            ("http://evil.test/", "%2F"),
            ("", "%2F"),
        ] {
            assert_eq!(sign_in.location(path.as_bytes()), format!("{base}{back}"), "{path}");
        }
        assert_eq!(sign_in.location(&[b"/".as_slice(), &[b'x'; 2048]].concat()), format!("{base}%2F"));
        let with_query = SignIn::new("http://a.test", "https://id.test/in?app=1");
        assert_eq!(with_query.location(b"/"), "https://id.test/in?app=1&callbackUrl=http%3A%2F%2Fa.test%2F");
    }

    #[test]
    fn only_browsers_that_show_a_page_navigate() {
        let line = |text: &'static str| Field::Line(text.as_bytes());
        let page = Navigation { method: Some("GET"), accept: line("text/html,*/*;q=0.8"), ..Navigation::default() };
        assert!(page.is_one());
        assert!(Navigation { fetch_mode: line("navigate"), accept: line("*/*"), ..page }.is_one());
        for other in [
            Navigation { method: Some("POST"), ..page },
            Navigation { method: None, ..page },
            Navigation { accept: line("application/json"), ..page },
            Navigation { accept: line("*/*"), ..page },
            Navigation { accept: Field::Absent, ..page },
            Navigation { fetch_mode: line("cors"), ..page },
            Navigation { fetch_mode: line("websocket"), ..page },
            Navigation { fetch_mode: Field::Several, ..page },
            Navigation { requested_with: line("XMLHttpRequest"), ..page },
        ] {
            assert!(!other.is_one(), "{other:?}");
        }
    }
}
