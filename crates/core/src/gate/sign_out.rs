//! The path that signs out: it ends the session that is shown, for all proxies, and takes its cookies away.
//!
//! The reply waits until the service has written the revocation; what it has not written is not said to be done. The request
//! has to be a `POST` from the application's own pages: another site could sign users out otherwise.
//!
//! The application's own sign-out can be observed: a reply on an issuer path that takes the whole session away and gives no
//! new one. It is held back until the service has written the revocation or has failed to once; then it is asked again.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use jwe_gate_contract::{Message, REVOCATIONS_PATH, Receipt, RevocationRequest, Shown, Target, VERSION};

use super::authenticate::Progress;
use super::decide::Pass;
use super::event::{
    Annotations, Callout, CalloutId, ContextId, Edits, Effect, HeaderEdit, ReplyHeaders, RequestHeaders,
};
use super::question::GRACE;
use super::read::Request;
use super::reply::Reply;
use super::{Effects, Gate};
use crate::claims::Session;
use crate::cookie;
use crate::metrics::{Metric, SignOutResult};
use crate::policy::LookupPolicy;
use crate::shared::SharedData;
use crate::time::UnixMillis;
use crate::verdict::Denial;

/// Sign-outs that wait for the service.
#[derive(Debug, Default)]
pub(super) struct SignOuts {
    queued: Vec<SignOut>,
    asked: BTreeMap<CalloutId, SignOut>,
    count: u64,
}

/// A sign-out that waits.
#[derive(Debug)]
struct SignOut {
    waiter: Waiter,
    session: Rc<Session>,
    id: String,
    /// When it is to be asked for; once it is, when it is given up.
    due: UnixMillis,
    /// How often it is asked for again if it fails.
    tries: u8,
}

/// Who waits for a sign-out.
#[derive(Debug)]
enum Waiter {
    /// A request to the gate's own path, and its answer.
    Request(Box<(Pass, Reply)>),
    /// The client of this request, whose reply by the app is held.
    Reply(ContextId),
    /// Nobody any more: the client has gone, or its reply. It is written all the same.
    Nobody,
}

/// How often the app's own sign-out is asked for again.
const TRIES: u8 = 60;

/// After a failure it is asked for again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// The most of them in one worker.
const LIMIT: usize = 1024;

impl Waiter {
    fn is_of(&self, context: ContextId) -> bool {
        match self {
            Self::Request(request) => request.0.context == context,
            Self::Reply(waiting) => *waiting == context,
            Self::Nobody => false,
        }
    }
}

impl SignOuts {
    /// Whether this callout asks for one.
    pub(super) fn are_asked_by(&self, callout: CalloutId) -> bool {
        self.asked.contains_key(&callout)
    }

    /// A client has gone.
    pub(super) fn gone(&mut self, context: ContextId) {
        for sign_out in self.queued.iter_mut().chain(self.asked.values_mut()) {
            if sign_out.waiter.is_of(context) {
                sign_out.waiter = Waiter::Nobody;
            }
        }
    }

    /// Those of which nothing has been heard for too long.
    fn take_overdue(&mut self, now: UnixMillis) -> Vec<SignOut> {
        self.asked.extract_if(.., |_, sign_out| sign_out.due <= now).map(|(_, sign_out)| sign_out).collect()
    }

    /// Those that are to be asked for now.
    fn take_due(&mut self, now: UnixMillis) -> Vec<SignOut> {
        self.queued.extract_if(.., |sign_out| sign_out.due <= now).collect()
    }

    /// Callouts of lookups count up from zero, those of the feed down from the end, and these up from the middle.
    fn next_callout(&mut self) -> CalloutId {
        self.count += 1;
        CalloutId((1 << 63) + self.count)
    }
}

