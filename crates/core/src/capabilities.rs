//! What the proxy around the filter can do, as far as proxies differ.
//!
//! The configuration names the proxy; from here on only its capabilities are asked about. The gate decides what to do
//! by two of them, the adapter how to do it by all.

use serde::Deserialize;

/// A proxy, as the configuration names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// Envoy, and what is built on it.
    #[default]
    Envoy,
    /// nginx with `ngx_wasm_module`.
    Nginx,
}

/// What a proxy can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A callback can let go of, answer and cut any request. Else it can do so with its own alone: each request makes its
    /// own callout and waits for itself.
    pub acts_on_others: bool,
    /// What is changed in the headers of a request reaches the upstream. Else the proxy makes headers of variables, and
    /// the filter sets those.
    pub edits_headers: bool,
    /// The names of headers are handed over in lower case, however they came.
    pub lowers_names: bool,
    /// How many request headers the proxy shows as a whole; it may have more.
    pub shown_headers: usize,
    /// The number that a write to shared data gives to say that there must be no value yet.
    pub absent_cas: u32,
}

impl Host {
    /// The name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Nginx => "nginx",
        }
    }

    /// What it can do.
    #[must_use]
    pub fn capabilities(self) -> Capabilities {
        match self {
            Self::Envoy => Capabilities {
                acts_on_others: true,
                edits_headers: true,
                lowers_names: true,
                shown_headers: usize::MAX,
                // Zero would mean "always" here, and no value ever has this number.
                absent_cas: u32::MAX,
            },
            Self::Nginx => Capabilities {
                acts_on_others: false,
                edits_headers: false,
                lowers_names: false,
                // A hundred pairs, up to six of which it may have added itself.
                shown_headers: 94,
                absent_cas: 0,
            },
        }
    }
}
