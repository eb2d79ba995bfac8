//! The path on which load balancers and probes ask whether sessions can be admitted, as far as the feed is concerned.
//!
//! A fresh proxy refuses every session until it has read the feed once, and with `"on_stale_feed": "deny"` again when what it
//! knows is too old. Who asks here first sends it no requests before it can admit them.

use super::decide::Pass;
use super::following::Following;
use super::read::Request;
use super::reply::Reply;
use super::sign_out::answer;
use super::{Effects, Gate};
use crate::config::OnStaleFeed;
use crate::policy::RevocationPolicy;
use crate::time::UnixMillis;
use crate::verdict::Denial;

impl Gate {
    /// Says whether it is so, if that is what the request asks; nothing is counted. Otherwise it comes back.
    pub(super) fn tell_readiness(&self, pass: Pass, request: &Request<'_>, effects: &mut Effects) -> Option<Pass> {
        let (Some(policy), Some(following)) = (&self.policy.revocation, &self.following) else { return Some(pass) };
        if !policy.ready_path.as_deref().is_some_and(|path| request.is_for(path)) {
            return Some(pass);
        }
        let reply = match policy.trusts(following, self.now) {
            Ok(()) => Reply::ready(),
            Err(denial) => Reply::to(denial, &self.policy.replies, self.policy.debug_header),
        };
        answer(pass.context, reply, effects);
        None
    }
}

impl RevocationPolicy {
    /// Whether sessions may be admitted on the strength of what is known.
    pub(super) fn trusts(&self, following: &Following, now: UnixMillis) -> Result<(), Denial> {
        let age = following.age_ms(now).ok_or(Denial::NoFeed)?;
        let is_stale = u128::from(age) > self.max_age.as_millis();
        if is_stale && self.on_stale == OnStaleFeed::Deny { Err(Denial::StaleFeed) } else { Ok(()) }
    }
}