impl Gate {
    /// Signs out, if that is what the request is for. Otherwise it comes back.
    pub(super) fn sign_out(
        &mut self,
        now: UnixMillis,
        pass: Pass,
        (request, headers): (&Request<'_>, &dyn RequestHeaders),
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) -> Option<Pass> {
        let policy = self.policy.clone();
        let sign_out = policy.revocation.as_ref().and_then(|revocation| revocation.sign_out.as_ref());
        let Some(sign_out) = sign_out.filter(|sign_out| request.is_for(&sign_out.path)) else { return Some(pass) };
        if request.line.method != Some("POST") {
            answer(pass.context, Reply::post_only(), effects);
            return None;
        }
        if request.is_cross_site(&policy.allowed_origins) {
            self.refuse(pass, Denial::CrossSite, None, effects);
            return None;
        }
        let cleared = cookie::cleared(&request.cookies, &policy.names);
        let reply = Reply::signed_out(sign_out.location.clone(), cleared);
        match self.session_to_end(now, &pass, (request, headers), shared) {
            Ok(Some(session)) => self.end_session(pass, session, reply, effects),
            Ok(None) => {
                self.counters.count(Metric::SignOut(SignOutResult::Nothing));
                answer(pass.context, reply, effects);
            }
            Err(denial) => self.refuse(pass, denial, None, effects),
        }
        None
    }

    /// The session that is shown, if it is one that counts here and has not ended.
    fn session_to_end(
        &mut self,
        now: UnixMillis,
        pass: &Pass,
        (request, headers): (&Request<'_>, &dyn RequestHeaders),
        shared: &dyn SharedData,
    ) -> Result<Option<Rc<Session>>, Denial> {
        let session = match self.authenticate(now, request, shared).progress {
            Progress::Known { known, .. } => known.session.clone(),
            Progress::Unknown(unknown) => unknown.session(),
            Progress::Denied(denial) => match self.limited(now, denial, headers) {
                limit @ Denial::TooManyFailures { .. } => return Err(limit),
                _ => return Ok(None),
            },
        };
        let counts = pass.treatment.accepts(session.kind());
        Ok(Some(session).filter(|session| counts && !self.is_over(session)))
    }

    fn end_session(&mut self, pass: Pass, session: Rc<Session>, reply: Reply, effects: &mut Effects) {
        if self.sign_outs.queued.len() + self.sign_outs.asked.len() >= LIMIT {
            return self.refuse(pass, Denial::Overloaded, None, effects);
        }
        effects.extend([Effect::Park { context: pass.context }, Effect::Enqueue]);
        let id = self.nonces.text();
        let waiter = Waiter::Request(Box::new((pass, reply)));
        self.sign_outs.queued.push(SignOut { waiter, session, id, due: UnixMillis(0), tries: 0 });
    }

    /// The names of the cookies that the app gets of a session, where it is to be seen whether it takes them away.
    pub(super) fn watched_cookies(&self, request: &Request<'_>, edits: &Edits) -> Vec<Vec<u8>> {
        let observes = self.policy.revocation.as_ref().is_some_and(|revocation| revocation.observes_sign_out);
        match &edits.cookie {
            _ if !observes || !request.issuer_path => Vec::new(),
            HeaderEdit::Keep => cookie::session_cookies(&request.cookies, &self.policy.names),
            HeaderEdit::Replace(line) => cookie::session_cookies(&[line], &self.policy.names),
            HeaderEdit::Remove => Vec::new(),
        }
    }

    /// Looks whether a reply of the app ends its request's session, and has it ended everywhere before the client hears.
    pub(super) fn observe(
        &mut self,
        context: ContextId,
        (session, shown): (Rc<Session>, &[Vec<u8>]),
        headers: &dyn ReplyHeaders,
        effects: &mut Effects,
    ) {
        if shown.is_empty() || !cookie::takes_session_away(shown, &headers.set_cookies(), &self.policy.names) {
            return;
        }
        if self.sign_outs.queued.len() + self.sign_outs.asked.len() >= LIMIT {
            return self.counters.count(Metric::SignOut(SignOutResult::Failed));
        }
        self.counters.count(Metric::SignOut(SignOutResult::Observed));
        effects.extend([Effect::HoldReply { context }, Effect::Enqueue]);
        let (waiter, id) = (Waiter::Reply(context), self.nonces.text());
        self.sign_outs.queued.push(SignOut { waiter, session, id, due: UnixMillis(0), tries: TRIES });
    }

    /// Asks the service to end what has been queued. Only called where the host lets the root context make callouts.
    pub(super) fn ask_to_end(&mut self, now: UnixMillis, effects: &mut Effects) {
        for sign_out in self.sign_outs.take_overdue(now) {
            self.ended(sign_out, false, effects);
        }
        let policy = self.policy.clone();
        let Some(lookup) = &policy.lookup else { return };
        for sign_out in self.sign_outs.take_due(now) {
            let callout = self.sign_outs.next_callout();
            // Strings and numbers alone: this cannot fail, and an empty body would be refused by the service.
            let body = serde_json::to_vec(&request_for(&sign_out, lookup)).unwrap_or_default();
            let due = now.after(lookup.timeout + GRACE);
            self.sign_outs.asked.insert(callout, SignOut { due, ..sign_out });
            effects.push(Effect::Dispatch(Callout {
                callout,
                cluster: lookup.cluster.clone(),
                authority: lookup.authority.clone(),
                target: REVOCATIONS_PATH.into(),
                mac: lookup.secret.sign(Message::Revocation, &body),
                body: Some(body),
                timeout: lookup.timeout,
            }));
        }
    }

    /// Takes the service's word on a sign-out, if it has given one.
    pub(super) fn sign_out_answered(
        &mut self,
        callout: CalloutId,
        mac: Option<&[u8]>,
        body: Option<&[u8]>,
        effects: &mut Effects,
    ) {
        let policy = self.policy.clone();
        let (Some(lookup), Some(sign_out)) = (&policy.lookup, self.sign_outs.asked.remove(&callout)) else { return };
        let is_durable = mac.zip(body).is_some_and(|(mac, body)| is_receipt(&sign_out, lookup, mac, body));
        self.ended(sign_out, is_durable, effects);
    }

    fn ended(&mut self, sign_out: SignOut, is_durable: bool, effects: &mut Effects) {
        let SignOut { waiter, session, id, tries, .. } = sign_out;
        match waiter {
            Waiter::Request(request) => match *request {
                (pass, reply) if is_durable => answer(pass.context, reply, effects),
                (pass, _) => self.refuse(pass, Denial::LookupFailed, None, effects),
            },
            Waiter::Reply(context) => effects.push(Effect::ReleaseReply { context }),
            Waiter::Nobody => {}
        }
        if !is_durable && tries > 0 {
            // The id is the same, so it is written once.
            let (waiter, due, tries) = (Waiter::Nobody, self.now.after(RETRY), tries - 1);
            return self.sign_outs.queued.push(SignOut { waiter, session, id, due, tries });
        }
        let result = if is_durable { SignOutResult::Durable } else { SignOutResult::Failed };
        self.counters.count(Metric::SignOut(result));
        self.audit_sign_out(&session, is_durable, effects);
    }
}

pub(super) fn answer(context: ContextId, reply: Reply, effects: &mut Effects) {
    effects.push(Effect::Reply { context, reply, annotations: Annotations::default() });
}

fn request_for(sign_out: &SignOut, lookup: &LookupPolicy) -> RevocationRequest {
    let session = &sign_out.session;
    RevocationRequest {
        version: VERSION,
        realm: lookup.realm.to_string(),
        id: sign_out.id.clone(),
        target: Target::Shown(Shown {
            sub: session.subject().to_owned(),
            sid: session.sid().map(str::to_owned),
            auth_time_ms: session.auth_time().map(crate::revocation::milliseconds),
            issued_at_ms: session.issued_at().unwrap_or_default().0,
        }),
    }
}

fn is_receipt(sign_out: &SignOut, lookup: &LookupPolicy, mac: &[u8], body: &[u8]) -> bool {
    if !lookup.secret.is_signed(Message::Receipt, body, mac) {
        return false;
    }
    serde_json::from_slice(body).is_ok_and(|receipt: Receipt| {
        receipt.version == VERSION && *receipt.realm == *lookup.realm && receipt.id == sign_out.id
    })
}
