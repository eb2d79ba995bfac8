//! `jwe-gate-trim IN.wasm OUT.wasm --keep NAME[,NAME...] [--strip] [--section NAME=TEXT...]`: the step after linking, see the library.

use std::error::Error;
use std::process::ExitCode;
use std::{env, fs};

use jwe_gate_trim::{Arguments, trim};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jwe-gate-trim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Arguments { input, output, plan } = Arguments::parse(env::args().skip(1))?;
    let wasm = fs::read(&input).map_err(|error| format!("{}: {error}", input.display()))?;
    let trimmed = trim(&wasm, &plan)?;
    fs::write(&output, &trimmed).map_err(|error| format!("{}: {error}", output.display()))?;
    println!("{}: {} bytes, {} before", output.display(), trimmed.len(), wasm.len());
    Ok(())
}
