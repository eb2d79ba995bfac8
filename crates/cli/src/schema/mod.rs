//! `jwe-gate schema`: what may stand in a configuration, for editors and for people.

mod reference;

use std::io::Write;
use std::process::ExitCode;

use jwe_gate_core::config;

use crate::arguments::SchemaArguments;
use crate::failure::Failure;

pub(crate) fn run(arguments: &SchemaArguments) -> Result<ExitCode, Failure> {
    let schema = config::schema();
    let text = if arguments.reference { reference::markdown(&schema) } else { format!("{schema:#}\n") };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::io("output"))?;
    Ok(ExitCode::SUCCESS)
}
