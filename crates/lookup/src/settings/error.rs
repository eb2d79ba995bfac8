//! What is wrong with a setting, and with which. No message repeats a value that may hold a secret.

use std::fmt;

/// A variable and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It says the same thing as another variable, and one of them must be wrong.
    Both {
        /// The other.
        other: &'static str,
    },
    /// The file cannot be read.
    File {
        /// Its path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// It is not given.
    Missing {
        /// What to do about it.
        remedy: &'static str,
    },
    /// It needs another that is not given.
    Needs {
        /// The other.
        other: &'static str,
    },
    /// It may not be what it is.
    Unfit {
        /// What it should be.
        expected: &'static str,
    },
    /// It may not be what it is, and what it is tells no secret.
    Value {
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl Problem {
    /// As the problem of `variable`.
    #[must_use]
    pub fn of(self, variable: &'static str) -> SettingsError {
        SettingsError { variable, problem: self }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.variable)?;
        match &self.problem {
            Problem::Both { other } => write!(f, "given together with {other}; give one of them"),
            Problem::File { path, reason } => write!(f, "cannot read {path:?}: {reason}"),
            Problem::Missing { remedy } => write!(f, "not given; {remedy}"),
            Problem::Needs { other } => write!(f, "given without {other}"),
            Problem::Unfit { expected } => write!(f, "not {expected}"),
            Problem::Value { value, expected } => write!(f, "{value:?} is not {expected}"),
        }
    }
}

impl std::error::Error for SettingsError {}
