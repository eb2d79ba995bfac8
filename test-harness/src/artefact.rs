//! The artefact under test: what `make build` left in `dist/`, never something that this crate built itself.

use std::path::PathBuf;

use jwe_gate_test_parts::envoy::repository;

/// Where the artefact lies.
#[must_use]
pub fn path() -> PathBuf {
    let path = std::env::var_os("JWE_GATE_WASM").map_or_else(|| repository().join("dist/jwe_gate.wasm"), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make build`", path.display());
    path
}

/// Where the artefact for nginx lies.
#[must_use]
pub fn path_for_nginx() -> PathBuf {
    let path = path().with_file_name("jwe_gate_nginx.wasm");
    assert!(path.exists(), "{} is missing: run `make build`", path.display());
    path
}

/// The bytes of the artefact for nginx: the same code, with the callbacks that nginx needs.
#[must_use]
pub fn bytes_for_nginx() -> Vec<u8> {
    std::fs::read(path_for_nginx()).expect("the artefact for nginx can be read")
}

/// The bytes of the artefact.
#[must_use]
pub fn bytes() -> Vec<u8> {
    std::fs::read(path()).expect("the artefact can be read")
}
