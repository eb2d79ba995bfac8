//! `make fleet`: `fleet PROGRAM [ROUNDS]`, where `PROGRAM` is the lookup service. Users sign out of a fleet under load, one in
//! each of 200 rounds. Prints how soon they are out everywhere; ends with status 1 when that was later than promised, or
//! somebody else was touched.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jwe_gate_test_harness::fleet::rounds;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().map(PathBuf::from).context("usage: fleet <the lookup service> [ROUNDS]")?;
    let number = arguments.next().map_or(Some(200), |text| text.to_str()?.parse().ok());
    let number = number.context("the rounds are a whole number")?;
    println!("{}", rounds::plan(number));
    let report = rounds::run(&program, number)?;
    println!("{report}");
    Ok(if report.complaints().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
