//! `jwe-gate-lookup`: answers a proxy's questions about who is known.

use std::process::ExitCode;

fn main() -> ExitCode {
    jwe_gate_lookup::program::main()
}
