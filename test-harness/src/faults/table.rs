//! The table of faults in `docs/FAULTS.md`, between two marks. All around it is written by hand.

use std::fs;
use std::path::PathBuf;

use jwe_gate_test_parts::envoy::repository;

use super::column::Row;

/// Compares the table with what was seen, or writes it there if the variable `WRITE_FAULTS` is set.
///
/// # Panics
/// When they differ, or the marks are missing.
pub fn settle(rows: &[Row]) {
    let (file, seen) = (file(), render(rows));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{}: no {BEGIN}", file.display()));
    let (table, after) = rest.split_once(END).unwrap_or_else(|| panic!("{}: no {END}", file.display()));
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, [before, BEGIN, &seen, END, after].concat()).expect("the file can be written");
    } else {
        assert!(table == seen, "docs/FAULTS.md says\n{table}\nand seen was\n{seen}\n`make faults` writes it anew");
    }
}

fn render(rows: &[Row]) -> String {
    let head = "\n| what fails | how | known | unknown | stale | removed |\n|---|---|---|---|---|---|\n".to_owned();
    rows.iter().fold(head, |text, Row { part, fault, outcomes }| {
        let outcomes = outcomes.map(super::Outcome::name).join(" | ");
        text + &format!("| {} | {} | {outcomes} |\n", part.name(), fault.name())
    })
}

fn file() -> PathBuf {
    repository().join("docs/FAULTS.md")
}

const WRITE: &str = "WRITE_FAULTS";
const BEGIN: &str = "<!-- table: written by `make faults` -->\n";
const END: &str = "<!-- end of the table -->\n";
