//! The artefact for nginx in wasmtime, in a host that behaves like nginx under the shipped configuration.

use jwe_gate_test_host::Profile;
use serde_json::{Value, json};

use super::{Driver, wasm};
use crate::lookup::FakeLookup;
use crate::nginx_conf;
use crate::scenario::{Setup, set};

/// Where the lookup service of a scenario listens; callouts go to addresses.
pub(super) const LOOKUP: &str = "127.0.0.1:9090";

/// Where nothing listens.
const NOWHERE: &str = "127.0.0.1:9";

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    let conf = nginx_conf::profile(&nginx_conf::shipped());
    wasm::start_in(Profile::Nginx(conf), setup, lookup)
}

/// A gate's configuration as nginx needs it.
#[must_use]
pub fn gate(mut gate: Value) -> Value {
    set(&mut gate, "/host", json!("nginx"));
    let cluster = gate.pointer("/lookup/cluster").and_then(Value::as_str).filter(|cluster| !cluster.contains(':'));
    if let Some(cluster) = cluster {
        let address = if cluster == "lookup" { LOOKUP } else { NOWHERE };
        set(&mut gate, "/lookup/cluster", json!(address));
    }
    gate
}
