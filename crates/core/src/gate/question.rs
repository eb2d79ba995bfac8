//! Asking the lookup service: what is queued travels together.

use jwe_gate_contract::{LOOKUP_PATH, LookupQuestion, MAX_QUESTIONS, Question, VERSION};

use super::event::{Callout, Effect};
use super::waiting::Asked;
use super::{Effects, Gate};
use crate::metrics::Metric;
use crate::policy::LookupPolicy;
use crate::shared::SharedData;
use crate::time::UnixMillis;

/// How long after its timeout a callout is given up although the host has said nothing.
pub(super) const GRACE: std::time::Duration = std::time::Duration::from_secs(1);

impl Gate {
    /// Asks about every queued lookup that no other worker is asking about. Only called where the host lets the root
    /// context make callouts.
    pub(super) fn ask(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else { return };
        loop {
            let keys = self.waiting.queued(MAX_QUESTIONS);
            if keys.is_empty() {
                return;
            }
            let led = self.led(now, lookup, keys, shared, effects).into_iter();
            let asked: Vec<_> = led.map(|(key, lead)| Asked { key, nonce: self.nonces.text(), lead }).collect();
            if !asked.is_empty() {
                self.dispatch(now, lookup, asked, effects);
            }
        }
    }

    /// Asks these questions in one callout.
    pub(super) fn dispatch(
        &mut self,
        now: UnixMillis,
        lookup: &LookupPolicy,
        asked: Vec<Asked>,
        effects: &mut Effects,
    ) {
        self.counters.add(Metric::Questions, asked.len() as u64);
        let question = LookupQuestion {
            version: VERSION,
            // The service answers or gives up before the proxy does.
            deadline_ms: u64::try_from(lookup.timeout.as_millis()).unwrap_or(u64::MAX) * 9 / 10,
            questions: asked
                .iter()
                .map(|Asked { key, nonce, .. }| Question {
                    realm: lookup.realm.to_string(),
                    kind: key.kind,
                    key: key.key.to_string(),
                    nonce: nonce.clone(),
                    issued_at_ms: self.waiting.issued_at(key).map(|issued_at| issued_at.0),
                    fields: lookup.fields.clone(),
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
            target: LOOKUP_PATH.into(),
            mac: lookup.secret.sign_question(&body),
            body: Some(body),
            timeout: lookup.timeout,
        }));
    }
}
