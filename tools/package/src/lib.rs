//! Writes what is shipped beside the filter: checksums, a bill of materials, and an OCI image.
//!
//! All of it follows from the module and the sources alone: no time, no path and no random number is in it, so that
//! whoever builds the same commit with the same compiler gets the same files.

#![forbid(unsafe_code)]

mod contents;
mod oci;
mod sbom;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jwe_gate_build_info::BuildInfo;
use sha2::{Digest, Sha256};

pub use contents::{Contents, Package};

/// The filter for Envoy, and for the proxies around it that load images.
const ENVOY: &str = "jwe_gate.wasm";

/// The same code with the callbacks that nginx needs. Nothing loads that from an image, so it is in none.
const NGINX: &str = "jwe_gate_nginx.wasm";

/// A file of the filter, and what there is to say about it.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: &'static str,
    pub(crate) wasm: Vec<u8>,
    /// What it says about itself.
    pub(crate) info: BuildInfo,
}

impl Module {
    fn read(folder: &Path, file: &'static str) -> Result<Self> {
        let wasm = fs::read(folder.join(file)).context(file)?;
        let info = BuildInfo::read(&wasm).context(file)?;
        Ok(Self { file, wasm, info })
    }
}

/// Reads both modules in `folder` and writes the files beside them.
///
/// # Errors
///
/// When a file cannot be read or written, a module does not say what it is, or they are not of one build.
pub fn write(folder: &Path, contents: &Contents) -> Result<()> {
    let modules = [Module::read(folder, ENVOY)?, Module::read(folder, NGINX)?];
    let [envoy, nginx] = &modules;
    ensure!(envoy.info == nginx.info, "{ENVOY} and {NGINX} are not of one build");

    for Module { file, wasm, .. } in &modules {
        fs::write(folder.join(format!("{file}.sha256")), format!("{}  {file}\n", sha256(wasm)))?;
    }
    fs::write(folder.join("jwe_gate.cdx.json"), lines(&sbom::document(&modules, contents))?)?;
    oci::write(&folder.join("oci"), envoy)
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// For people to read, with a line break at its end.
fn lines(json: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(json)? + "\n")
}
