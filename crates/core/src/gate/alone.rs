//! Where a callback can act on its own request alone, and where headers are made of variables.
//!
//! Each request is then its own lookup: it asks at once, from its own callback, and its own callback hears the answer.
//! Ticks ask only for what nobody waits for.

use super::event::{Edits, HeaderEdit, RequestHeaders};
use super::read::Request;
use super::waiting::{Asked, LookupKey};
use super::{ContextId, Effects, Gate};
use crate::time::UnixMillis;

impl Gate {
    /// The lookup of a request: one for all who ask the same, where that is possible.
    pub(super) fn lookup_of(&self, context: ContextId, key: LookupKey) -> LookupKey {
        if self.policy.capabilities.acts_on_others { key } else { LookupKey { alone: Some(context), ..key } }
    }

    /// Asks at once for a request that can be let go of by nobody else.
    pub(super) fn ask_alone(&mut self, now: UnixMillis, key: LookupKey, effects: &mut Effects) {
        let policy = self.policy.clone();
        if let Some(lookup) = &policy.lookup {
            let asked = Asked { key, nonce: self.nonces.text(), lead: None };
            self.dispatch(now, lookup, vec![asked], effects);
        }
    }

    /// Whether the headers of a request can be dealt with at all: the host shows all of them, and those that are to go
    /// can be removed. A header of just that name is no matter, since the proxy makes it anew.
    pub(super) fn is_manageable(&self, headers: &dyn RequestHeaders, request: &Request<'_>) -> bool {
        let is_overwritten = |name: &Vec<u8>| self.policy.guarded.names(name);
        headers.are_complete() && (self.policy.capabilities.edits_headers || request.forged.iter().all(is_overwritten))
    }

    /// Says of the credentials that stay what they are, where the proxy has to be told: what it is not told is not sent.
    pub(super) fn spelt_out(&self, edits: Edits, request: &Request<'_>) -> Edits {
        if self.policy.capabilities.edits_headers {
            return edits;
        }
        Edits {
            cookie: spell_out(edits.cookie, &request.cookies, b"; "),
            authorization: spell_out(edits.authorization, &request.authorization, b","),
            identity: Some(self.policy.nobody.clone()),
            ..edits
        }
    }
}

fn spell_out(edit: HeaderEdit, lines: &[&[u8]], between: &[u8]) -> HeaderEdit {
    match edit {
        HeaderEdit::Keep if lines.is_empty() => HeaderEdit::Remove,
        HeaderEdit::Keep => HeaderEdit::Replace(lines.join(between)),
        other => other,
    }
}
