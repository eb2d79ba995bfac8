//! What can be wrong with a configuration. All of it is the operator's to mend.

use std::fmt;

/// A configuration that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field, such as `sessions[0].cookie`; a dot alone for the whole document, `env.NAME` for a variable.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The JSON does not have the right form; the parser's words. Values of secrets are never among them.
    Form(String),
    /// Not a name or an address with a port, which nginx needs.
    Address,
    /// The same cookie, profile and salt stand in two entries.
    Duplicate,
    /// A list or a text that must not be empty is.
    Empty,
    /// With revocations every session must have an end.
    Endless,
    /// The variable that is referred to is not set.
    EnvironmentUnset,
    /// Not usable as the name of a user's field.
    FieldName,
    /// The field is asked for already.
    FieldTwice,
    /// Not usable as a header name (RFC 9110 section 5.1).
    HeaderName,
    /// A header that the gate or the proxy needs for itself.
    HeaderReserved,
    /// Not usable as a cookie name (RFC 6265 section 4.1.1).
    CookieName,
    /// No secret is configured, and none of the variables for one is set.
    NoSecret,
    /// Revocations need `lookup`: its secret and its realm.
    NeedsLookup,
    /// The field says what happens to requests without a session, and the rule lets them pass.
    OnlyRequired,
    /// The number is outside these bounds.
    OutOfBounds {
        /// The smallest that is accepted.
        min: u64,
        /// The largest that is accepted.
        max: u64,
    },
    /// The feed must not share the cluster of lookups.
    OwnCluster,
    /// The proxy cannot do what this asks for.
    NotInThisProxy,
    /// An issuer path must begin with a slash.
    Path,
    /// A well-known or default secret, such as `your_secret`.
    PlaceholderSecret,
    /// Exactly one route rule is supported.
    Routes,
    /// The secret has too few bytes.
    ShortSecret {
        /// The fewest that are accepted.
        min: usize,
    },
    /// Neither `true` nor `false`.
    Switch,
    /// The list is longer than this.
    TooMany {
        /// The most entries that are accepted.
        max: usize,
    },
    /// More than nginx takes as an argument.
    TooLong {
        /// The most bytes that are accepted.
        max: usize,
    },
    /// A version of the format that this build does not know.
    Version,
}

impl ConfigError {
    pub(super) fn new(path: impl Into<String>, fault: Fault) -> Self {
        Self { path: path.into(), fault }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Form(words) => words,
            Self::OutOfBounds { min, max } => return write!(f, "must be a whole number from {min} to {max}"),
            Self::ShortSecret { min } => return write!(f, "must have at least {min} bytes"),
            Self::TooMany { max } => return write!(f, "is one more than the {max} that are accepted"),
            Self::TooLong { max } => return write!(f, "nginx takes a configuration of at most {max} bytes"),
            Self::Address => "must be `host:port` in nginx, which has no clusters",
            Self::CookieName => "is not a cookie name",
            Self::Duplicate => "repeats the profile, cookie and salt of an earlier entry",
            Self::Empty => "must not be empty",
            Self::Endless => {
                "must not be `off` with `revocation`: a revocation is remembered for as long as sessions last"
            }
            Self::EnvironmentUnset => {
                "the environment variable is not set (in Envoy: vm_config.environment_variables.host_env_keys)"
            }
            Self::FieldName => "is not a field name: 1 to 63 letters, digits and `_`, no digit first",
            Self::FieldTwice => "stands in the list already",
            Self::HeaderName => "is not a header name",
            Self::HeaderReserved => "is a header that the proxy or the gate needs for itself",
            Self::NoSecret => "no secret: set `secrets`, or one of AUTH_SECRET, NEXTAUTH_SECRET, JWT_SECRET",
            Self::NeedsLookup => "needs `lookup`: its secret and its realm",
            Self::NotInThisProxy => "is not possible in this proxy, where a callback acts on its own request alone",
            Self::OwnCluster => "must be another cluster than that of `lookup`: its answers are held back",
            Self::OnlyRequired => "has a meaning only with the access `required`",
            Self::Path => "must begin with a slash",
            Self::PlaceholderSecret => "is a placeholder and not a secret",
            Self::Routes => "must hold exactly one rule",
            Self::Switch => "must be `true` or `false`",
            Self::Version => "this build reads version 1",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ConfigError {}
