//! `jwe-gate`, for the tests of this package: the same program, and never an older build than the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    jwe_gate_cli::main()
}
