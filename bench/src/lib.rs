//! What the benches share: where the modules are, tokens, and a lookup service that knows everybody.
pub mod lookup;
pub mod tokens;

use std::path::PathBuf;

use anyhow::{Result, ensure};

/// A module that `make` has built, by its name in `dist/`.
///
/// # Errors
/// When it is not there.
pub fn module(name: &str) -> Result<PathBuf> {
    let file = jwe_gate_test_parts::envoy::repository().join("dist").join(name);
    ensure!(file.is_file(), "{} is missing: `make bench` and `make memory` build it first", file.display());
    Ok(file)
}
