//! Asking the lookup service: what is queued travels together.

use jwe_gate_contract::{LookupQuestion, MAX_QUESTIONS, Question, VERSION};

use super::event::{Callout, Effect};
use super::waiting::LookupKey;
use super::{Effects, Gate};
use crate::mac::digest;
use crate::metrics::Metric;
use crate::policy::LookupPolicy;
use crate::time::UnixMillis;

/// How long after its timeout a callout is given up although the host has said nothing.
const GRACE: std::time::Duration = std::time::Duration::from_secs(1);

/// Values that are never used twice, and that nobody outside can tell before.
#[derive(Debug)]
pub(super) struct Nonces {
    seed: [u8; 16],
    used: u64,
}

impl Nonces {
    pub(super) fn new(seed: [u8; 16]) -> Self {
        Self { seed, used: 0 }
    }

    fn next(&mut self) -> String {
        self.used += 1;
        let bytes: [u8; 16] = digest("jwe-gate nonce", &[&self.seed, &self.used.to_le_bytes()]);
        format!("{:032x}", u128::from_be_bytes(bytes))
    }
}

impl Gate {
    /// Asks about every queued lookup. Only called where the host lets the root context make callouts.
    pub(super) fn ask(&mut self, now: UnixMillis, effects: &mut Effects) {
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else { return };
        loop {
            let keys = self.waiting.queued(MAX_QUESTIONS);
            if keys.is_empty() {
                return;
            }
            self.ask_about(now, lookup, keys, effects);
        }
    }

    /// Asks about these lookups in one callout.
    pub(super) fn ask_about(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        keys: Vec<LookupKey>,
        effects: &mut Effects,
    ) {
        self.counters.add(Metric::Questions, keys.len() as u64);
        let asked: Vec<_> = keys.into_iter().map(|key| (key, self.nonces.next())).collect();
        let question = LookupQuestion {
            version: VERSION,
            // The service answers or gives up before the proxy does.
            deadline_ms: u64::try_from(lookup.timeout.as_millis()).unwrap_or(u64::MAX) * 9 / 10,
            questions: asked
                .iter()
                .map(|(key, nonce)| Question {
                    realm: lookup.realm.to_string(),
                    kind: key.kind,
                    key: key.key.to_string(),
                    nonce: nonce.clone(),
                    issued_at_ms: self.waiting.issued_at(key).map(|issued_at| issued_at.0),
                    fields: Vec::new(),
                })
                .collect(),
        };
        // Strings and numbers alone: this cannot fail, and an empty body would be refused by the service.
        let body = serde_json::to_vec(&question).unwrap_or_default();
        let callout = self.waiting.asked(asked, now.after(lookup.timeout + GRACE));
        effects.push(Effect::Dispatch(Callout {
            callout,
            cluster: lookup.cluster.clone(),
            authority: lookup.authority.clone(),
            mac: lookup.secret.sign_question(&body),
            body,
            timeout: lookup.timeout,
        }));
    }
}
