//! From a request to a decision: forward, reply, or park until a lookup is answered.

use std::rc::Rc;

use super::annotate::Layer;
use super::authenticate::{Found, Progress, Source};
use super::event::{Annotations, ContextId, Edits, Effect, HeaderEdit, LogLevel, RequestHeaders};
use super::read::Request;
use super::reply::Reply;
use super::streams::Stream;
use super::{BYPASS_MARKER, Effects, Gate, STATUS_HEADER};
use crate::config::Access;
use crate::cookie;
use crate::identity::Facts;
use crate::l0::Known;
use crate::metrics::Metric;
use crate::route::{Treatment, Unauthenticated};
use crate::shared::SharedData;
use crate::time::UnixMillis;
use crate::verdict::{Answer, Denial, Verdict};

/// What is to be done to a request once its verdict is known. It travels with the request while that waits.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) context: ContextId,
    /// What the rules say of it.
    pub(super) treatment: Treatment,
    /// The changes if the session is accepted, without the identity.
    pub(super) accepted: Edits,
    /// What becomes of it if the session is not accepted.
    pub(super) otherwise: Otherwise,
    /// Whether the app would turn the token into a fresh one: such a request does not go on while nobody knows.
    pub(super) issuer_path: bool,
    /// The names of its session cookies, where it is to be seen whether the app takes them away.
    pub(super) cookies: Vec<Vec<u8>>,
    /// Whether another site uses the user's cookie for something that may have effects.
    pub(super) cross_site: bool,
    /// Where the verdict came from.
    pub(super) layer: Layer,
    /// Since when the request has been waiting.
    pub(super) parked: Option<UnixMillis>,
}

/// What becomes of a request whose session is not accepted, other than a reply.
#[derive(Debug, Default)]
pub(super) struct Otherwise {
    /// The changes, where the request may go on without a session.
    pub(super) anonymous: Option<Edits>,
    /// Where a browser is sent to sign in.
    pub(super) sign_in: Option<String>,
}

