//! The way of nearly every request of a site in use: nothing in it is out of the ordinary, its page has been asked for
//! before, and its cookies have been shown before.
//!
//! What becomes of a request follows from its request line, its cookies, and what is special about it. Where nothing is
//! special, the first two are remembered, each by itself, and what they lead to is not worked out again. What may change
//! with time is looked at each time: how old the judgement is, and what has been revoked. Wherever anything is not as it
//! should be the request goes the long way, which decides; so this one only ever admits, and never refuses.
//!
//! Between two requests a proxy does so much else that neither code nor data of a filter are in the processor's caches any
//! more, and each page of code that is touched costs more than what is done there. So this way is one piece of code.

use std::rc::Rc;

use super::Gate;
use super::annotate::Layer;
use super::decide::Pass;
use super::event::{Annotations, ContextId, Edits, Effect, RequestHeaders};
use super::read::{Guarded, Request};
use crate::config::Access;
use crate::headers::{Field, HeaderMap};
use crate::identity::Identity;
use crate::l0::Known;
use crate::policy::Policy;
use crate::route::{PlainLine, Treatment};
use crate::time::UnixMillis;
use crate::verdict::Freshness;

/// What a request goes on with that was admitted at once. Its headers stay as they are, and these come to them.
#[derive(Debug)]
pub struct Admission {
    /// Who the user is.
    pub identity: Rc<Identity>,
    /// The identity once more, signed: the header, and the token.
    pub proof: Option<(Rc<str>, Rc<str>)>,
    /// What access logs are told.
    pub annotations: Annotations,
}

impl Admission {
    /// The same as an effect, for hosts that play effects alone.
    #[must_use]
    pub fn into_effect(self, context: ContextId) -> Effect {
        let Self { identity, proof, annotations } = self;
        let edits = Edits { identity: Some(identity), proof, ..Edits::default() };
        Effect::Forward { context, edits, annotations }
    }
}

/// A request with nothing special about it: nothing but the request line and one line of cookies can matter.
struct Plain<'a> {
    line: PlainLine<'a>,
    cookie: &'a [u8],
}

impl<'a> Plain<'a> {
    #[inline]
    fn read(guarded: &Guarded, map: &'a HeaderMap) -> Option<Self> {
        let (mut method, mut authority) = (Field::Absent, Field::Absent);
        let (mut path, mut cookie) = (Field::Absent, Field::Absent);
        for (name, value) in map.lines() {
            match name {
                b"cookie" => cookie.add(value),
                b":method" => method.add(value),
                b":authority" => authority.add(value),
                b":path" => path.add(value),
                b"authorization" | b"host" | b"upgrade" | b":protocol" => return None,
                other if guarded.concerns(other) => return None,
                // Of safe methods nothing else is looked at, as long as they are not refused.
                _ => {}
            }
        }
        let line = PlainLine { method: method.only()?, authority: authority.only()?, path: path.only()? };
        let is_safe = matches!(line.method, b"GET" | b"HEAD");
        Some(Self { line, cookie: cookie.only()? }).filter(|_| is_safe)
    }
}

impl Gate {
    /// Admits a request at once, if nothing has to be worked out for that. Otherwise nothing has been decided or counted, and
    /// the request goes on as [`Event::RequestHeaders`](super::Event::RequestHeaders).
    #[inline]
    pub fn admit_known(
        &mut self,
        now: UnixMillis,
        context: ContextId,
        headers: &impl RequestHeaders,
    ) -> Option<Admission> {
        self.now = now;
        if !self.policy.remembers_cookies() || !headers.are_complete() {
            return None;
        }
        let plain = Plain::read(&self.policy.guarded, headers.map())?;
        let known = self.l0.get_shown(plain.cookie)?;
        let treatment = self.treatments.get(plain.line, || self.policy.ordinary(headers.map()))?;
        let may_pass = self.holds(&known, now) && self.objection_where(&treatment, (false, false), &known).is_none();
        may_pass.then(|| self.admission(context, treatment, &known))
    }

    /// Whether what is known of a token may be used as it stands.
    #[inline]
    pub(super) fn holds(&self, known: &Known, now: UnixMillis) -> bool {
        let Known { session, judgement, .. } = known;
        now < session.expires_at()
            && judgement.limits.freshness(now) == Freshness::Fresh
            && judgement.applies_to(session)
            && !self.is_outdated(judgement, session)
    }

    #[inline]
    fn admission(&mut self, context: ContextId, treatment: Treatment, known: &Known) -> Admission {
        self.counters.count_warm();
        let annotations = if self.following.is_some() || self.policy.access_log.says_anything() {
            let pass = Pass { layer: Layer::L0, ..Pass::without_session(context, treatment) };
            self.admitted(&pass, known, "ok")
        } else {
            Annotations::default()
        };
        Admission { identity: known.identity.clone(), proof: self.proof(known), annotations }
    }
}

impl Policy {
    /// Whether cookies that show a session and nothing else go on as they are, whatever the request is.
    pub(super) fn remembers_cookies(&self) -> bool {
        self.capabilities.edits_headers && !self.identity.remove_cookie
    }

    /// What the rules say of a plain request; nothing if its path is the gate's own, or the issuer's, or open.
    #[cold]
    fn ordinary(&self, map: &HeaderMap) -> Option<Treatment> {
        let request = Request::read(self, map);
        let treatment = self.routes.rules.treatment(&request.line);
        let special = request.issuer_path
            || request.line.method.is_none()
            || treatment.access == Access::Open
            || self.own_paths().any(|path| request.is_for(path));
        (!special).then_some(treatment)
    }

    /// The paths that the gate answers itself.
    fn own_paths(&self) -> impl Iterator<Item = &str> {
        self.revocation.iter().flat_map(|revocation| {
            let sign_out = revocation.sign_out.iter().map(|sign_out| sign_out.path.as_str());
            revocation.ready_path.as_deref().into_iter().chain(sign_out)
        })
    }
}

#[cfg(test)]
mod tests;
