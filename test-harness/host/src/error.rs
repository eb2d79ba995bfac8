//! What can go wrong with a module and its configuration, as opposed to what a filter does wrong at run time.

use std::fmt;

use crate::report::Trap;

/// The module cannot be used at all.
#[derive(Debug)]
pub enum HostError {
    /// wasmtime could not be set up on this machine.
    Engine(String),
    /// The module does not validate, or does not compile.
    Module(String),
}

impl HostError {
    pub(crate) fn engine(error: impl fmt::Debug) -> Self {
        Self::Engine(format!("{error:?}"))
    }

    pub(crate) fn module(error: impl fmt::Debug) -> Self {
        Self::Module(format!("{error:?}"))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(cause) => write!(f, "wasmtime does not work here: {cause}"),
            Self::Module(cause) => write!(f, "not a usable module: {cause}"),
        }
    }
}

impl std::error::Error for HostError {}

/// A configuration was not taken, and what the filter logged meanwhile.
#[derive(Debug)]
pub struct Rejected {
    /// Why.
    pub cause: RejectionCause,
    /// The lines that the filter logged while it was asked.
    pub log: Vec<String>,
}

/// Why a configuration was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum RejectionCause {
    /// `proxy_on_configure` answered no.
    ConfigurationRefused,
    /// It is longer than what nginx takes as an argument.
    ConfigurationTooLong,
    /// The module could not be instantiated, such as for an import of an unknown kind.
    NotInstantiated(String),
    /// A callback trapped.
    Trapped(Trap),
    /// `proxy_on_vm_start` answered no.
    VmStartRefused,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}; logged: {:?}", self.cause, self.log)
    }
}

impl std::error::Error for Rejected {}
