//! Why a command could not do its work.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jwe_gate_core::config::ConfigError;
use jwe_gate_core::jwe::DeriveError;
use jwe_gate_core::jwe::seal::SealError;

/// Why a command could not do its work. Leads to exit status 2.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An Envoy's admin page does not answer as it should.
    Admin(String, String),
    /// An admin page is not named by an address like `http://127.0.0.1:9901`.
    AdminUrl(String),
    /// Somebody else is changing the directory.
    Busy(PathBuf),
    /// The file holds no certificate.
    Certificate(PathBuf),
    /// There is no checksum of the module.
    Checksum(PathBuf),
    /// A `--claim` is not `name=value`.
    Claim(String),
    /// The configuration is refused.
    Config(PathBuf, ConfigError),
    /// A cookie cannot have this name.
    CookieName(String),
    /// No keys can be made of the secret.
    Derive(DeriveError),
    /// A variable is not set, or not Unicode.
    Environment(String),
    /// A `--field` is not `name=value`, or not one of `lookup.fields`.
    Field(String),
    /// A `--header` is not `name: value`.
    Header,
    /// A file, or standard input or output, cannot be used.
    Io(PathBuf, io::Error),
    /// An Envoy has no such filter that it reads from a file.
    NoFilter(String, String),
    /// The configuration has no lookups.
    NoLookup(PathBuf),
    /// With `--first`, though there is a document.
    NotFirst(PathBuf),
    /// No such document has been kept.
    NothingKept(PathBuf),
    /// The operating system has no random numbers to give.
    Randomness,
    /// No token can be made that way.
    Seal(SealError),
    /// The file with the secret is not UTF-8.
    SecretEncoding(PathBuf),
    /// The file with the users is not UTF-8.
    UserEncoding(PathBuf),
}

impl Failure {
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io(path.as_ref().to_owned(), error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(url, error) => write!(f, "{url}: does not answer: {error}"),
            Self::AdminUrl(url) => write!(f, "--admin {url}: must be like http://127.0.0.1:9901"),
            Self::Busy(path) => write!(f, "{}: somebody else is changing it", path.display()),
            Self::Certificate(path) => write!(f, "{}: holds no certificate in PEM", path.display()),
            Self::Checksum(path) => write!(f, "{}: holds no SHA-256 of the module", path.display()),
            Self::Claim(name) => write!(f, "--claim {name}: must be name=value, the value in JSON"),
            Self::Config(path, error) => write!(f, "{}: {error}", path.display()),
            Self::CookieName(name) => write!(f, "--cookie {name}: is not a cookie name"),
            Self::Derive(error) => error.fmt(f),
            Self::Environment(name) => write!(f, "the environment variable {name} is not set, or is not Unicode"),
            Self::Field(name) => write!(f, "--field {name}: must be name=value, the name being one of `lookup.fields`"),
            Self::Header => f.write_str("--header: must be `name: value`"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NoFilter(url, name) => write!(f, "{url}: has no filter {name} that comes by discovery"),
            Self::NoLookup(path) => write!(f, "{}: has no lookup, so there is nothing to warm", path.display()),
            Self::NotFirst(path) => write!(f, "{}: is there already; name the Envoys by --admin", path.display()),
            Self::NothingKept(path) => write!(f, "{}: holds no such version", path.display()),
            Self::Randomness => f.write_str("the operating system has no random numbers to give"),
            Self::Seal(error) => error.fmt(f),
            Self::SecretEncoding(path) | Self::UserEncoding(path) => write!(f, "{}: is not UTF-8", path.display()),
        }
    }
}
