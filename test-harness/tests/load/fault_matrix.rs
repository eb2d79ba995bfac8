//! Every part that can fail, in every way, while users in every state ask: what they get is what the rule says, and what
//! `docs/FAULTS.md` says.

use std::path::Path;
use std::thread;

use jwe_gate_test_harness::faults::column::{self, Row};
use jwe_gate_test_harness::faults::{Part, State, expected, table};

#[test]
fn in_every_outage_users_get_what_the_rule_and_the_documentation_say() {
    let columns = Part::ALL.map(|part| thread::spawn(move || column::run(program(), part)));
    let rows: Vec<_> = columns.into_iter().flat_map(|column| column.join().expect("no answer was wrong")).collect();
    let wrong: Vec<_> = rows.iter().filter(|row| row.outcomes != State::ALL.map(|state| rule(row, state))).collect();
    assert!(wrong.is_empty(), "not as the rule says: {wrong:#?}");
    table::settle(&rows);
}

fn rule(row: &Row, state: State) -> jwe_gate_test_harness::faults::Outcome {
    expected(row.part, row.fault, state)
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lookup-service"))
}
