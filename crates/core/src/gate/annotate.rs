//! What access logs are told of a decision: only what the configuration asks for, since each fact costs every request a
//! call to the proxy.

use std::rc::Rc;

use super::Gate;
use super::decide::Pass;
use super::event::{Annotations, Text};
use crate::config::SubjectLog;
use crate::l0::Known;

/// Where a verdict came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layer {
    /// Nobody was asked.
    #[default]
    None,
    /// What this worker remembers of the token.
    L0,
    /// What the workers of this proxy know of the user.
    L1,
    /// The lookup service.
    Lookup,
}

impl Layer {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::L0 => "l0",
            Self::L1 => "l1",
            Self::Lookup => "lookup",
        }
    }
}

impl Gate {
    /// What is said of a decision. `verdict` is what was decided, and `known` whose session it was about.
    pub(super) fn annotations(
        &self,
        pass: &Pass,
        reason: &'static str,
        verdict: &'static str,
        known: Option<&Known>,
    ) -> Annotations {
        let log = &self.policy.access_log;
        let mut told = Vec::new();
        if log.reason {
            told.push(("reason", Text::Fixed(reason)));
        }
        if let Some(subject) = known.and_then(|known| self.logged_subject(known)) {
            told.push(("subject", Text::Shared(subject)));
        }
        if log.verdict {
            told.push(("verdict", Text::Fixed(verdict)));
        }
        if log.session
            && let Some(session) = known.and_then(|known| self.policy.sessions.get(known.session.kind()))
        {
            told.push(("session", Text::Shared(session.label.clone())));
        }
        if log.rule {
            told.push(("rule", Text::Shared(self.rule_name(pass))));
        }
        if log.cache {
            told.push(("cache", Text::Fixed(pass.layer.as_str())));
        }
        if log.lookup_ms
            && let Some(parked) = pass.parked
        {
            told.push(("lookup_ms", Text::Shared(Rc::from(self.now.0.saturating_sub(parked.0).to_string()))));
        }
        Annotations(told)
    }

    /// The name of the rule that the request fell under; the first of several.
    pub(super) fn rule_name(&self, pass: &Pass) -> Rc<str> {
        self.policy.routes.names.get(pass.treatment.rule).cloned().unwrap_or_else(|| Rc::from(""))
    }

    fn logged_subject(&self, known: &Known) -> Option<Rc<str>> {
        let identity = &known.identity;
        match self.policy.access_log.subject {
            SubjectLog::Off => None,
            SubjectLog::Hash => Some(identity.log_id.clone()),
            SubjectLog::Plain => Some(identity.user_id.clone()),
        }
    }
}
