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
    /// A file, or standard input or output, cannot be used.
    Io(PathBuf, io::Error),
    /// The operating system has no random numbers to give.
    Randomness,
    /// No token can be made that way.
    Seal(SealError),
    /// The file with the secret is not UTF-8.
    SecretEncoding(PathBuf),
}

impl Failure {
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io(path.as_ref().to_owned(), error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(name) => write!(f, "--claim {name}: must be name=value, the value in JSON"),
            Self::Config(path, error) => write!(f, "{}: {error}", path.display()),
            Self::CookieName(name) => write!(f, "--cookie {name}: is not a cookie name"),
            Self::Derive(error) => error.fmt(f),
            Self::Environment(name) => write!(f, "the environment variable {name} is not set, or is not Unicode"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Randomness => f.write_str("the operating system has no random numbers to give"),
            Self::Seal(error) => error.fmt(f),
            Self::SecretEncoding(path) => write!(f, "{}: is not UTF-8", path.display()),
        }
    }
}
