//! What a module imports and exports, for tests that list both.

use std::collections::BTreeSet;

use crate::{HostError, engine};

/// The names that a module exports.
///
/// # Errors
///
/// When the module does not compile.
pub fn exports(wasm: &[u8]) -> Result<BTreeSet<String>, HostError> {
    Ok(engine::compile(wasm)?.exports().map(|export| export.name().to_owned()).collect())
}

/// What a module imports, as `module.name`.
///
/// # Errors
///
/// When the module does not compile.
pub fn imports(wasm: &[u8]) -> Result<BTreeSet<String>, HostError> {
    Ok(engine::compile(wasm)?.imports().map(|import| format!("{}.{}", import.module(), import.name())).collect())
}
