//! The service's settings: what was given, as text, and what it means.
//!
//! Everything comes from environment variables, among them those of the proxy that this replaces; a few have a flag,
//! which wins. Variables are read through a function, so that tests need not touch the process's environment. An empty
//! variable counts as absent.

mod checked;
mod error;
mod flags;
mod postgres;
mod redis;
mod revocations;
mod selection;

pub use checked::{LogLevel, Settings, Users};
pub use error::{Problem, SettingsError};
pub use flags::Flags;
pub use postgres::PostgresSettings;
pub use redis::RedisSettings;
pub use revocations::RevocationSettings;

/// Environment variables, by name.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process.
#[must_use]
pub fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
