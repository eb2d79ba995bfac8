//! `make burst`: large bursts against the whole chain. Prints what was counted and how long it took; ends with status 1
//! when something was asked twice, failed, or reached somebody else.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use jwe_gate_test_harness::burst::{Plan, Report, Size, anonymous, content, fleet, many_users, one_user};

const SIZE: Size = Size { requests: 2_000, users: 1_000 };
const LAG: Duration = Duration::from_millis(50);

fn main() -> Result<ExitCode> {
    let program = std::env::args_os().nth(1).map(PathBuf::from).context("usage: burst <the lookup service>")?;
    let plan = Plan { lag: LAG, ..Plan::new(&program, "envoy/envoy.yaml", SIZE.users) };
    let cached = Plan::cached(&program, SIZE.users);
    let bursts: [(&str, &dyn Fn() -> Result<Report>); 5] = [
        ("many users", &|| many_users(&plan, SIZE)),
        ("one user", &|| one_user(&plan, SIZE.requests)),
        ("a fleet", &|| fleet(&Plan { gates: 3, replicas: 2, ..plan.clone() }, SIZE)),
        ("one page", &|| content(&cached, SIZE)),
        ("forwarded", &|| anonymous(&cached.clone().forwarding(), SIZE)),
    ];
    let mut is_good = true;
    for (name, burst) in bursts {
        let report = burst().with_context(|| name.to_owned())?;
        println!("{report}");
        is_good &= report.violations().is_empty();
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
