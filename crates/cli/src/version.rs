//! `jwe-gate version`: what is this program, or this module?

use std::path::Path;
use std::process::ExitCode;

use jwe_gate_build_info::BuildInfo;
use sha2::{Digest, Sha256};

use crate::arguments::VersionArguments;
use crate::deploy::hex;
use crate::failure::Failure;

pub(crate) fn run(arguments: &VersionArguments) -> Result<ExitCode, Failure> {
    let Some(file) = &arguments.file else {
        println!("version: {}", env!("CARGO_PKG_VERSION"));
        return Ok(ExitCode::SUCCESS);
    };
    of_module(file)
}

fn of_module(file: &Path) -> Result<ExitCode, Failure> {
    let wasm = std::fs::read(file).map_err(Failure::io(file))?;
    match BuildInfo::read(&wasm) {
        Ok(info) => {
            println!("version: {}", info.version);
            println!("commit: {}", info.commit.as_deref().unwrap_or("unknown"));
            println!("tools: {}", if info.tools.is_empty() { "unknown".into() } else { info.tools.join(", ") });
            println!("sha256: {}", hex(&Sha256::digest(&wasm)));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            println!("{}: {error}", file.display());
            Ok(ExitCode::FAILURE)
        }
    }
}
