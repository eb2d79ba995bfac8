//! The gate: events in, effects out.
//!
//! [`Gate::admit_known`] admits requests of which everything is known. For all else [`Gate::handle`] takes one [`Event`]
//! and the current time, and says as [`Effect`]s what is to be done. It reads through two narrow views, the headers of the
//! request at hand and the shared data of the proxy. Shared data it also changes, by compare-and-swap, since the next step
//! depends on who was first; everything else that changes the world is an effect. It does not know which host it is on,
//! keeps no clock and draws no randomness.

mod alone;
mod annotate;
mod answer;
mod audit;
mod authenticate;
mod decide;
mod event;
mod explain;
mod failing;
mod following;
mod question;
mod read;
mod ready;
mod reply;
mod sign_out;
mod streams;
mod together;
mod waiting;
mod warm;

use std::rc::Rc;
use std::time::Duration;

pub use event::{
    Annotations, Callout, CalloutId, ContextId, Edits, Effect, Event, HeaderEdit, LogLevel, ReplyHeaders,
    RequestHeaders, Text,
};
pub use explain::Explanation;
pub(crate) use read::Guarded;
pub use reply::{Body, Replies, Reply};
pub use warm::Admission;

use crate::failures::Failures;
use crate::l0::L0;
use crate::metrics::Counters;
use crate::nonce::Nonces;
use crate::policy::Policy;
use crate::route::{Memo, Treatment};
use crate::shared::SharedData;
use crate::time::UnixMillis;
use audit::Audit;
use failing::Occasionally;
use following::Following;
use sign_out::SignOuts;
use together::{News, Own};
use waiting::Waiting;

/// The header that tells the app that a request came in by the bypass, and without a user.
pub(crate) const BYPASS_MARKER: &str = "x-jwe-gate-bypass";

/// The header that tells the app why nobody is named in a request that was checked. Only information: what counts is
/// that there is no identity.
pub(crate) const STATUS_HEADER: &str = "x-jwe-gate-status";

/// How often the host is asked to tick: each tick sends what no wake-up has sent and gives up what is overdue.
const TICK: Duration = Duration::from_millis(100);

/// Ticks that come sooner after the last one are not looked at.
const SOONEST: Duration = Duration::from_millis(75);

/// The state of one configuration in one worker.
#[derive(Debug)]
pub struct Gate {
    policy: Rc<Policy>,
    l0: L0,
    /// What the rules say of the request lines that came last; nothing for those that always go the long way.
    treatments: Memo<Option<Treatment>>,
    waiting: Waiting,
    own: Own,
    news: News,
    /// How revocations are followed, where they are.
    following: Option<Following>,
    sign_outs: SignOuts,
    /// Where a client may not fail as often as it likes.
    failures: Option<Failures>,
    counters: Counters,
    nonces: Nonces,
    /// When it was last said that requests pass unconfirmed.
    warned: Occasionally,
    audit: Audit,
    ticked: UnixMillis,
    /// The time of the event at hand.
    now: UnixMillis,
}

/// The effects of one event, in the order in which they are to be played.
pub type Effects = Vec<Effect>;

impl Gate {
    /// A gate with empty caches. `seed` is fresh randomness: it keys the hash of tokens and makes nonces.
    #[must_use]
    pub fn new(policy: Policy, seed: [u8; 16]) -> Self {
        let mut nonces = Nonces::new("jwe-gate nonce", seed);
        Self {
            l0: L0::new(policy.cache.l0_entries, seed),
            treatments: Memo::new(seed),
            waiting: Waiting::new(policy.waiting_limits),
            own: Own::new(nonces.number()),
            news: News::default(),
            nonces,
            failures: policy.failures.map(|limit| Failures::new(limit, seed)),
            warned: Occasionally::default(),
            audit: Audit::default(),
            ticked: UnixMillis(0),
            following: policy.revocation.as_ref().map(|revocation| Following::new(revocation, seed)),
            policy: Rc::new(policy),
            sign_outs: SignOuts::default(),
            now: UnixMillis(0),
            counters: Counters::default(),
        }
    }

    /// Takes an event and says what is to be done.
    pub fn handle(&mut self, now: UnixMillis, event: Event<'_>, shared: &dyn SharedData, effects: &mut Effects) {
        self.now = now;
        match event {
            Event::Configured => self.configured(now, shared, effects),
            Event::RequestHeaders { context, headers } => self.request(now, context, headers, shared, effects),
            Event::ResponseHeaders { context, headers } => self.replied(context, headers, effects),
            Event::RequestGone { context } => self.gone(context),
            Event::QueueMessages(messages) => {
                self.catch_up(now, shared, effects);
                self.ask_to_end(now, effects);
                self.heard(now, messages, shared, effects);
                self.ask(now, shared, effects);
            }
            Event::Tick => self.tick(now, shared, effects),
            Event::DispatchFailed { callout } if self.asks_feed_by(callout) => self.feed_refused(now),
            Event::DispatchFailed { callout } if self.sign_outs.are_asked_by(callout) => {
                self.sign_out_answered(callout, None, None, effects);
            }
            Event::DispatchFailed { callout } => self.refused(now, callout, shared, effects),
            Event::Answered { callout, mac, body } if self.asks_feed_by(callout) => {
                self.feed_answered(now, (mac, body), shared, effects);
            }
            Event::Answered { callout, mac, body } if self.sign_outs.are_asked_by(callout) => {
                self.sign_out_answered(callout, mac, body, effects);
            }
            Event::Answered { callout, mac, body } => self.answered(now, callout, (mac, body), shared, effects),
            Event::UnknownAnswer => self.unknown_answer(),
        }
    }

    /// Whether there is anything that [`Event::ResponseHeaders`] could bring about, or the end of a request that was
    /// forwarded.
    #[must_use]
    pub fn watches_responses(&self) -> bool {
        self.following.is_some()
    }

    /// Whether this trailer of a request must not reach the app, which may read it as a header: it would be an identity or a
    /// credential that comes after the decision. RFC 9110 section 6.5.1 allows neither in trailers.
    #[must_use]
    pub fn refuses_trailer(&self, name: &[u8]) -> bool {
        self.policy.guarded.holds_trailer(name)
    }

    /// Whether no request waits and no lookup is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_idle()
    }

    /// What has been counted since this was last called.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    fn gone(&mut self, context: ContextId) {
        self.waiting.forget(context);
        self.sign_outs.gone(context);
        if let Some(following) = &mut self.following {
            following.streams.gone(context);
        }
    }

    fn asks_feed_by(&self, callout: CalloutId) -> bool {
        self.following.as_ref().is_some_and(|following| following.is_asked_by(callout))
    }

    fn configured(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        let warnings = self.policy.warnings.iter().cloned();
        effects.extend(warnings.map(|message| Effect::Log { level: LogLevel::Warn, message }));
        effects.push(Effect::SetTick(TICK));
        // Requests may come before the first tick, and nobody passes who knows of no feed.
        self.catch_up(now, shared, effects);
    }

    fn tick(&mut self, now: UnixMillis, shared: &dyn SharedData, effects: &mut Effects) {
        // Some hosts add a timer with each trap.
        if u128::from(now.0.abs_diff(self.ticked.0)) < SOONEST.as_millis() {
            return;
        }
        self.ticked = now;
        self.follow(now, shared, effects);
        self.ask_to_end(now, effects);
        self.look_after(now, shared, effects);
        self.ask(now, shared, effects);
        self.give_up_overdue(now, shared, effects);
    }
}
