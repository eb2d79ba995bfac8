//! Rules, and what a request that falls under one gets.

use std::borrow::Cow;

use serde::Deserialize;

use super::pattern::loose;
use super::{Host, HostPattern, Path, Pattern, RequestLine};
use crate::config::{Access, StreamPolicy};

/// One rule. What it leaves empty it does not look at.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// The hosts.
    pub hosts: Vec<HostPattern>,
    /// The methods.
    pub methods: Vec<String>,
    /// The paths.
    pub paths: Vec<Pattern>,
    /// What becomes of the request.
    pub treatment: Treatment,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// Which rule it was, counted from zero; the first of several.
    pub rule: usize,
    /// Who may pass.
    pub access: Access,
    /// Which of the configured sessions are accepted, one bit for each.
    pub sessions: u64,
    /// Which of the configuration's conditions the session has to meet, one bit for each.
    pub conditions: u64,
    /// What a request without a session gets.
    pub unauthenticated: Unauthenticated,
    /// Whether another site may use the user's cookies for unsafe methods and upgrades.
    pub allow_cross_site: bool,
    /// Whether CORS preflights pass without a session.
    pub allow_preflight: bool,
    /// What becomes of open replies when their token expires.
    pub streams: StreamPolicy,
    /// Whether requests that should be refused are let through, and counted.
    pub report: bool,
}

/// What becomes of a request that needs a session and has none. From the mildest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unauthenticated {
    /// It goes on to the application, without an identity and without any session, out of reach of caches.
    Forward,
    /// A browser that navigates is sent to the sign-in page, all others get 401.
    Redirect,
    /// It is answered with 401.
    #[default]
    Reply,
}

impl Default for Treatment {
    /// The strictest.
    fn default() -> Self {
        Self {
            rule: 0,
            access: Access::Required,
            sessions: u64::MAX,
            conditions: 0,
            unauthenticated: Unauthenticated::Reply,
            allow_cross_site: false,
            allow_preflight: false,
            streams: StreamPolicy::Cut,
            report: false,
        }
    }
}

impl Treatment {
    /// Whether this kind of session is accepted, counted from zero as the configuration lists them.
    #[must_use]
    pub fn accepts(&self, kind: usize) -> bool {
        self.sessions & (1 << kind) != 0
    }

    /// What satisfies both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            rule: self.rule.min(other.rule),
            access: self.access.max(other.access),
            sessions: self.sessions & other.sessions,
            conditions: self.conditions | other.conditions,
            // Where everybody passes nothing is said of who has no session.
            unauthenticated: match (self.access == Access::Required, other.access == Access::Required) {
                (true, false) => self.unauthenticated,
                (false, true) => other.unauthenticated,
                _ => self.unauthenticated.max(other.unauthenticated),
            },
            allow_cross_site: self.allow_cross_site && other.allow_cross_site,
            allow_preflight: self.allow_preflight && other.allow_preflight,
            streams: self.streams.max(other.streams),
            report: self.report && other.report,
        }
    }
}

/// The rules of a configuration, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    ordered: Vec<Rule>,
    /// Whether any of them looks at hosts, and at paths: what none looks at is not read.
    hosts: bool,
    paths: bool,
}

/// What rules look at in a request.
struct Parts<'a> {
    method: Option<&'a str>,
    host: Host<'a>,
    path: &'a Path<'a>,
    /// The path as the most careless router reads it.
    loose: Cow<'a, str>,
}

/// Whether what a rule says of one part of a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does, or the rule does not look at the part.
    Yes,
    /// It does not.
    No,
    /// Nobody can tell: the part can be read in more than one way.
    Perhaps,
}

/// How far a rule holds for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// For the host.
    pub host: Holds,
    /// For the method.
    pub method: Holds,
    /// For the path.
    pub path: Holds,
}

impl Match {
    /// For the request as a whole.
    #[must_use]
    pub fn whole(self) -> Holds {
        self.host.and(|| self.method).and(|| self.path)
    }
}

