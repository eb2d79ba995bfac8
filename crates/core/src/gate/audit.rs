//! Audit events: one line in the proxy's log for each denial, sign-out and use of the bypass. Never a token, a claim or an id.

use std::time::Duration;

use super::decide::Pass;
use super::event::{Effect, LogLevel};
use super::{Effects, Gate};
use crate::claims::Session;
use crate::identity::log_id;
use crate::l0::Known;
use crate::time::UnixMillis;

/// Lines that one worker writes in a second. Who floods a proxy with bad tokens must not fill its disk.
const LINES: u32 = 50;

/// How many lines have been written in this second, and left out since the last one that was.
#[derive(Debug, Default)]
pub(super) struct Audit {
    second: UnixMillis,
    written: u32,
    left_out: u64,
}

impl Audit {
    /// Whether one more line may be written; if so, how many were left out before it.
    fn line(&mut self, now: UnixMillis) -> Option<u64> {
        if self.second.after(Duration::from_secs(1)) <= now || now < self.second {
            (self.second, self.written) = (now, 0);
        }
        if self.written >= LINES {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Gate {
    /// Tells the operator what was decided of a request. `known` is whose session it was, if it had one.
    pub(super) fn audit(
        &mut self,
        pass: &Pass,
        event: &'static str,
        reason: &'static str,
        known: Option<&Known>,
        effects: &mut Effects,
    ) {
        let Some(left_out) = self.audit_line() else { return };
        let subject = known.map(|known| &*known.identity.log_id);
        effects.push(line(event, reason, Some(&self.rule_name(pass)), subject, left_out));
    }

    /// Tells the operator how a sign-out ended.
    pub(super) fn audit_sign_out(&mut self, session: &Session, is_durable: bool, effects: &mut Effects) {
        let Some(left_out) = self.audit_line() else { return };
        let subject = log_id(session.subject(), &self.policy.subject_key);
        let reason = if is_durable { "revoked" } else { "not_revoked" };
        effects.push(line("signed_out", reason, None, Some(&subject), left_out));
    }

    /// Whether a line is to be written; if so, how many were left out before it. Asked first: floods are to cost nothing
    /// where nobody reads of them.
    fn audit_line(&mut self) -> Option<u64> {
        if self.policy.audit { self.audit.line(self.now) } else { None }
    }
}

fn line(event: &str, reason: &str, rule: Option<&str>, subject: Option<&str>, left_out: u64) -> Effect {
    let line = serde_json::json!({
        "audit": event, "reason": reason, "rule": rule, "subject": subject, "left_out": left_out,
    });
    Effect::Log { level: LogLevel::Info, message: line.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims;
    use crate::config::Config;
    use crate::policy::Policy;

    fn gate(config: &str) -> Gate {
        let environment = |name: &str| (name == "AUTH_SECRET").then(|| "a secret of this test".to_owned());
        let config = Config::from_json(config.as_bytes(), &environment).unwrap();
        Gate::new(Policy::compile(config).unwrap(), [0; 16])
    }

    #[test]
    fn a_sign_out_is_one_line_without_the_users_id_and_only_where_it_is_asked_for() {
        let claims = br#"{"sub":"alice@app.test","iat":1000,"exp":2000}"#;
        let session = claims::check(claims, None, &claims::Rules::default(), UnixMillis::from_seconds(1000)).unwrap();
        let mut effects = Effects::new();
        gate("{}").audit_sign_out(&session, true, &mut effects);
        assert!(effects.is_empty());
        gate(r#"{"audit":true}"#).audit_sign_out(&session, true, &mut effects);
        let [Effect::Log { level: LogLevel::Info, message }] = &effects[..] else { panic!("one line is written") };
        let line: serde_json::Value = serde_json::from_str(message).unwrap();
        assert_eq!((&line["audit"], &line["reason"]), (&"signed_out".into(), &"revoked".into()));
        assert_eq!(line["subject"].as_str().map(str::len), Some(32));
        assert!(!message.contains("alice"));
    }

    #[test]
    fn so_many_lines_a_second_are_written_and_the_others_are_counted() {
        let mut audit = Audit::default();
        let mut written = |now| (0..LINES * 2).filter_map(|_| audit.line(UnixMillis(now))).collect::<Vec<_>>();
        assert_eq!(written(5000), vec![0; LINES as usize]);
        assert!(written(5999).is_empty());
        let next = written(6000);
        assert_eq!((next.len(), next[0]), (LINES as usize, u64::from(LINES) * 3));
        // A clock that was set back silences nothing.
        assert_eq!(written(10).len(), LINES as usize);
    }
}
