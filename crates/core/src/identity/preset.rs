//! The headers that well-known applications read.

use std::rc::Rc;

use serde::Deserialize;

use super::{Entry, Source};
use crate::claims::ClaimPath;

/// An application, or a proxy whose place the gate takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Grafana's `auth.proxy`: `X-WEBAUTH-USER`, `-EMAIL`, `-NAME`, `-ROLE` and `-GROUPS`.
    Grafana,
    /// Jenkins' Reverse Proxy Auth plugin: `X-Forwarded-User`, and `X-Forwarded-Groups` with `|` between groups.
    Jenkins,
    /// What oauth2-proxy tells: `X-Auth-Request-User`, `-Email`, `-Preferred-Username` and `-Groups`.
    #[serde(rename = "oauth2-proxy")]
    OAuth2Proxy,
}

/// The headers by which applications tell accounts apart. What users can edit must not get there.
const ACCOUNT_HEADERS: [&str; 8] = [
    "x-webauth-user",
    "x-forwarded-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "remote-user",
    "x-remote-user",
    "x-auth-request-preferred-username",
    "x-forwarded-preferred-username",
];

/// Whether this header, in lower case, names an account.
#[must_use]
pub fn names_an_account(header: &str) -> bool {
    ACCOUNT_HEADERS.contains(&header)
}

/// The headers of a gate that is told of none.
#[must_use]
pub fn default_entries() -> Vec<Entry> {
    vec![
        entry("x-user-id", Source::Subject),
        entry("x-user-email", claim("email")),
        entry("x-user-name", claim("name")),
    ]
}

impl Preset {
    /// Its headers. `account` names the account, and is the subject or a verified email address; `fact` says where a fact
    /// of that name comes from.
    #[must_use]
    pub fn entries(self, account: &Source, fact: impl Fn(&str) -> Source) -> Vec<Entry> {
        match self {
            Self::Grafana => vec![
                entry("x-webauth-user", account.clone()),
                entry("x-webauth-email", Source::VerifiedEmail),
                entry("x-webauth-name", claim("name")),
                entry("x-webauth-role", fact("role")),
                entry("x-webauth-groups", fact("groups")),
            ],
            Self::Jenkins => vec![
                entry("x-forwarded-user", account.clone()),
                Entry { delimiter: b'|', ..entry("x-forwarded-groups", fact("groups")) },
            ],
            Self::OAuth2Proxy => vec![
                entry("x-auth-request-user", account.clone()),
                entry("x-auth-request-email", Source::VerifiedEmail),
                entry("x-auth-request-preferred-username", account.clone()),
                entry("x-auth-request-groups", fact("groups")),
            ],
        }
    }
}

fn entry(header: &str, source: Source) -> Entry {
    Entry { header: Rc::from(header), source, delimiter: b',' }
}

fn claim(name: &str) -> Source {
    ClaimPath::dotted(name).map_or(Source::Subject, Source::Claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_come_from_the_subject_or_a_verified_address_alone() {
        for preset in [Preset::Grafana, Preset::Jenkins, Preset::OAuth2Proxy] {
            for account in [Source::Subject, Source::VerifiedEmail] {
                let entries = preset.entries(&account, |name| Source::Field(ClaimPath::dotted(name).unwrap()));
                for entry in entries.iter().filter(|entry| names_an_account(&entry.header)) {
                    assert!(matches!(entry.source, Source::Subject | Source::VerifiedEmail), "{entry:?}");
                }
                assert!(entries.iter().any(|entry| entry.source == account), "{preset:?}");
            }
        }
    }

    #[test]
    fn every_name_is_lower_case() {
        let fact = |_: &str| Source::Subject;
        let of = |preset: Preset| preset.entries(&Source::Subject, fact);
        let all = [Preset::Grafana, Preset::Jenkins, Preset::OAuth2Proxy].into_iter().flat_map(of);
        assert!(all.chain(default_entries()).all(|entry| *entry.header == *entry.header.to_ascii_lowercase()));
    }
}
