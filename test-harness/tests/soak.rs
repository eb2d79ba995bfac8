//! A short soak; `make soak` runs a long one.

use std::path::Path;
use std::time::Duration;

use jwe_gate_test_harness::soak;

#[test]
fn while_parts_fail_at_random_nobody_passes_who_must_not_and_no_request_is_lost_that_is_promised() {
    let program = Path::new(env!("CARGO_BIN_EXE_lookup-service"));
    let report = soak::run(program, Duration::from_secs(20), SEED);
    println!("{report}");
    assert!(report.is_good(), "{report}");
}

const SEED: u64 = 20;
