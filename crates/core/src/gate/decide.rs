//! From a request to a decision: forward, reply, or park until a lookup is answered.

use std::rc::Rc;

use super::authenticate::Progress;
use super::event::{Annotations, ContextId, Edits, Effect, HeaderEdit, LogLevel, RequestHeaders};
use super::read::Request;
use super::reply::Reply;
use super::{BYPASS_MARKER, Effects, Gate, STATUS_HEADER};
use crate::config::{Access, OnUnauthenticated, SubjectLog};
use crate::cookie;
use crate::l0::Known;
use crate::metrics::Metric;
use crate::shared::SharedData;
use crate::time::UnixMillis;
use crate::verdict::{Answer, Denial, Verdict};

/// What is to be done to a request once its verdict is known. It travels with the request while that waits.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) context: ContextId,
    /// The changes if the session is accepted, without the identity.
    pub(super) accepted: Edits,
    /// The changes if it is not, where the request may go on without one.
    pub(super) anonymous: Option<Edits>,
    /// Whether the app would turn the token into a fresh one: such a request does not go on while nobody knows.
    pub(super) issuer_path: bool,
}

impl Gate {
    pub(super) fn request(
        &mut self,
        now: UnixMillis,
        context: ContextId,
        headers: &dyn RequestHeaders,
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        if self.admit_known(now, context, headers, effects) {
            return;
        }
        let policy = self.policy.clone();
        let request = Request::read(&policy, headers);
        if !self.is_manageable(headers, &request) {
            return self.reply(context, Denial::Headers, effects);
        }
        let lines = request.cookie_lines();
        if request.bypass {
            let edits = Edits { set: vec![(BYPASS_MARKER, "true")], ..self.anonymous(&request, &lines) };
            return self.bypassed(context, edits, effects);
        }
        if policy.access == Access::Open && !request.issuer_path {
            let edits = self.anonymous(&request, &lines);
            return self.forward(context, edits, "open", effects);
        }
        let (progress, accepted) = self.authenticate(now, &request, &lines, shared);
        let accepted = self.spelt_out(accepted, &request);
        let replies = self.requires_session() && policy.on_unauthenticated == OnUnauthenticated::Reply;
        let anonymous = (!replies).then(|| self.anonymous(&request, &lines));
        let pass = Pass { context, accepted, anonymous, issuer_path: request.issuer_path };
        match progress {
            Progress::Known(known) => self.finish(pass, Ok(known), effects),
            Progress::Denied(denial) => {
                let denial = self.limited(now, denial, headers);
                self.finish(pass, Err(denial), effects);
            }
            Progress::KnownAndStale { known, key } => {
                if self.waiting.has_room_for_refresh() && self.waiting.refresh(key) {
                    effects.push(Effect::Enqueue);
                }
                self.finish(pass, Ok(known), effects);
            }
            Progress::Unknown(unknown) => self.park(now, pass, unknown, effects),
        }
    }

    /// Plays a decision: the session is named to the app, or the request is answered, or goes on without a name.
    pub(super) fn finish(&mut self, pass: Pass, outcome: Result<Rc<Known>, Denial>, effects: &mut Effects) {
        let outcome = outcome.and_then(|known| match known.judgement.verdict {
            Verdict::Allow => Ok(known),
            Verdict::Deny(barred) => Err(Denial::Barred(barred)),
        });
        match outcome {
            Ok(known) => self.admit(pass, &known, "ok", effects),
            Err(denial) => self.refuse(pass, denial, effects),
        }
    }

    /// Names the session to the app, unless it has been revoked.
    pub(super) fn admit(&mut self, pass: Pass, known: &Known, reason: &'static str, effects: &mut Effects) {
        if let Err(denial) = self.permit(&known.session, pass.issuer_path) {
            return self.refuse(pass, denial, effects);
        }
        if let Some(following) = &mut self.following {
            following.streams.opened(pass.context, known.session.clone(), pass.issuer_path);
        }
        self.counters.count(Metric::Decision(reason));
        let identity = known.identity.clone().map(|identity| (self.policy.user_id_header.clone(), identity));
        effects.push(Effect::Forward {
            context: pass.context,
            edits: Edits { identity, ..pass.accepted },
            annotations: Annotations { reason: self.logged(reason), subject: self.logged_subject(known) },
        });
    }