impl Pass {
    /// What becomes of a request that the rules let go on whoever it comes from.
    pub(super) fn without_session(context: ContextId, treatment: Treatment) -> Self {
        Self {
            context,
            treatment,
            accepted: Edits::default(),
            otherwise: Otherwise::default(),
            issuer_path: false,
            cookies: Vec::new(),
            cross_site: false,
            layer: Layer::None,
            parked: None,
        }
    }
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
        let policy = self.policy.clone();
        let request = Request::read(&policy, headers.map());
        let treatment = policy.routes.rules.treatment(&request.line);
        let pass = Pass::without_session(context, treatment);
        if !self.is_manageable(headers, &request) {
            return self.reply(&pass, Denial::Headers, None, effects);
        }
        let Some(pass) = self.tell_readiness(pass, &request, effects) else { return };
        let Some(pass) = self.sign_out(now, pass, (&request, headers), shared, effects) else { return };
        if request.bypass {
            let edits = Edits { set: vec![(BYPASS_MARKER, "true")], ..self.anonymous(&request) };
            return self.bypassed(&pass, edits, effects);
        }
        if treatment.access == Access::Open && !request.issuer_path {
            return self.forward(&pass, self.anonymous(&request), "open", None, effects);
        }
        if treatment.allow_preflight && request.is_preflight() {
            return self.forward(&pass, self.anonymous(&request), "preflight", None, effects);
        }
        let Found { progress, edits, source } = self.authenticate(now, &request, shared);
        let lends = treatment.access != Access::Open && !treatment.allow_cross_site && source == Source::Cookie;
        let pass = Pass {
            cookies: self.watched_cookies(&request, &edits),
            accepted: self.spelt_out(edits, &request),
            issuer_path: request.issuer_path,
            cross_site: lends && request.is_cross_site(&policy.allowed_origins),
            ..pass
        };
        self.proceed(now, pass, progress, (&request, headers), effects);
    }

    /// Goes on with what has been found out of a credential without asking anybody.
    fn proceed(
        &mut self,
        now: UnixMillis,
        pass: Pass,
        progress: Progress,
        (request, headers): (&Request<'_>, &dyn RequestHeaders),
        effects: &mut Effects,
    ) {
        if let Progress::Known { known, layer, again } = progress {
            if let Some(key) = again
                && self.waiting.has_room_for_refresh()
                && self.waiting.refresh(key)
            {
                effects.push(Effect::Enqueue);
            }
            let pass = Pass { layer, ..pass };
            // What becomes of a request that is refused takes work that the others are spared.
            return match self.objection(&pass, &known) {
                None => self.admit(pass, &known, "ok", effects),
                Some(denial) => {
                    let pass = Pass { otherwise: self.otherwise(request, pass.treatment), ..pass };
                    self.refuse(pass, denial, Some(&known), effects);
                }
            };
        }
        let pass = Pass { otherwise: self.otherwise(request, pass.treatment), ..pass };
        match progress {
            Progress::Denied(denial) => {
                let denial = self.limited(now, denial, headers);
                self.refuse(pass, denial, None, effects);
            }
            Progress::Unknown(unknown) => self.park(now, pass, unknown, effects),
            Progress::Known { .. } => {}
        }
    }

    /// Plays a decision: the session is named to the app, or the request is answered, or goes on without a name.
    pub(super) fn finish(&mut self, pass: Pass, outcome: Result<Rc<Known>, Denial>, effects: &mut Effects) {
        match outcome {
            Ok(known) => match self.objection(&pass, &known) {
                None => self.admit(pass, &known, "ok", effects),
                Some(denial) => self.refuse(pass, denial, Some(&known), effects),
            },
            Err(denial) => self.refuse(pass, denial, None, effects),
        }
    }

    /// Why a session of which everything is known may not pass here.
    pub(super) fn objection(&self, pass: &Pass, known: &Known) -> Option<Denial> {
        self.objection_where(&pass.treatment, (pass.issuer_path, pass.cross_site), known)
    }

    /// The same, of a request of which no more is known than how the rules treat it, whether its path is the issuer's, and
    /// whether it is from another site.
    #[inline]
    pub(super) fn objection_where(
        &self,
        treatment: &Treatment,
        (issuer_path, cross_site): (bool, bool),
        known: &Known,
    ) -> Option<Denial> {
        let is_accepted = treatment.accepts(known.session.kind());
        match known.judgement.verdict {
            // On another tenant's host a session is worth as much as none, banned or not.
            _ if !is_accepted => Some(Denial::OtherSession),
            Verdict::Deny(barred) => Some(Denial::Barred(barred)),
            Verdict::Allow => match self.permit(&known.session, issuer_path) {
                Err(denial) => Some(denial),
                Ok(()) if cross_site => Some(Denial::CrossSite),
                Ok(()) if treatment.conditions & !known.met != 0 => Some(Denial::Condition),
                Ok(()) => None,
            },
        }
    }

    /// Names the session to the app.
    pub(super) fn admit(&mut self, pass: Pass, known: &Known, reason: &'static str, effects: &mut Effects) {
        self.counters.count(Metric::Decision(reason));
        let annotations = self.admitted(&pass, known, reason);
        effects.push(Effect::Forward {
            context: pass.context,
            // Where everybody passes and nothing is asked, the app is told of nobody.
            edits: match pass.treatment.access {
                Access::Open => pass.accepted,
                Access::Optional | Access::Required => {
                    let proof = self.proof(known);
                    Edits { identity: Some(known.identity.clone()), proof, ..pass.accepted }
                }
            },
            annotations,
        });
    }

    /// Notes that a request goes on for a session, and says what access logs are told of it.
    pub(super) fn admitted(&mut self, pass: &Pass, known: &Known, reason: &'static str) -> Annotations {
        if let Some(following) = &mut self.following {
            let (session, issuer_path, cookies) = (known.session.clone(), pass.issuer_path, pass.cookies.clone());
            let policy = pass.treatment.streams;
            following.streams.opened(pass.context, Stream { session, policy, issuer_path, cookies });
        }
        self.annotations(pass, reason, "allow", Some(known))
    }

    /// The identity with a signature: the header, and the token.
    pub(super) fn proof(&self, known: &Known) -> Option<(Rc<str>, Rc<str>)> {
        let issuer = self.policy.identity.jwt.as_ref()?;
        let Known { session, judgement, proof, .. } = known;
        let facts = Facts { user: &judgement.user, claims: session.claims(), fields: &judgement.fields };
        Some((issuer.header.clone(), proof.token(self.now, issuer, session, &facts)))
    }

    pub(super) fn refuse(&mut self, pass: Pass, denial: Denial, known: Option<&Known>, effects: &mut Effects) {
        let required = pass.treatment.access == Access::Required;
        let is_answered_here = match denial.answer() {
            // Where a session is required nobody is taken for a stranger who may well be signed in.
            Answer::Unavailable => pass.issuer_path || required,
            Answer::BadRequest | Answer::Limited { .. } => true,
            // What would be refused to whoever signs in is not the app's to answer either.
            Answer::Forbidden => matches!(denial, Denial::Condition | Denial::CrossSite),
            Answer::Unauthenticated => false,
        };
        let mut pass = pass;
        let anonymous = pass.otherwise.anonymous.take().filter(|_| !is_answered_here || pass.treatment.report);
        let Some(edits) = anonymous else { return self.reply(&pass, denial, known, effects) };
        let edits = Edits { set: marks(denial, required), ..edits };
        if pass.treatment.report {
            self.counters.count(Metric::Reported(denial.as_str()));
            self.audit(&pass, "reported", denial.as_str(), known, effects);
            return self.forward(&pass, edits, "reported", known, effects);
        }
        self.forward(&pass, edits, denial.as_str(), known, effects);
    }

    fn reply(&mut self, pass: &Pass, denial: Denial, known: Option<&Known>, effects: &mut Effects) {
        let policy = self.policy.clone();
        self.counters.count(Metric::Decision(denial.as_str()));
        self.audit(pass, "denied", denial.as_str(), known, effects);
        let reply = match &pass.otherwise.sign_in {
            Some(location) if denial.answer() == Answer::Unauthenticated => {
                Reply::redirect(location.clone(), denial, policy.debug_header)
            }
            _ => Reply::to(denial, &policy.replies, policy.debug_header),
        };
        let annotations = self.annotations(pass, denial.as_str(), "deny", known);
        effects.push(Effect::Reply { context: pass.context, reply, annotations });
    }

    /// The denial of a token that is none, or another one where its client has shown too many of them. All kinds count
    /// alike, so that the limit tells no two of them apart; a request that shows none does not count.
    pub(super) fn limited(&mut self, now: UnixMillis, denial: Denial, headers: &dyn RequestHeaders) -> Denial {
        let Some(failures) = self.failures.as_mut().filter(|_| denial != Denial::NoToken) else { return denial };
        let wait = headers.client().and_then(|client| failures.note(now, &client));
        wait.map_or(denial, |wait| Denial::TooManyFailures { wait })
    }

    /// Lets a request go on without a name.
    fn forward(
        &mut self,
        pass: &Pass,
        edits: Edits,
        reason: &'static str,
        known: Option<&Known>,
        effects: &mut Effects,
    ) {
        self.counters.count(Metric::Decision(reason));
        let annotations = self.annotations(pass, reason, "none", known);
        effects.push(Effect::Forward { context: pass.context, edits, annotations });
    }

    fn bypassed(&mut self, pass: &Pass, edits: Edits, effects: &mut Effects) {
        self.counters.count(Metric::Bypass);
        effects.push(Effect::Log { level: LogLevel::Warn, message: "a request passed by the bypass".to_owned() });
        self.audit(pass, "bypassed", "bypass", None, effects);
        self.forward(pass, edits, "bypass", None, effects);
    }

    /// What may become of a request besides a reply.
    fn otherwise(&self, request: &Request<'_>, treatment: Treatment) -> Otherwise {
        let policy = &self.policy;
        let replies = treatment.access == Access::Required && treatment.unauthenticated != Unauthenticated::Forward;
        let redirects = treatment.unauthenticated == Unauthenticated::Redirect && request.is_navigation();
        let sign_in = policy.sign_in.as_ref().filter(|_| redirects);
        Otherwise {
            anonymous: match (treatment.report, replies) {
                // The app has its own checks as long as the gate's are tried out, so it sees what it has always seen.
                (true, _) => {
                    Some(self.spelt_out(Edits { remove: request.forged.clone(), ..Edits::default() }, request))
                }
                (false, true) => None,
                (false, false) => Some(self.anonymous(request)),
            },
            sign_in: sign_in.map(|sign_in| sign_in.location(request.path.only().unwrap_or_default())),
        }
    }

    /// The changes to a request that goes on without a session: nothing in it may be taken for one.
    fn anonymous(&self, request: &Request<'_>) -> Edits {
        let edits = Edits {
            remove: request.forged.clone(),
            cookie: cookie_edit(cookie::keep(&request.cookies, &self.policy.names, None)),
            authorization: request.authorization_without_session(),
            ..Edits::default()
        };
        self.spelt_out(edits, request)
    }
}

/// What is said of a checked request that goes on without a session. Where a session is required its reply is nobody
/// else's: caches behind the gate that keep to RFC 9111 neither answer it unasked nor keep its reply.
fn marks(denial: Denial, required: bool) -> Vec<(&'static str, &'static str)> {
    let mut marks = vec![(STATUS_HEADER, denial.answer().as_str())];
    if required {
        marks.push(("cache-control", "no-store, no-cache"));
    }
    marks
}

/// What a change of the cookies comes to.
pub(super) fn cookie_edit(kept: cookie::Kept) -> HeaderEdit {
    match kept {
        cookie::Kept::Unchanged => HeaderEdit::Keep,
        cookie::Kept::Removed => HeaderEdit::Remove,
        cookie::Kept::Replaced(value) => HeaderEdit::Replace(value),
    }
}
