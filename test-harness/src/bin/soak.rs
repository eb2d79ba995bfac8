//! `make soak`: `soak [SECONDS [SEED]]`, 300 seconds unless told otherwise.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use jwe_gate_test_harness::soak;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(300), |text| text.parse()).context("seconds are a whole number")?;
    let seed = arguments.next().map(|text| text.parse()).transpose().context("a seed is a whole number")?;
    let seed = seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()));
    let program = std::env::current_exe()?.with_file_name("lookup-service");
    ensure!(program.is_file(), "{} is missing: `make soak` builds it", program.display());
    println!("{seconds} seconds, seed {seed}");
    let report = soak::run(&program, Duration::from_secs(seconds), seed);
    println!("{report}");
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
