//! `jwe-gate check`: is this configuration accepted?

use std::path::Path;
use std::process::ExitCode;

use jwe_gate_core::config::Config;

use crate::arguments::CheckArguments;
use crate::failure::Failure;

pub(crate) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let file = arguments.file.display();
    match read(&arguments.file) {
        Ok(config) => {
            for warning in &config.warnings {
                println!("{file}: warning: {warning}");
            }
            println!("{file}: accepted");
            Ok(ExitCode::SUCCESS)
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
