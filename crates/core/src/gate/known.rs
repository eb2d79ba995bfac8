//! The hot path: a token that L0 knows, behind a listener that strips.
//!
//! To read the whole header map costs more than all the rest. Where the listener has removed what clients forge, the
//! first `Cookie` line and the absence of `Authorization` are enough to admit a token that is known. A second `Cookie`
//! line, which no user agent sends (RFC 6265 section 5.4) and which has not been read, does not go on: the line that
//! was read takes the place of all. Every other request is read whole.

use std::rc::Rc;

use super::authenticate::Source;
use super::decide::{Pass, cookie_edit};
use super::event::{ContextId, Edits, HeaderEdit, RequestHeaders};
use super::read::is_issuer_path;
use super::{Effects, Gate};
use crate::config::Access;
use crate::cookie;
use crate::l0::Known;
use crate::metrics::Metric;
use crate::time::UnixMillis;
use crate::verdict::{Freshness, Verdict};

impl Gate {
    /// Admits a request whose token is known. Returns whether it has; if not, nothing has been done to it.
    pub(super) fn admit_known(
        &mut self,
        now: UnixMillis,
        context: ContextId,
        headers: &dyn RequestHeaders,
        effects: &mut Effects,
    ) -> bool {
        let policy = self.policy.clone();
        if !policy.listener_strips || policy.access == Access::Open {
            return false;
        }
        let Some(line) = headers.first("cookie") else { return false };
        let Some((known, edit)) = self.known_session(now, &line) else { return false };
        let shows_bypass = policy.bypass.as_ref().is_some_and(|bypass| headers.first(&bypass.header).is_some());
        if shows_bypass || headers.first("authorization").is_some() {
            return false;
        }
        let cookie = if edit == HeaderEdit::Keep { HeaderEdit::Replace(line) } else { edit };
        let issuer_path =
            self.following.is_some() && headers.first(":path").is_none_or(|path| is_issuer_path(&policy, &[path]));
        if self.permit(&known.session, issuer_path).is_err() {
            return false;
        }
        let accepted = Edits { cookie, ..Edits::default() };
        self.counters.count(Metric::L0Hit);
        self.finish(Pass { context, accepted, anonymous: None, issuer_path }, Ok(known), effects);
        true
    }

    /// What is known of the session in this line, if it may pass now without asking; and what becomes of the line.
    fn known_session(&mut self, now: UnixMillis, line: &[u8]) -> Option<(Rc<Known>, HeaderEdit)> {
        let policy = self.policy.clone();
        let lines = [line];
        let scan = cookie::scan(&lines, &policy.names, &policy.limits).ok()?;
        let credential = scan.credential()?;
        let key = self.l0.key(credential.name(), Source::Cookie as u8, credential.pieces());
        let known = self.l0.get(key)?;
        let judgement = &known.judgement;
        let passes = known.session.expires_at() > now
            && judgement.verdict == Verdict::Allow
            && judgement.limits.freshness(now) == Freshness::Fresh
            && !self.is_outdated(judgement, &known.session);
        let strangers = || cookie_edit(cookie::keep(&lines, &policy.names, Some(credential)));
        let edit = if scan.has_strangers() { strangers() } else { HeaderEdit::Keep };
        passes.then_some((known, edit))
    }
}
