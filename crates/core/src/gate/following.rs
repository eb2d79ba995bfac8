//! Following revocations, and what they do to requests: refused, stripped of a fresh token, cut.

use std::time::Duration;

use super::event::{Callout, CalloutId, ContextId, Effect, LogLevel, ReplyHeaders};
use super::failing::Occasionally;
use super::streams::Streams;
use super::{Effects, Gate, TICK};
use crate::claims::Session;
use crate::cookie;
use crate::metrics::{CutReason, FeedResult, Gauge, Metric};
use crate::policy::RevocationPolicy;
use crate::revocation::{Follower, News};
use crate::roster::Roster;
use crate::shared::SharedData;
use crate::time::UnixMillis;
use crate::verdict::{Denial, Judgement};

/// What one worker does about revocations, where they are configured.
#[derive(Debug)]
pub(super) struct Following {
    follower: Follower,
    pub(super) streams: Streams,
    /// The callout that asks.
    asking: Option<CalloutId>,
    asked: u64,
    warned: Occasionally,
}

impl Following {
    pub(super) fn new(policy: &RevocationPolicy, seed: [u8; 16]) -> Self {
        Self {
            follower: Follower::new(policy.feed.clone(), seed),
            streams: Streams::new(),
            asking: None,
            asked: 0,
            warned: Occasionally::default(),
        }
    }

    /// Whether this callout is the one that asks the feed.
    pub(super) fn is_asked_by(&self, callout: CalloutId) -> bool {
        self.asking == Some(callout)
    }

    /// How old what is known is, in milliseconds; `None` while nothing is.
    pub(super) fn age_ms(&self, now: UnixMillis) -> Option<u64> {
        self.follower.age_ms(now)
    }

    /// Whether a judgement is from before a change of its user.
    pub(super) fn outdates(&self, judgement: &Judgement, session: &Session) -> bool {
        judgement.as_of < self.follower.revocations().changed(session)
    }

    /// Callouts of lookups count up from zero, these down from the end.
    fn next_callout(&mut self) -> CalloutId {
        self.asked += 1;
        CalloutId(u64::MAX - self.asked)
    }
}

impl Gate {
    /// Whether something stands against this session, or nobody knows.
    pub(super) fn permit(&self, session: &Session, issuer_path: bool) -> Result<(), Denial> {
        let (Some(policy), Some(following)) = (&self.policy.revocation, &self.following) else { return Ok(()) };
        let follower = &following.follower;
        if follower.revocations().end(session) {
            return Err(Denial::Revoked);
        }
        policy.trusts(following, self.now)?;
        // The app is about to change the time of issue.
        if issuer_path && self.may_outlive_its_end(session, Duration::ZERO) {
            return Err(Denial::StaleFeed);
        }
        if !following.streams.has_room() {
            return Err(Denial::Overloaded);
        }
        Ok(())
    }

    /// Whether a session is known to have been ended.
    pub(super) fn is_over(&self, session: &Session) -> bool {
        self.following.as_ref().is_some_and(|following| following.follower.revocations().end(session))
    }

    /// Whether a judgement is from before a change of its user.
    pub(super) fn is_outdated(&self, judgement: &Judgement, session: &Session) -> bool {
        self.following.as_ref().is_some_and(|following| following.outdates(judgement, session))
    }

    /// Takes notice of a reply.
    pub(super) fn replied(&mut self, context: ContextId, headers: &dyn ReplyHeaders, effects: &mut Effects) {
        let Some(following) = &mut self.following else { return };
        let Some(stream) = following.streams.get(context) else { return };
        let has_ended = following.follower.revocations().end(&stream.session);
        if has_ended && !stream.issuer_path {
            following.streams.gone(context);
            self.counters.count(Metric::Cut(CutReason::Revoked));
            return effects.push(Effect::Cut { context });
        }
        let (session, shown) = (stream.session.clone(), stream.cookies.clone());
        // On any path: some applications issue the session anew with each page.
        if has_ended || self.may_outlive_its_end(&session, TICK) {
            self.drop_sessions(context, headers, effects);
        }
        if !has_ended {
            self.observe(context, (session, &shown), headers, effects);
        }
    }

    /// Whether a token that the app issues for this session now could be spared by a revocation of before: there is only the
    /// time of issue to tell them apart, and nothing has been heard for longer than the service promises. The clock may be
    /// this much `behind`.
    fn may_outlive_its_end(&self, session: &Session, behind: Duration) -> bool {
        let Some(Following { follower, .. }) = self.following.as_ref().filter(|_| session.auth_time().is_none()) else {
            return false;
        };
        let age = follower.age_ms(self.now).map_or(Duration::MAX, Duration::from_millis);
        age.saturating_add(behind) > Duration::from_millis(follower.promised_delay_ms())
    }

