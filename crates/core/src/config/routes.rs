//! What the operator wrote of routes, and what it means.

use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;

use super::error::{ConfigError, Fault};
use super::scalar::RawClaimPath;
use super::{Access, Checked, RoutesConfig, SessionConfig, StreamPolicy};
use crate::claims::{Condition, Test};
use crate::route::{HostPattern, Pattern, PatternError, Rule, Rules, Treatment, Unauthenticated};

/// One rule. What it leaves out it does not look at.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    /// What logs and `jwe-gate check` call the rule: letters, digits, `-`, `_` and `.`. Its number, from 0, if not given.
    #[cfg_attr(feature = "schema", schemars(length(max = 64), pattern("^[A-Za-z0-9_.-]+$")))]
    name: Option<String>,
    /// Hosts without ports, any of which will do; `*.example.com` stands for every host below `example.com`. Any host if
    /// not given.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    hosts: Option<Vec<String>>,
    /// Methods in upper case, any of which will do. Any method if not given.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), inner(pattern("^[A-Z-]+$"))))]
    methods: Option<Vec<String>>,
    /// Paths, any of which will do: `{"prefix": "/admin"}`. Any path if not given.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    paths: Option<Vec<RawPath>>,
    /// Who may pass.
    access: Access,
    /// The names of the sessions that are accepted; another one is worth as much as none. All of them if not given.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    sessions: Option<Vec<String>>,
    /// What the session or its user must be, all of it; else 403. Only with the access `required`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    conditions: Option<Vec<RawCondition>>,
    /// What becomes of a request without an accepted session. Only with the access `required`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "reply")))]
    on_unauthenticated: Option<Unauthenticated>,
    /// Whether pages of other sites may use a user's cookie for unsafe methods and for `WebSocket`s.
    #[serde(default)]
    allow_cross_site: bool,
    /// Whether CORS preflights pass without a session.
    #[serde(default)]
    allow_preflight: bool,
    /// Whether what should be refused is let through, and counted: for trying a rule out.
    #[serde(default)]
    report: bool,
    /// What becomes of open replies when their token expires; as `revocation.stream_policy` says if not given. Only with
    /// `revocation`.
    stream_policy: Option<StreamPolicy>,
}

/// A pattern for paths.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPath {
    /// This path.
    Exact(#[cfg_attr(feature = "schema", schemars(pattern("^/")))] String),
    /// This path and everything below it, by whole segments.
    Prefix(#[cfg_attr(feature = "schema", schemars(pattern("^/")))] String),
    /// `*` stands for any part of a segment, `**` for any number of segments.
    Glob(#[cfg_attr(feature = "schema", schemars(pattern("^/")))] String),
}

/// A condition: one of `claim` and `field`, and one of `equals`, `one_of` and `contains`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    /// A claim of the token; this or `field`.
    claim: Option<RawClaimPath>,
    /// A field of the user, one of `lookup.fields`; this or `claim`.
    field: Option<RawClaimPath>,
    /// This value; one of `equals`, `one_of` and `contains`. Types count: `"1"` is not `1`.
    equals: Option<Value>,
    /// One of these values.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    one_of: Option<Vec<Value>>,
    /// A list with this value in it. A text is no list.
    contains: Option<Value>,
}

/// The most rules, and the most different conditions: each has one bit of a word.
const MAX: usize = 64;

/// What is said of all rules.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    /// All rules report.
    pub(super) report: bool,
    /// What becomes of streams where a rule does not say it; nothing where none are watched.
    pub(super) streams: Option<StreamPolicy>,
}

/// Checks the rules. `fields` are those that the lookup is asked for.
pub(super) fn routes(
    raw: Option<Vec<RawRoute>>,
    sessions: &[SessionConfig],
    fields: &[String],
    defaults: Defaults,
) -> Checked<RoutesConfig> {
    let Some(raw) = raw else {
        let treatment = Treatment {
            streams: defaults.streams.unwrap_or_default(),
            report: defaults.report,
            ..Treatment::default()
        };
        let everything = Rule { treatment, ..Rule::default() };
        return Ok(RoutesConfig {
            rules: Rules::new(vec![everything]),
            names: vec![Rc::from("0")],
            ..RoutesConfig::default()
        });
    };
    if raw.len() > MAX {
        return Err(ConfigError::new("routes", Fault::TooMany { max: MAX }));
    }
    let mut reader = Reader { sessions, fields, defaults, claims: Vec::new(), user: Vec::new() };
    let (mut rules, mut names) = (Vec::new(), Vec::new());
    let last = raw.len().checked_sub(1);
    for (index, route) in raw.into_iter().enumerate() {
        let path = format!("routes[{index}]");
        let name = route.name.clone().unwrap_or_else(|| index.to_string());
        let rule = reader.rule(&path, route)?;
        // A rule behind one that matches everything would never be looked at, and what no rule matches is nobody's.
        if rule.matches_everything() != (Some(index) == last) {
            return Err(ConfigError::new(path, Fault::LastRoute));
        }
        names.push(Rc::from(name));
        rules.push(rule);
    }
    if rules.is_empty() {
        return Err(ConfigError::new("routes", Fault::Empty));
    }
    Ok(RoutesConfig { rules: Rules::new(rules), names, claims: reader.claims, fields: reader.user })
}

