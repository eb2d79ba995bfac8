//! `jwe-gate-package FOLDER < MESSAGES`: writes what is shipped beside `FOLDER/jwe_gate.wasm`, see the library.
//!
//! The messages are those of the build (`cargo build --message-format json`): they say what went into the module.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, io};

use anyhow::{Context, Result};
use jwe_gate_package::Contents;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jwe-gate-package: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).context("usage: jwe-gate-package FOLDER < MESSAGES")?;
    let contents = Contents::of_build(io::stdin().lock())?;
    jwe_gate_package::write(&folder, &contents)
}
