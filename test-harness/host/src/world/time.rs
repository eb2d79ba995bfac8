//! Time and what it brings: ticks, timeouts, and messages between workers.

use super::World;
use crate::host::{Context, Tick, Wakeup};
use crate::ids::{At, CallId};

/// What is due next.
enum Due {
    Tick(At),
    Timeout(CallId),
}

impl World {
    /// What the clock on the wall shows, in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.store.data().clock.now_ms()
    }

    /// Lets time pass: messages arrive, ticks and timeouts fire, each in its order and at its time.
    pub fn advance(&mut self, ms: u64) {
        self.run_until_idle();
        self.advance_with(ms, Self::run_until_idle);
    }

    /// Lets time pass without delivering messages: ticks and timeouts fire.
    pub fn pass(&mut self, ms: u64) {
        self.advance_with(ms, |_| {});
    }

    fn advance_with(&mut self, ms: u64, then: fn(&mut Self)) {
        let until = self.store.data().clock.elapsed_ms().saturating_add(ms);
        while let Some((at_ms, due)) = self.next_due().filter(|(at_ms, _)| *at_ms <= until) {
            self.host().clock.run_to(at_ms);
            match due {
                Due::Tick(at) => self.tick(at),
                Due::Timeout(call) => self.time_out(call),
            }
            then(self);
        }
        self.host().clock.run_to(until);
    }

    /// Sets the clock on the wall forward or back. Timers do not notice.
    pub fn step_clock(&mut self, by_ms: i64) {
        self.host().clock.step(by_ms);
    }

    /// Delivers messages between workers until there are none. Time does not pass.
    pub fn run_until_idle(&mut self) {
        while self.deliver_wakeup() || self.fail_doomed() {}
    }

    /// Tells the owner of a queue about one message. Says whether there was one to tell about.
    pub fn deliver_wakeup(&mut self) -> bool {
        let Some(Wakeup { owner, queue }) = self.host().wakeups.pop_front() else { return false };
        if let Some(at) = self.present_owner(owner) {
            self.call(at, "proxy_on_queue_ready", &[at.context, queue]);
        }
        true
    }

    /// How many messages nobody has been told about.
    #[must_use]
    pub fn pending_wakeups(&self) -> usize {
        self.store.data().wakeups.len()
    }

    /// Loses what would tell owners about their messages; the messages stay in their queues.
    pub fn lose_wakeups(&mut self) {
        self.host().wakeups.clear();
    }

    /// A proxy looks for the owner by number in whatever VM the worker runs now. A canary is not found, nor a request that has
    /// the number there.
    fn present_owner(&mut self, owner: At) -> Option<At> {
        let instance = self.host().instance(owner).filter(|instance| !instance.canary)?;
        let worker = instance.worker;
        let current = self.workers.get(worker.0)?.instance?;
        let at = At { instance: current, ..owner };
        self.host().root_context(at).is_some().then_some(at)
    }

    fn next_due(&self) -> Option<(u64, Due)> {
        let host = self.store.data();
        let live =
            host.instances.iter().enumerate().filter(|(_, instance)| !instance.failed && !instance.of_one_request);
        let ticks = live.flat_map(|(index, instance)| {
            instance.contexts.iter().filter_map(move |(number, context)| match context {
                Context::Root(root) => {
                    let due_ms = root.tick.iter().chain(&root.old_ticks).map(|tick| tick.due_ms).min()?;
                    Some((due_ms, Due::Tick(At { instance: index, context: *number })))
                }
                Context::Stream { .. } => None,
            })
        });
        let open = host.calls.iter().filter(|call| call.open);
        let timeouts = open.filter_map(|call| Some((call.due_ms?, Due::Timeout(call.call.id))));
        ticks.chain(timeouts).min_by_key(|(at_ms, _)| *at_ms)
    }

    /// The timer is set anew after the callback, which may have changed or stopped it.
    fn tick(&mut self, at: At) {
        self.call(at, "proxy_on_tick", &[at.context]);
        let elapsed = self.store.data().clock.elapsed_ms();
        let Some(root) = self.host().root_context(at) else { return };
        // Of several timers it was the one that is due first.
        let timers = root.tick.iter_mut().chain(&mut root.old_ticks);
        if let Some(tick) = timers.min_by_key(|tick| tick.due_ms) {
            *tick = Tick { due_ms: elapsed + tick.period_ms, ..*tick };
        }
    }
}