struct Reader<'a> {
    sessions: &'a [SessionConfig],
    fields: &'a [String],
    defaults: Defaults,
    /// The conditions so far, each at the place of its bit: one of claims or one of the user's fields.
    claims: Vec<Option<Condition>>,
    user: Vec<Option<Condition>>,
}

impl Reader<'_> {
    fn rule(&mut self, path: &str, raw: RawRoute) -> Checked<Rule> {
        let required = raw.access == Access::Required;
        let only_required =
            [("on_unauthenticated", raw.on_unauthenticated.is_some()), ("conditions", raw.conditions.is_some())];
        if let Some((field, _)) = only_required.iter().find(|(_, set)| *set && !required) {
            return Err(ConfigError::new(format!("{path}.{field}"), Fault::OnlyRequired));
        }
        if raw.stream_policy.is_some() && self.defaults.streams.is_none() {
            return Err(ConfigError::new(format!("{path}.stream_policy"), Fault::NeedsRevocation));
        }
        if raw.name.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(ConfigError::new(format!("{path}.name"), Fault::Name));
        }
        Ok(Rule {
            hosts: each(&format!("{path}.hosts"), raw.hosts, |host| HostPattern::new(host).ok_or(Fault::Host))?,
            methods: each(&format!("{path}.methods"), raw.methods, |method| method_of(method).ok_or(Fault::Method))?,
            paths: each(&format!("{path}.paths"), raw.paths, |path| pattern(path).map_err(Fault::Pattern))?,
            treatment: Treatment {
                rule: 0,
                access: raw.access,
                sessions: self.accepted(&format!("{path}.sessions"), raw.sessions)?,
                conditions: self.conditions(&format!("{path}.conditions"), raw.conditions)?,
                unauthenticated: raw.on_unauthenticated.unwrap_or_default(),
                allow_cross_site: raw.allow_cross_site,
                allow_preflight: raw.allow_preflight,
                streams: raw.stream_policy.or(self.defaults.streams).unwrap_or_default(),
                report: raw.report || self.defaults.report,
            },
        })
    }

    /// The bits of these sessions.
    fn accepted(&self, path: &str, raw: Option<Vec<String>>) -> Checked<u64> {
        if raw.is_none() {
            return Ok(u64::MAX);
        }
        let bits = each(path, raw, |name| {
            let named = self.sessions.iter().enumerate().filter(|(_, session)| session.name == *name);
            let bits: u64 = named.map(|(index, _)| 1 << index).sum();
            if bits == 0 { Err(Fault::UnknownSession) } else { Ok(bits) }
        })?;
        Ok(bits.into_iter().fold(0, |all, bits| all | bits))
    }

    /// The bits of these conditions.
    fn conditions(&mut self, path: &str, raw: Option<Vec<RawCondition>>) -> Checked<u64> {
        let conditions = each(path, raw, |condition| self.condition(condition))?;
        let mut bits = 0;
        for (is_claim, condition) in conditions {
            let known = if is_claim { &self.claims } else { &self.user };
            let bit = known.iter().position(|known| known.as_ref() == Some(&condition)).unwrap_or(known.len());
            if bit >= MAX {
                return Err(ConfigError::new(path, Fault::TooMany { max: MAX }));
            }
            if bit == known.len() {
                let (claim, field) = if is_claim { (Some(condition), None) } else { (None, Some(condition)) };
                self.claims.push(claim);
                self.user.push(field);
            }
            bits |= 1 << bit;
        }
        Ok(bits)
    }

    /// The condition, and whether it is one on a claim.
    fn condition(&self, raw: &RawCondition) -> Result<(bool, Condition), Fault> {
        let test = match (&raw.equals, &raw.one_of, &raw.contains) {
            (Some(value), None, None) => Test::Equals(value.clone()),
            (None, Some(values), None) if !values.is_empty() => Test::OneOf(values.clone()),
            (None, None, Some(value)) => Test::Contains(value.clone()),
            _ => return Err(Fault::Test),
        };
        match (&raw.claim, &raw.field) {
            (Some(RawClaimPath(path)), None) => Ok((true, Condition { path: path.clone(), test })),
            (None, Some(RawClaimPath(path))) if self.fields.iter().any(|field| field == path.root()) => {
                Ok((false, Condition { path: path.clone(), test }))
            }
            (None, Some(_)) => Err(Fault::UnknownField),
            _ => Err(Fault::ClaimOrField),
        }
    }
}

/// Reads each entry of a list, which must not be empty if it is there.
fn each<R, T>(path: &str, raw: Option<Vec<R>>, read: impl Fn(&R) -> Result<T, Fault>) -> Checked<Vec<T>> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    if raw.is_empty() {
        return Err(ConfigError::new(path, Fault::Empty));
    }
    let entries = raw.iter().enumerate();
    entries.map(|(index, raw)| read(raw).map_err(|fault| ConfigError::new(format!("{path}[{index}]"), fault))).collect()
}

fn pattern(raw: &RawPath) -> Result<Pattern, PatternError> {
    match raw {
        RawPath::Exact(path) => Pattern::exact(path),
        RawPath::Prefix(path) => Pattern::prefix(path),
        RawPath::Glob(glob) => Pattern::glob(glob),
    }
}

/// Methods are upper case in practice; one that is not is a mistake.
fn method_of(method: &str) -> Option<String> {
    let token = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    (!method.is_empty() && method.bytes().all(token)).then(|| method.to_owned())
}

/// It stands in logs and metrics.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}