    /// Takes the cookies that set a session out of a reply.
    fn drop_sessions(&mut self, context: ContextId, headers: &dyn ReplyHeaders, effects: &mut Effects) {
        let (dropped, kept): (Vec<_>, Vec<_>) =
            headers.set_cookies().into_iter().partition(|line| cookie::sets_session(line, &self.policy.names));
        if !dropped.is_empty() {
            self.counters.count(Metric::CookiesDropped);
            effects.push(Effect::SetCookies { context, lines: kept });
        }
    }

    /// Reads what has been found out, and asks if that is this worker's part. Only called on ticks.
    pub(super) fn follow(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let Some(following) = &mut self.following else { return };
        if following.follower.gives_up(now) {
            following.asking = None;
            self.counters.count(Metric::Feed(FeedResult::Lost));
        }
        self.catch_up(now, shared, effects);
        self.cut_expired(now, effects);
        self.ask_feed(now, shared, effects);
    }

    /// Reads what other workers have found out.
    pub(super) fn catch_up(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let Some(following) = &mut self.following else { return };
        let news = following.follower.catch_up(now, shared);
        self.cut_revoked(&news, effects);
    }

    /// Takes the feed's answer.
    pub(super) fn feed_answered(
        &mut self,
        now: UnixMillis,
        answer: (Option<&[u8]>, Option<&[u8]>),
        shared: &dyn SharedData,
        effects: &mut Effects,
    ) {
        let Some(following) = &mut self.following else { return };
        following.asking = None;
        let taken = following.follower.answered(now, answer, shared);
        self.counters.count(Metric::Feed(taken.result));
        let complaint = match taken.result {
            FeedResult::Full => Some("more revocations are in force than there is room for; no new one is taken"),
            FeedResult::SessionAge => {
                Some("the service forgets revocations before `max_session_age` is over; its feed is not used")
            }
            _ => None,
        };
        if let Some(message) = complaint.filter(|_| following.warned.is_due(now)) {
            effects.push(Effect::Log { level: LogLevel::Warn, message: format!("revocation: {message}") });
        }
        self.cut_revoked(&taken.news, effects);
        if taken.news != News::Nothing {
            self.wake_all(now, shared, effects);
        }
        self.ask_feed(now, shared, effects);
    }

    /// The host would not send the question to the feed.
    pub(super) fn feed_refused(&mut self, now: UnixMillis) {
        let Some(following) = &mut self.following else { return };
        following.asking = None;
        following.follower.failed(now);
        self.counters.count(Metric::Feed(FeedResult::Refused));
    }

    /// What is told as it stands.
    #[must_use]
    pub fn gauges(&self, now: UnixMillis) -> Vec<(Gauge, u64)> {
        let Some(Following { follower, .. }) = &self.following else { return Vec::new() };
        let age = follower.age_ms(now).map(|age| (Gauge::FeedAge, age));
        let notices = follower.revocations().set().len() as u64;
        age.into_iter().chain([(Gauge::FeedNotices, notices)]).collect()
    }

    fn ask_feed(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let policy = self.policy.clone();
        let (Some(policy), Some(following)) = (&policy.revocation, &mut self.following) else { return };
        self.own.show(&Roster::new(now, shared), now, shared);
        if !following.follower.leads(now, &self.own.entry(now, shared), shared) {
            return;
        }
        let Some(ask) = following.follower.ask(now) else { return };
        let callout = following.next_callout();
        following.asking = Some(callout);
        effects.push(Effect::Dispatch(Callout {
            callout,
            cluster: policy.cluster.clone(),
            authority: policy.authority.clone(),
            target: ask.target.into(),
            mac: ask.mac,
            body: None,
            timeout: ask.timeout,
        }));
    }

    /// Tells the other workers that there is something to read. Those that do not hear it read on their next tick.
    fn wake_all(&self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let others = Roster::new(now, shared).all().into_iter().filter(|other| !self.own.is(other));
        effects.extend(others.map(|other| Effect::Wake { queue: other.queue, message: Vec::from(b"!") }));
    }

    fn cut_revoked(&mut self, news: &News, effects: &mut Effects) {
        let Some(following) = self.following.as_mut().filter(|_| *news != News::Nothing) else { return };
        let contexts = following.streams.revoked(news, following.follower.revocations());
        self.cut(contexts, CutReason::Revoked, effects);
    }

    fn cut_expired(&mut self, now: UnixMillis, effects: &mut Effects) {
        let Some(following) = &mut self.following else { return };
        let contexts = following.streams.expired(now);
        self.cut(contexts, CutReason::Expired, effects);
    }

    fn cut(&mut self, contexts: Vec<ContextId>, reason: CutReason, effects: &mut Effects) {
        self.counters.add(Metric::Cut(reason), contexts.len() as u64);
        effects.extend(contexts.into_iter().map(|context| Effect::Cut { context }));
    }
}
