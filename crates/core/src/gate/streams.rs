//! Requests that went on for a session and are not over: what revocations and expired tokens cut.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::event::ContextId;
use crate::claims::Session;
use crate::config::StreamPolicy;
use crate::revocation::{News, Revocations};
use crate::time::UnixMillis;

/// The most of them in one worker. One more is refused: it could not be cut.
const LIMIT: usize = 1 << 16;

const NEVER: UnixMillis = UnixMillis(u64::MAX);

/// The open requests of one worker.
#[derive(Debug)]
pub(super) struct Streams {
    open: BTreeMap<ContextId, Stream>,
    /// None of them is to be cut for its token before this.
    first_expiry: UnixMillis,
}

/// An open request.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: Rc<Session>,
    /// What becomes of it when its token expires.
    pub(super) policy: StreamPolicy,
    /// Whether the app issues tokens there. Such a request is not cut: it may be the one that ends the session, and its
    /// user should see the reply.
    pub(super) issuer_path: bool,
    /// The names of its cookies, where it is to be seen whether the app takes them away.
    pub(super) cookies: Vec<Vec<u8>>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), first_expiry: NEVER }
    }

    /// Whether one more may be open.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < LIMIT
    }

    /// Notes that a request goes on.
    pub(super) fn opened(&mut self, context: ContextId, stream: Stream) {
        self.first_expiry = self.first_expiry.min(stream.expires_at());
        self.open.insert(context, stream);
    }

    /// Forgets a request that is over.
    pub(super) fn gone(&mut self, context: ContextId) {
        self.open.remove(&context);
    }

    /// A request whose reply has come.
    pub(super) fn get(&self, context: ContextId) -> Option<&Stream> {
        self.open.get(&context)
    }

    /// Those that news concern. They are forgotten, since they are to be cut.
    pub(super) fn revoked(&mut self, news: &News, revocations: &Revocations) -> Vec<ContextId> {
        let concerns = |session: &Session| match news {
            News::Nothing => false,
            News::About(tags) => revocations.concern(tags, session) && revocations.end(session),
            News::Everything => revocations.end(session),
        };
        self.take(|stream| !stream.issuer_path && concerns(&stream.session))
    }

    /// Those that do not outlive their token, which has expired. They are forgotten, since they are to be cut.
    pub(super) fn expired(&mut self, now: UnixMillis) -> Vec<ContextId> {
        if now < self.first_expiry {
            return Vec::new();
        }
        let expired = self.take(|stream| stream.expires_at() <= now);
        self.first_expiry = self.open.values().map(Stream::expires_at).min().unwrap_or(NEVER);
        expired
    }

    fn take(&mut self, mut is_it: impl FnMut(&Stream) -> bool) -> Vec<ContextId> {
        self.open.extract_if(.., |_, stream| is_it(stream)).map(|(context, _)| context).collect()
    }
}

impl Stream {
    /// When it is cut, whatever becomes of its session.
    fn expires_at(&self) -> UnixMillis {
        match self.policy {
            StreamPolicy::Cut => self.session.expires_at(),
            StreamPolicy::Finish => NEVER,
        }
    }
}
