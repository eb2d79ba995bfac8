//! What can be wrong with a configuration. All of it is the operator's to mend.

use std::fmt;

use crate::route::PatternError;

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
    /// Only where revocations are followed are streams watched.
    NeedsRevocation,
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
    /// A path that can be read in one way alone is needed.
    PlainPath,
    /// A well-known or default secret, such as `your_secret`.
    PlaceholderSecret,
    /// A header that names an account says something that users can edit.
    Account,
    /// Not exactly one of `claim` and `field`.
    ClaimOrField,
    /// Not usable as a `Content-Type`.
    ContentType,
    /// Two entries set the same header.
    DuplicateHeader,
    /// Not usable as a host.
    Host,
    /// Not the last rule, and matching everything; or the last one, and not matching everything.
    LastRoute,
    /// A header that is not written in lower case.
    LowerCase,
    /// Not a method.
    Method,
    /// Not usable as a name in logs.
    Name,
    /// Not a private key.
    NotAKey,
    /// A claim that the gate sets itself.
    OwnClaim,
    /// A path that the gate answers already.
    OwnPath,
    /// A sign-in page needs a public URL.
    NoPublicUrl,
    /// A rule sends browsers to a sign-in page, and none is configured.
    NoSignIn,
    /// Not an origin.
    Origin,
    /// Not a pattern for paths.
    Pattern(PatternError),
    /// A place that no template has.
    Place(String),
    /// Not a sign-in page.
    SignIn,
    /// Who is sent to the sign-in page would be sent there again.
    SignInLoop,
    /// Not exactly one of the tests.
    Test,
    /// More bytes than this.
    TooLarge {
        /// The most that are accepted.
        max: usize,
    },
    /// Not one of `lookup.fields`.
    UnknownField,
    /// Not the name of a session.
    UnknownSession,
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
            Self::Place(name) => return write!(f, "has no place `{name}`; there are `status`, `error` and `sign_in`"),
            Self::TooLarge { max } => return write!(f, "must have at most {max} bytes"),
            Self::TooMany { max } => return write!(f, "at most {max} are accepted"),
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
            Self::NeedsRevocation => "needs `revocation`: without it no stream is watched",
            Self::NotInThisProxy => "is not possible in this proxy, where a callback acts on its own request alone",
            Self::OwnCluster => "must be another cluster than that of `lookup`: its answers are held back",
            Self::OnlyRequired => "has a meaning only with the access `required`",
            Self::Path => "must begin with a slash",
            Self::PlainPath => {
                "must be a path that begins with a slash, without query, escapes, `;` and empty segments"
            }
            Self::PlaceholderSecret => "is a placeholder and not a secret",
            Self::Account => {
                "names an account, so it must come from `sub` or `verified_email`: users can edit the rest"
            }
            Self::ClaimOrField => "must have one of `claim` and `field`",
            Self::ContentType => "must be a media type in printable ASCII",
            Self::DuplicateHeader => "sets a header that is set already",
            Self::Host => "must be a host without a port, or `*.` and one",
            Self::LastRoute => {
                "the last rule, and no other, must match every request (no `hosts`, `methods` or `paths`)"
            }
            Self::LowerCase => "must be in lower case",
            Self::Method => "is not a method in upper case",
            Self::Name => "must be 1 to 64 letters, digits, `-`, `_` and `.`",
            Self::NotAKey => "is not a private key, such as `jwe-gate identity-key` prints",
            Self::OwnClaim => "is a claim that the gate sets itself",
            Self::OwnPath => "is the path that signs out",
            Self::NoPublicUrl => "is needed for `sign_in`: the way back is made of it",
            Self::NoSignIn => "needs `sign_in`",
            Self::Origin => "must be an origin, such as https://www.example.com",
            Self::Pattern(error) => return error.fmt(f),
            Self::SignIn => "must be a path, or a URL with http or https, without spaces and quotes",
            Self::SignInLoop => "falls under a rule that requires a session, so nobody could sign in",
            Self::Test => "must have one of `equals`, `one_of` and `contains`, and nothing empty",
            Self::UnknownField => "is not one of `lookup.fields`",
            Self::UnknownSession => "is not the name of a session",
            Self::Switch => "must be `true` or `false`",
            Self::Version => "this build reads version 1",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ConfigError {}
