//! Driving a simulated proxy step by step: which message arrives, which callout is answered, which worker dies, and when.
//! Nothing happens by itself, so that every order in which things could happen can be tried.

use std::collections::BTreeMap;

use jwe_gate_contract::LookupQuestion;

use crate::driver::{Outcome, Sent};
use crate::request::Request;

/// What one worker does while another is in the middle of something.
pub type Interruption = Box<dyn FnOnce()>;

/// A simulated proxy.
pub trait Steps {
    /// The time, in Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// How many workers there have been.
    fn workers(&self) -> usize;

    /// Sends a request; nothing if its worker is dead or busy.
    fn send(&self, request: &Request) -> Option<Sent>;

    /// The client of a request that waits disconnects.
    fn abandon(&self, sent: Sent);

    /// What has become of a request.
    fn look(&self, sent: Sent) -> Outcome;

    /// Delivers one wake-up. Returns whether there was one.
    fn deliver(&self) -> bool;

    /// Loses all wake-ups that are under way. The messages stay in their queues.
    fn lose_wakeups(&self);

    /// The subjects of each callout that living workers wait for.
    fn callouts(&self) -> Vec<Vec<String>>;

    /// Answers one of these callouts as the lookup service is minded. Returns whether there was one.
    fn answer(&self, nth: usize) -> bool;

    /// Loses one of these callouts: the proxy will not say how it ended. Only where proxies can be that bad.
    fn never_answer(&self, nth: usize);

    /// Lets time pass: timeouts come, and every worker ticks.
    fn pass(&self, ms: u64);

    /// Ends a worker: nothing that it holds or waits for comes to anything.
    fn kill(&self, worker: usize);

    /// Adds a worker.
    fn add(&self);

    /// Lets this happen in the middle of whatever writes to shared data the next time after so many writes; at once where
    /// that cannot be.
    fn interrupt(&self, after: usize, interruption: Interruption);

    /// Everything that the gates have counted.
    fn counters(&self) -> BTreeMap<String, u64>;

    /// Fails if anything is left of requests that are over, or the filter has misbehaved.
    fn check_health(&self);
}

/// The subjects that a callout asks about.
#[must_use]
pub fn subjects(body: &[u8]) -> Vec<String> {
    let question: LookupQuestion = serde_json::from_slice(body).expect("a question in the agreed form");
    question.questions.into_iter().map(|question| question.key).collect()
}