    fn refuse(&mut self, pass: Pass, denial: Denial, effects: &mut Effects) {
        let is_answered_here = match denial.answer() {
            // Where a session is required nobody is taken for a stranger who may well be signed in.
            Answer::Unavailable => pass.issuer_path || self.requires_session(),
            Answer::BadRequest | Answer::Limited { .. } => true,
            Answer::Forbidden | Answer::Unauthenticated => false,
        };
        if let Some(edits) = pass.anonymous.filter(|_| !is_answered_here) {
            let edits = Edits { set: self.marks(denial), ..edits };
            return self.forward(pass.context, edits, denial.as_str(), effects);
        }
        self.reply(pass.context, denial, effects);
    }

    fn reply(&mut self, context: ContextId, denial: Denial, effects: &mut Effects) {
        self.counters.count(Metric::Decision(denial.as_str()));
        effects.push(Effect::Reply {
            context,
            reply: Reply::to(denial, self.policy.debug_header),
            annotations: Annotations { reason: self.logged(denial.as_str()), subject: None },
        });
    }

    /// The denial of a token that is none, or another one where its client has shown too many of them. All kinds count
    /// alike, so that the limit tells no two of them apart; a request that shows none does not count.
    fn limited(&mut self, now: UnixMillis, denial: Denial, headers: &dyn RequestHeaders) -> Denial {
        let Some(failures) = self.failures.as_mut().filter(|_| denial != Denial::NoToken) else { return denial };
        let wait = headers.client().and_then(|client| failures.note(now, &client));
        wait.map_or(denial, |wait| Denial::TooManyFailures { wait })
    }

    /// Lets a request go on without a name.
    fn forward(&mut self, context: ContextId, edits: Edits, reason: &'static str, effects: &mut Effects) {
        self.counters.count(Metric::Decision(reason));
        let annotations = Annotations { reason: self.logged(reason), subject: None };
        effects.push(Effect::Forward { context, edits, annotations });
    }

    fn bypassed(&mut self, context: ContextId, edits: Edits, effects: &mut Effects) {
        self.counters.count(Metric::Bypass);
        effects.push(Effect::Log { level: LogLevel::Warn, message: "a request passed by the bypass".to_owned() });
        self.forward(context, edits, "bypass", effects);
    }

    /// The changes to a request that goes on without a session: nothing in it may be taken for one.
    fn anonymous(&self, request: &Request, lines: &[&[u8]]) -> Edits {
        let edits = Edits {
            remove: request.forged.clone(),
            cookie: cookie_edit(cookie::keep(lines, &self.policy.names, None)),
            authorization: request.authorization_without_session(),
            ..Edits::default()
        };
        self.spelt_out(edits, request)
    }

    /// What is said of a checked request that goes on without a session. Where a session is required its reply is
    /// nobody else's: caches behind the gate that keep to RFC 9111 neither answer it unasked nor keep its reply.
    fn marks(&self, denial: Denial) -> Vec<(&'static str, &'static str)> {
        let mut marks = vec![(STATUS_HEADER, denial.answer().as_str())];
        if self.requires_session() {
            marks.push(("cache-control", "no-store, no-cache"));
        }
        marks
    }

    fn requires_session(&self) -> bool {
        self.policy.access == Access::Required
    }

    fn logged(&self, reason: &'static str) -> Option<&'static str> {
        self.policy.access_log.reason.then_some(reason)
    }

    fn logged_subject(&self, known: &Known) -> Option<Rc<str>> {
        match self.policy.access_log.subject {
            SubjectLog::Off => None,
            SubjectLog::Hash => known.identity.as_ref().map(|identity| identity.log_id.clone()),
            SubjectLog::Plain => known.identity.as_ref().map(|identity| Rc::from(identity.user_id.as_str())),
        }
    }
}

/// What a change of the cookies comes to.
pub(super) fn cookie_edit(kept: cookie::Kept) -> HeaderEdit {
    match kept {
        cookie::Kept::Unchanged => HeaderEdit::Keep,
        cookie::Kept::Removed => HeaderEdit::Remove,
        cookie::Kept::Replaced(value) => HeaderEdit::Replace(value),
    }
}
