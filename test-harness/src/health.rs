//! Whether a filter in a real Envoy has been well all along.

use jwe_gate_test_parts::envoy::Envoy;

/// Fails if a VM has trapped, was started anew, or a request was failed for one. To be asked after one more good request:
/// Envoy counts a trap when the next request comes.
pub fn check(envoy: &Envoy) {
    let stats = envoy.stats().expect("the admin page answers");
    let told = stats.keys().filter(|name| name.contains("vm_reload")).count();
    assert!(told > 0, "Envoy counts under other names now: {:?}", stats.keys());
    for (name, value) in &stats {
        let failed = ["vm_reload", "wasm_fail_stream", "runtime_error"].iter().any(|what| name.contains(what));
        assert!(!failed || *value == 0, "{name}: {value}");
    }
    let log = envoy.log();
    assert!(!log.contains("Function: proxy_on") && !log.contains("panicked"), "a callback trapped");
}
