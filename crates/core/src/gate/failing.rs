//! What the configuration lets pass while a lookup fails. A denial stays a denial, whatever it says.

use std::rc::Rc;
use std::time::Duration;

use super::decide::Pass;
use super::event::{Effect, LogLevel};
use super::{Effects, Gate};
use crate::claims::Session;
use crate::config::OnLookupError;
use crate::fields::Fields;
use crate::time::UnixMillis;
use crate::verdict::{Denial, Judgement, Limits, Verdict};

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With a judgement that may be used without asking.
    Fresh,
    /// It was answered, and what holds may not be used without asking: a newer judgement than the answer is known.
    NotFresh,
    /// Nobody answered.
    Failed,
}

/// Lets something be said once in a while.
#[derive(Debug, Default)]
pub(super) struct Occasionally(Option<UnixMillis>);

impl Occasionally {
    /// Whether it was last said a second ago or more. If so it counts as said now.
    pub(super) fn is_due(&mut self, now: UnixMillis) -> bool {
        let due = self.0.is_none_or(|last| last.after(SECOND) <= now || now < last);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

impl Gate {
    /// Whether a judgement serves for a lookup that has ended like this. A denial does up to its hard limit.
    pub(super) fn may_serve(&self, now: UnixMillis, judgement: &Judgement, ended: Ended) -> bool {
        let stands_back = ended == Ended::Failed && self.on_lookup_error() == OnLookupError::Deny;
        now < judgement.limits.hard_until && (judgement.verdict != Verdict::Allow || !stands_back)
    }

    /// Decides on a good session of a user of whom nothing is known and nothing can be found out.
    ///
    /// What nobody has confirmed is not remembered, and never shown to the issuer, who would turn it into a fresh token.
    pub(super) fn unknown_while_failing(
        &mut self,
        now: UnixMillis,
        pass: Pass,
        session: Rc<Session>,
        effects: &mut Effects,
    ) {
        if pass.issuer_path || self.on_lookup_error() != OnLookupError::Allow {
            return self.finish(pass, Err(Denial::LookupFailed), effects);
        }
        if self.warned.is_due(now) {
            let message = "requests of users that nobody has confirmed pass, since lookups fail".to_owned();
            effects.push(Effect::Log { level: LogLevel::Warn, message });
        }
        let judgement = Judgement {
            verdict: Verdict::Allow,
            user: Rc::from(session.subject()),
            fields: Fields::default(),
            as_of: UnixMillis(0),
            limits: Limits { fresh_until: now, stale_until: now, hard_until: now },
        };
        let known = self.known(session, judgement);
        match self.objection(&pass, &known) {
            None => self.admit(pass, &known, "unconfirmed", effects),
            Some(denial) => self.refuse(pass, denial, Some(&known), effects),
        }
    }

    fn on_lookup_error(&self) -> OnLookupError {
        self.policy.lookup.as_ref().map(|lookup| lookup.on_error).unwrap_or_default()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_most_once_a_second() {
        let mut occasionally = Occasionally::default();
        let said: Vec<u64> = (0..3000).filter(|now| occasionally.is_due(UnixMillis(*now))).collect();
        assert_eq!(said, [0, 1000, 2000]);
        // A clock that was set back silences nothing.
        assert!(occasionally.is_due(UnixMillis(5)));
    }
}
