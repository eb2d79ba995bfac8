//! Drops the exports of the artefact that the filter does not use, and writes into it what it is.
//!
//! A proxy calls each callback that it finds, so one that does nothing costs every request a trip into the sandbox. The filter
//! has callbacks that only nginx needs, and the Rust SDK, which the yardsticks are made with, exports all that there are. No
//! linker option takes them away: they are `#[no_mangle]`.
//! This step runs after linking: it drops the callbacks that are not kept, and then whatever code, data and
//! imports nothing else reaches.
//!
//! Version and commit are added here rather than compiled in, so that a commit alone compiles nothing anew.

mod arguments;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use walrus::{ModuleConfig, RawCustomSection, passes};

pub use arguments::{Arguments, UsageError};

/// Every callback of the ABI starts so. Other exports (memory, `_initialize`, the ABI version) are never dropped.
const CALLBACK_PREFIX: &str = "proxy_on_";

/// The host allocates guest memory through this export: it is no callback, whatever its name says.
const ALLOCATOR: &str = "proxy_on_memory_allocate";

/// What to keep of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The exports that must be in the result.
    pub keep: BTreeSet<String>,
    /// Whether to leave out the names of functions.
    pub strip: bool,
    /// Custom sections to add: text by name. One that is there already is replaced.
    pub sections: BTreeMap<String, String>,
}

/// Why a module could not be trimmed.
#[derive(Debug)]
pub enum TrimError {
    /// The input is not a module that validates.
    InvalidModule(String),
    /// The module does not export these names, though they were to be kept.
    Missing(Vec<String>),
}

impl fmt::Display for TrimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidModule(cause) => write!(f, "not a valid module: {cause}"),
            Self::Missing(names) => write!(f, "not exported, but to be kept: {}", names.join(", ")),
        }
    }
}

impl std::error::Error for TrimError {}

/// Returns the module without the callbacks that `plan` does not keep and without what only they reached.
///
/// # Errors
///
/// When the module does not validate, or lacks an export that is to be kept.
pub fn trim(wasm: &[u8], plan: &Plan) -> Result<Vec<u8>, TrimError> {
    let mut module = ModuleConfig::new()
        .generate_name_section(!plan.strip)
        .parse(wasm)
        .map_err(|error| TrimError::InvalidModule(format!("{error:#}")))?;

    let exported: BTreeSet<_> = module.exports.iter().map(|export| export.name.clone()).collect();
    let missing: Vec<_> = plan.keep.difference(&exported).cloned().collect();
    if !missing.is_empty() {
        return Err(TrimError::Missing(missing));
    }

    let unused: Vec<_> =
        module.exports.iter().filter(|export| plan.drops(&export.name)).map(walrus::Export::id).collect();
    for export in unused {
        module.exports.delete(export);
    }
    passes::gc::run(&mut module);
    for (name, text) in &plan.sections {
        module.customs.remove_raw(name);
        module.customs.add(RawCustomSection { name: name.clone(), data: text.clone().into_bytes() });
    }
    Ok(module.emit_wasm())
}

impl Plan {
    fn drops(&self, export: &str) -> bool {
        export.starts_with(CALLBACK_PREFIX) && export != ALLOCATOR && !self.keep.contains(export)
    }
}
