//! A proxy-wasm host in wasmtime that keeps state, for tests.