impl Rules {
    /// Rules in the order in which they are tried; their numbers are given here.
    #[must_use]
    pub fn new(mut rules: Vec<Rule>) -> Self {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.treatment.rule = index;
        }
        let hosts = rules.iter().any(|rule| !rule.hosts.is_empty());
        let paths = rules.iter().any(|rule| !rule.paths.is_empty());
        Self { ordered: rules, hosts, paths }
    }

    /// What becomes of a request: what the first rule says that matches it. Where it cannot be told whether a rule
    /// matches, what satisfies that rule as well. A request that no rule matches needs a session and gets 401
    /// without; a checked configuration ends with a rule that matches everything.
    #[must_use]
    pub fn treatment(&self, line: &RequestLine<'_>) -> Treatment {
        let path = self.path(line);
        let parts = self.parts(line, &path);
        let mut treatment: Option<Treatment> = None;
        for rule in &self.ordered {
            let holds = rule.holds(&parts);
            if holds == Holds::No {
                continue;
            }
            treatment = Some(treatment.map_or(rule.treatment, |stricter| stricter.strictest(rule.treatment)));
            if holds == Holds::Yes {
                break;
            }
        }
        treatment.unwrap_or_default()
    }

    /// How far each rule holds for a request, up to the first that does.
    #[must_use]
    pub fn explain(&self, line: &RequestLine<'_>) -> Vec<Match> {
        let path = self.path(line);
        let parts = self.parts(line, &path);
        let mut tried = Vec::new();
        for rule in &self.ordered {
            let matched = rule.explain(&parts);
            tried.push(matched);
            if matched.whole() == Holds::Yes {
                break;
            }
        }
        tried
    }

    fn path<'a>(&self, line: &RequestLine<'a>) -> Path<'a> {
        if self.paths { line.path() } else { Path::Ambiguous }
    }

    fn parts<'a>(&self, line: &RequestLine<'a>, path: &'a Path<'_>) -> Parts<'a> {
        Parts {
            method: line.method,
            host: if self.hosts { line.host() } else { Host::Ambiguous },
            loose: match path {
                Path::Plain(path) => loose(path),
                Path::Ambiguous => Cow::Borrowed(""),
            },
            path,
        }
    }

    /// The rules, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.ordered
    }

    /// Whether every request falls under a rule.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.ordered.iter().any(Rule::matches_everything)
    }
}

impl Rule {
    /// Whether it looks at nothing.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        self.hosts.is_empty() && self.methods.is_empty() && self.paths.is_empty()
    }

    fn explain(&self, parts: &Parts<'_>) -> Match {
        Match {
            host: self.holds_for_host(&parts.host),
            method: self.holds_for_method(parts.method),
            path: self.holds_for_path(parts.path, &parts.loose),
        }
    }

    /// Whether it holds for the request as a whole. Most rules do not hold for most requests, so what is soonest seen is
    /// looked at first.
    fn holds(&self, parts: &Parts<'_>) -> Holds {
        self.holds_for_method(parts.method)
            .and(|| self.holds_for_path(parts.path, &parts.loose))
            .and(|| self.holds_for_host(&parts.host))
    }

    fn holds_for_host(&self, host: &Host<'_>) -> Holds {
        match host {
            _ if self.hosts.is_empty() => Holds::Yes,
            Host::Named(host) => Holds::from(self.hosts.iter().any(|pattern| pattern.matches(host))),
            Host::Ambiguous => Holds::Perhaps,
        }
    }

    /// Methods are case-sensitive (RFC 9110 section 9.1), but not everywhere.
    fn holds_for_method(&self, method: Option<&str>) -> Holds {
        match method {
            _ if self.methods.is_empty() => Holds::Yes,
            Some(method) if self.methods.iter().any(|ours| ours == method) => Holds::Yes,
            Some(method) if self.methods.iter().any(|ours| ours.eq_ignore_ascii_case(method)) => Holds::Perhaps,
            Some(_) => Holds::No,
            None => Holds::Perhaps,
        }
    }

    /// Routers may ignore case and a slash at the end, so a path that is almost the rule's is perhaps the rule's.
    fn holds_for_path(&self, path: &Path<'_>, loose: &str) -> Holds {
        match path {
            _ if self.paths.is_empty() => Holds::Yes,
            // What matches to the letter almost matches, too.
            Path::Plain(path) if !self.paths.iter().any(|pattern| pattern.almost_matches(path, loose)) => Holds::No,
            Path::Plain(path) if self.paths.iter().any(|pattern| pattern.matches(path)) => Holds::Yes,
            Path::Plain(_) | Path::Ambiguous => Holds::Perhaps,
        }
    }
}

impl Holds {
    /// What this and that come to. That is only looked at if it counts.
    fn and(self, that: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => that(),
            Self::Perhaps if that() == Self::No => Self::No,
            Self::Perhaps => Self::Perhaps,
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}
