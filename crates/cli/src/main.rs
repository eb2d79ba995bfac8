//! `jwe-gate`: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    jwe_gate_cli::main()
}
