//! What an Envoy says of the filter that it reads from a file.
//!
//! The counters of a refusal do not say what was refused, and `config_reload` counts refused ones too. `version_text` is
//! the version of the document that is in use, and of no other.

use std::time::Duration;

use ureq::Agent;

use crate::failure::Failure;

/// The admin page of an Envoy.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) url: String,
    filter: String,
    agent: Agent,
}

/// How things stand in an Envoy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct State {
    /// The version of the document in use; empty if there is none.
    pub(super) version: String,
    /// How many times it did not like it: no such module, a configuration that is refused, or nothing that it can read.
    pub(super) refusals: u64,
}

impl Admin {
    pub(super) fn new(url: &str, filter: &str) -> Result<Self, Failure> {
        if !url.starts_with("http://") {
            return Err(Failure::AdminUrl(url.to_owned()));
        }
        // Envoy compiles a module on the thread that answers here.
        let agent = Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build().new_agent();
        Ok(Self { url: url.trim_end_matches('/').to_owned(), filter: filter.to_owned(), agent })
    }

    /// How things stand now.
    pub(super) fn state(&self) -> Result<State, Failure> {
        let failed = |error: ureq::Error| Failure::Admin(self.url.clone(), error.to_string());
        let prefix = format!("extension_config_discovery.http_filter.{}.", self.filter);
        let page =
            self.agent.get(format!("{}/stats", self.url)).query("filter", format!("^{}", prefix.replace('.', r"\.")));
        let page = page.call().and_then(|mut answer| answer.body_mut().read_to_string()).map_err(failed)?;
        let values = || page.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(": "));
        let Some((_, version)) = values().find(|(name, _)| *name == "version_text") else {
            return Err(Failure::NoFilter(self.url.clone(), self.filter.clone()));
        };
        let refusals = values().filter(|(name, _)| ["update_rejected", "update_failure"].contains(name));
        let refusals = refusals.filter_map(|(_, count)| count.parse::<u64>().ok()).sum();
        Ok(State { version: version.trim_matches('"').to_owned(), refusals })
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
