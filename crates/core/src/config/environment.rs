//! The variables of the environment that the filter reads, those of the system that it replaces among them.

use super::error::{ConfigError, Fault};
use crate::secret::Secret;

/// Looks a variable up. Tests pass a table.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The secrets in the order in which Auth.js ranks them, then the one of the system that is replaced.
const SECRETS: [&str; 6] =
    ["AUTH_SECRET_3", "AUTH_SECRET_2", "AUTH_SECRET_1", "AUTH_SECRET", "NEXTAUTH_SECRET", "JWT_SECRET"];

/// The value of a variable; one that is empty counts as unset, as container runtimes pass unset ones on like that.
pub(super) fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// Every secret that the environment holds, each once, with the name of its variable.
pub(super) fn secrets(environment: Environment<'_>) -> Vec<(&'static str, Secret)> {
    let mut found: Vec<(&'static str, Secret)> = Vec::new();
    for name in SECRETS {
        let Some(value) = variable(environment, name) else { continue };
        let secret = Secret::new(value);
        if !found.iter().any(|(_, known)| known.matches(secret.expose())) {
            found.push((name, secret));
        }
    }
    found
}

/// A variable that is `true` or `false`.
pub(super) fn switch(environment: Environment<'_>, name: &str) -> Result<Option<bool>, ConfigError> {
    match variable(environment, name).as_deref() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(ConfigError::new(format!("env.{name}"), Fault::Switch)),
    }
}

/// A variable that is a whole number.
pub(super) fn number(environment: Environment<'_>, name: &str, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
    let Some(text) = variable(environment, name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
        _ => Err(ConfigError::new(format!("env.{name}"), Fault::OutOfBounds { min, max })),
    }
}
