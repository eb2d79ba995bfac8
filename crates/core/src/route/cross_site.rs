//! Requests that another site makes with the user's cookies.
//!
//! The gate lends a cookie's identity to applications that may have no defence of their own against cross-site request
//! forgery. So a request that changes something, or opens a WebSocket, must come from the application's own pages.

use super::Host;
use crate::headers::Field;

/// What tells where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origins<'a> {
    /// `Sec-Fetch-Site`.
    pub fetch_site: Field<'a>,
    /// `Origin`.
    pub origin: Field<'a>,
    /// `:authority`.
    pub authority: Field<'a>,
}

/// Whether this method, or the upgrade that is asked for, may change something. An unknown method may.
#[must_use]
pub fn is_unsafe(method: Option<&str>, upgrades: bool) -> bool {
    upgrades || !matches!(method, Some("GET" | "HEAD" | "OPTIONS"))
}

impl Origins<'_> {
    /// Whether the request comes from another site. `allowed` are the origins that count as the application's own, such
    /// as `https://www.example.com`.
    ///
    /// User agents that send neither header are not browsers, or older than 2020; what they do is not another site's doing.
    #[must_use]
    pub fn are_foreign(&self, allowed: &[String]) -> bool {
        let own_origin = match self.origin {
            Field::Absent => None,
            Field::Line(origin) => Some(self.is_own(origin, allowed)),
            // Nobody sends two.
            Field::Several => Some(false),
        };
        match (self.fetch_site, own_origin) {
            (Field::Line(b"same-origin" | b"none"), _) | (Field::Absent, None) => false,
            (Field::Absent, Some(own)) => !own,
            // Another origin that is allowed says so by the header that browsers always send.
            (Field::Line(_), Some(_)) => !self.is_listed(allowed),
            _ => true,
        }
    }

    /// The scheme cannot be told behind a proxy that ends TLS, so hosts are compared, with their ports.
    fn is_own(&self, origin: &[u8], allowed: &[String]) -> bool {
        let host = |origin: &[u8]| {
            let text = std::str::from_utf8(origin).ok()?;
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            Some(host.to_ascii_lowercase())
        };
        let Some(authority) = self.authority.only() else { return self.is_listed(allowed) };
        let same = std::str::from_utf8(authority).is_ok_and(|own| host(origin) == Some(own.to_ascii_lowercase()));
        (same && Host::read(authority) != Host::Ambiguous) || self.is_listed(allowed)
    }

    fn is_listed(&self, allowed: &[String]) -> bool {
        let Some(origin) = self.origin.only() else { return false };
        allowed.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(fetch_site: &[&'static str], origin: &[&'static str]) -> bool {
        let field = |lines: &[&'static str]| {
            let mut field = Field::Absent;
            for line in lines {
                field.add(line.as_bytes());
            }
            field
        };
        let authority = Field::Line(b"App.test:8443");
        let origins = Origins { fetch_site: field(fetch_site), origin: field(origin), authority };
        origins.are_foreign(&["https://www.app.test".to_owned()])
    }

    #[test]
    fn the_application_itself_and_the_address_bar_are_not_foreign() {
        assert!(!foreign(&["same-origin"], &[]));
        assert!(!foreign(&["same-origin"], &["https://app.test:8443"]));
        assert!(!foreign(&["none"], &[]));
        assert!(!foreign(&[], &["https://app.test:8443"]));
        assert!(!foreign(&[], &["http://APP.test:8443"]));
    }

    #[test]
    fn what_is_no_browser_is_not_foreign() {
        assert!(!foreign(&[], &[]));
    }

    #[test]
    fn other_sites_and_sister_hosts_are_foreign() {
        for site in ["cross-site", "same-site", "", "Same-Origin", "same-origin, same-origin"] {
            assert!(foreign(&[site], &[]), "{site:?}");
            assert!(foreign(&[site], &["https://evil.test"]), "{site:?}");
            assert!(foreign(&[site], &["https://app.test:8443"]), "{site:?}: the browser knows better");
        }
        for origin in [
            "https://evil.test",
            "null",
            "",
            "https://app.test",
            "https://app.test:8443.evil.test",
            "app.test:8443",
            "ftp://app.test:8443",
        ] {
            assert!(foreign(&[], &[origin]), "{origin:?}");
        }
    }

    #[test]
    fn origins_that_are_configured_are_not_foreign() {
        assert!(!foreign(&["same-site"], &["https://www.app.test"]));
        assert!(!foreign(&["cross-site"], &["https://www.app.test"]));
        assert!(!foreign(&[], &["https://www.app.test"]));
        assert!(foreign(&[], &["http://www.app.test"]));
    }

    #[test]
    fn headers_that_come_twice_are_foreign() {
        assert!(foreign(&["same-origin", "same-origin"], &[]));
        assert!(foreign(&[], &["https://app.test:8443", "https://app.test:8443"]));
        assert!(foreign(&["same-site"], &["https://www.app.test", "https://www.app.test"]));
    }

    #[test]
    fn only_what_is_known_to_be_safe_is_safe() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(!is_unsafe(Some(method), false), "{method}");
            assert!(is_unsafe(Some(method), true), "{method}");
        }
        for method in [Some("POST"), Some("DELETE"), Some("get"), Some("CONNECT"), Some("QUERY"), None] {
            assert!(is_unsafe(method, false), "{method:?}");
        }
    }
}
