//! `jwe-gate check`: is this configuration accepted, and what would it do to a request?

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use jwe_gate_core::capabilities::Host;
use jwe_gate_core::config::Config;

use crate::arguments::CheckArguments;
use crate::explain;
use crate::failure::Failure;

pub(crate) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let file = arguments.file.display();
    match read(&arguments.file) {
        Ok(config) if arguments.proxy.is_some_and(|host| Host::from(host) != config.host) => {
            println!("{file}: host: the configuration is for `{}`", config.host.as_str());
            Ok(ExitCode::FAILURE)
        }
        Ok(config) => {
            for warning in &config.warnings {
                println!("{file}: warning: {warning}");
            }
            println!("{file}: accepted");
            match &arguments.request.path {
                Some(path) => explain::run(config, path, &arguments.request),
                None => Ok(ExitCode::SUCCESS),
            }
        }
        Err(Failure::Config(_, error)) => {
            println!("{file}: {error}");
            Ok(ExitCode::FAILURE)
        }
        Err(failure) => Err(failure),
    }
}

/// Reads a configuration as the filter would, with this process's environment.
pub(crate) fn read(path: &Path) -> Result<Config, Failure> {
    let json = std::fs::read(path).map_err(Failure::io(path))?;
    Config::from_json(&json, &|name| std::env::var(name).ok()).map_err(|error| Failure::Config(path.to_owned(), error))
}

/// A configuration that is accepted, as it was written.
pub(crate) struct Checked {
    pub(crate) text: String,
    pub(crate) warnings: Vec<String>,
    /// The variables that were asked for, set or not.
    pub(crate) variables: BTreeSet<String>,
}

/// Reads a configuration as [`read`] does, for handing it on.
pub(crate) fn text(path: &Path) -> Result<Checked, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::io(path))?;
    let asked = RefCell::new(BTreeSet::new());
    let environment = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        std::env::var(name).ok()
    };
    let config = Config::from_json(text.as_bytes(), &environment);
    let config = config.map_err(|error| Failure::Config(path.to_owned(), error))?;
    let warnings = config.warnings.iter().map(ToString::to_string).collect();
    Ok(Checked { text, warnings, variables: asked.into_inner() })
}
