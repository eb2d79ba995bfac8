//! Compiling modules, once: per process in memory, and per machine in cargo's target directory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs, process};

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Module, OptLevel};

use crate::HostError;

static ENGINE: OnceLock<Engine> = OnceLock::new();
static COMPILED: OnceLock<Mutex<HashMap<Vec<u8>, Module>>> = OnceLock::new();

/// The engine that all worlds of a process share, so that they can share compiled modules.
pub(crate) fn engine() -> Result<&'static Engine, HostError> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let mut config = Config::new();
    // Fuel ends a callback that loops, at the same instruction every time.
    config.consume_fuel(true).cranelift_opt_level(OptLevel::Speed);
    let engine = Engine::new(&config).map_err(HostError::engine)?;
    Ok(ENGINE.get_or_init(|| engine))
}

/// Compiles a module (binary or text), or takes it from a cache.
pub(crate) fn compile(wasm: &[u8]) -> Result<Module, HostError> {
    let digest = Sha256::digest(wasm).to_vec();
    let compiled = COMPILED.get_or_init(Mutex::default);
    let mut compiled = compiled.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = compiled.get(&digest) {
        return Ok(module.clone());
    }
    let module = load_or_compile(engine()?, wasm, &digest)?;
    compiled.insert(digest, module.clone());
    Ok(module)
}

fn load_or_compile(engine: &Engine, wasm: &[u8], digest: &[u8]) -> Result<Module, HostError> {
    let cached = cache_directory().map(|directory| directory.join(file_name(engine, digest)));
    if let Some(module) = cached.as_deref().and_then(|file| load(engine, file)) {
        return Ok(module);
    }
    let module = Module::new(engine, wasm).map_err(HostError::module)?;
    if let Some(file) = cached {
        store(&module, &file);
    }
    Ok(module)
}

/// The file is named after the module, the version of wasmtime and the settings.
fn file_name(engine: &Engine, digest: &[u8]) -> String {
    let mut settings = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut settings);
    let digest = digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{digest}-{:016x}.cwasm", settings.finish())
}

/// Cargo puts test binaries into the folder `deps` of the profile's own. Elsewhere nothing is cached.
fn cache_directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let profile = program.parent().filter(|directory| directory.ends_with("deps"))?.parent()?;
    Some(profile.join("jwe-gate-test-host"))
}

#[expect(unsafe_code, reason = "wasmtime must be told that the file is its own")]
fn load(engine: &Engine, file: &Path) -> Option<Module> {
    let compiled = fs::read(file).ok()?;
    // SAFETY: the file lies beside the very program that runs, in a directory that only whoever builds that program
    // writes to, and `store` is what wrote it. wasmtime itself refuses other versions and settings.
    unsafe { Module::deserialize(engine, compiled) }.ok()
}

/// Failing to store costs time in the next run and nothing else. Renaming keeps parallel runs from seeing half a file.
fn store(module: &Module, file: &Path) {
    let (Ok(compiled), Some(directory)) = (module.serialize(), file.parent()) else { return };
    let draft = file.with_extension(format!("{}.draft", process::id()));
    let stored = fs::create_dir_all(directory).and_then(|()| fs::write(&draft, compiled));
    if stored.and_then(|()| fs::rename(&draft, file)).is_err() {
        drop(fs::remove_file(&draft));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = br#"(module (func (export "answer") (result i32) i32.const 42))"#;

    #[test]
    fn a_stored_module_is_loaded_again_and_anything_else_is_not() {
        let engine = engine().unwrap();
        let file = env::temp_dir().join(format!("jwe-gate-test-host-{}", process::id())).join("answer.cwasm");
        assert!(load(engine, &file).is_none());
        store(&Module::new(engine, ANSWER).unwrap(), &file);
        let loaded = load(engine, &file);
        fs::write(&file, b"not a module").unwrap();
        let spoilt = load(engine, &file);
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
        assert!(loaded.is_some_and(|module| module.get_export("answer").is_some()));
        assert!(spoilt.is_none());
    }

    #[test]
    fn test_binaries_keep_their_cache_beside_themselves() {
        let directory = cache_directory().unwrap();
        assert!(env::current_exe().unwrap().starts_with(directory.parent().unwrap()));
    }

    #[test]
    fn modules_have_different_files() {
        let engine = engine().unwrap();
        assert_ne!(file_name(engine, &[1; 32]), file_name(engine, &[2; 32]));
        assert_eq!(file_name(engine, &[1; 32]), file_name(engine, &[1; 32]));
    }
}
