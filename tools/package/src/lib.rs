//! Writes what is shipped beside the filter: a checksum, a bill of materials, and an OCI image.
//!
//! All of it follows from the module and the sources alone: no time, no path and no random number is in it, so that
//! whoever builds the same commit with the same compiler gets the same files.

#![forbid(unsafe_code)]

mod contents;
mod oci;
mod sbom;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jwe_gate_build_info::BuildInfo;
use sha2::{Digest, Sha256};

pub use contents::{Contents, Package};

const MODULE: &str = "jwe_gate.wasm";

/// The filter, and what there is to say about it.
#[derive(Debug)]
pub struct Module {
    /// The bytes.
    pub wasm: Vec<u8>,
    /// What it says about itself.
    pub info: BuildInfo,
}

/// Reads `folder/jwe_gate.wasm` and writes the files beside it.
///
/// # Errors
///
/// When a file cannot be read or written, or the module does not say what it is.
pub fn write(folder: &Path, contents: &Contents) -> Result<()> {
    let file = folder.join(MODULE);
    let wasm = fs::read(&file).with_context(|| file.display().to_string())?;
    let info = BuildInfo::read(&wasm).with_context(|| file.display().to_string())?;
    let module = Module { wasm, info };

    let checksum = format!("{}  {MODULE}\n", sha256(&module.wasm));
    fs::write(folder.join("jwe_gate.wasm.sha256"), checksum)?;
    fs::write(folder.join("jwe_gate.cdx.json"), lines(&sbom::document(&module, contents))?)?;
    oci::write(&folder.join("oci"), &module)
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// For people to read, with a line break at its end.
fn lines(json: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(json)? + "\n")
}
