//! The document that Envoy reads the filter from: module and configuration under one version.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::module::hex;
use crate::check::Checked;

/// What Envoy is to load, and the name under which it says that it has.
#[derive(Debug)]
pub(super) struct Document {
    /// A digest of the rest. Empty where somebody else has written the document.
    pub(super) version: String,
    pub(super) text: String,
}

impl Document {
    /// The filter as `envoy/envoy.yaml` has it, but for the place of the module.
    pub(super) fn new(filter: &str, module: &Path, configuration: &Checked) -> Self {
        // The names that the configuration code asked for here, and all that it may ask for with other values.
        let asked = configuration.variables.iter().map(String::as_str);
        let variables: BTreeSet<&str> = VARIABLES.into_iter().chain(asked).collect();
        let names = variables.iter().copied().collect::<Vec<_>>().join(" ");
        let plugin = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": filter,
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    // Shared data belongs to it: with another one every verdict would be asked for again.
                    "vm_id": "jwe_gate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module } },
                    "environment_variables": { "host_env_keys": variables },
                    // The filter does not read it. Before 1.39, Envoy goes by this and the code when it looks for a VM that it
                    // can take again, and not by the variables: one with other variables would be taken as it is.
                    "configuration": { "@type": TEXT, "value": names },
                },
                "configuration": {
                    "@type": TEXT,
                    "value": configuration.text,
                },
            },
        });
        let mut document = json!({ "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": filter,
            "typed_config": plugin,
        }] });
        let mut version = hex(&Sha256::digest(document.to_string()));
        version.truncate(VERSION_DIGITS);
        if let Some(document) = document.as_object_mut() {
            document.insert("version_info".to_owned(), version.clone().into());
        }
        Self { version, text: format!("{document:#}\n") }
    }

    /// A document that was written before.
    pub(super) fn read(text: String) -> Self {
        let document: Option<Value> = serde_json::from_str(&text).ok();
        let version = document.as_ref().and_then(|document| document.get("version_info")?.as_str());
        Self { version: version.unwrap_or_default().to_owned(), text }
    }

    /// The file of the module that it names.
    pub(super) fn module(&self) -> Option<String> {
        let document: Value = serde_json::from_str(&self.text).ok()?;
        let module = document.pointer("/resources/0/typed_config/config/vm_config/code/local/filename")?;
        Some(module.as_str()?.to_owned())
    }
}

const VERSION_DIGITS: usize = 16;

const TEXT: &str = "type.googleapis.com/google.protobuf.StringValue";

/// The variables of `envoy/envoy.yaml`.
const VARIABLES: [&str; 13] = [
    "ALLOW_BYPASS",
    "AUTH_SECRET",
    "AUTH_SECRET_1",
    "AUTH_SECRET_2",
    "AUTH_SECRET_3",
    "BYPASS_HEADER",
    "BYPASS_HEADER_VALUE",
    "ENABLE_DB_CHECK",
    "JWE_GATE_LOOKUP_SECRET",
    "JWT_SALT",
    "JWT_SECRET",
    "NEXTAUTH_SECRET",
    "REDIS_CACHE_TTL",
];
