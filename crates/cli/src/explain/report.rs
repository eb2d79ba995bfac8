//! What is said of a request. Values of claims, fields and headers only where they are asked for; a token never.

use std::fmt::Write as _;
use std::rc::Rc;

use jwe_gate_core::claims::{Condition, Session};
use jwe_gate_core::config::Access;
use jwe_gate_core::gate::{Edits, Explanation, HeaderEdit, Reply};
use jwe_gate_core::route::{Holds, Match};
use serde_json::Value;

use super::gate::{Decision, Lookup};
use crate::arguments::UserName;

/// All there is to say.
pub(super) struct Facts<'a> {
    /// What each rule is called.
    pub(super) names: &'a [Rc<str>],
    /// What rules ask of claims and of fields, each at the place of its bit.
    pub(super) conditions: (&'a [Option<Condition>], &'a [Option<Condition>]),
    pub(super) explanation: &'a Explanation,
    pub(super) session: Result<&'a Session, &'static str>,
    pub(super) lookup: &'a Lookup,
    pub(super) decision: &'a Decision,
    /// Whether revocations are configured, which are not looked at.
    pub(super) revocation: bool,
    /// What the gate itself does on this path, which is not looked at either.
    pub(super) own_path: Option<&'static str>,
    pub(super) show_values: bool,
}

impl Facts<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let sections = [
            ("rules", self.rules()),
            ("request", self.request()),
            ("session", self.session()),
            ("decision", self.decision()),
        ];
        for (title, lines) in sections {
            let _ = writeln!(text, "{title}:");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    fn rules(&self) -> Vec<String> {
        let tried = self.explanation.rules.iter().map(Some).chain(std::iter::repeat(None));
        let mut lines: Vec<_> =
            self.names.iter().zip(tried).map(|(name, matched)| format!("{name}: {}", holds(matched))).collect();
        let perhaps = self.explanation.rules.iter().filter(|matched| matched.whole() == Holds::Perhaps).count();
        if perhaps > 0 {
            lines.push("what nobody can tell counts: the request has to satisfy each of these rules".to_owned());
        }
        lines
    }

    fn request(&self) -> Vec<String> {
        let Explanation { treatment, bypass, issuer_path, preflight, cross_site, navigation, .. } = self.explanation;
        let access = match treatment.access {
            Access::Open => "open",
            Access::Optional => "optional",
            Access::Required => "required",
        };
        let mut lines = vec![format!(
            "access: {access}{}",
            if treatment.report { ", and what is refused is only reported" } else { "" }
        )];
        for (is_so, words) in [
            (*bypass, "it shows the value of the bypass"),
            (self.own_path.is_some(), self.own_path.unwrap_or_default()),
            (*issuer_path, "the path is one of `issuer_paths`, or could be read as one"),
            (*preflight && treatment.allow_preflight, "it is a CORS preflight, which the rule lets pass"),
            (*cross_site && treatment.allow_cross_site, "another site made it, which the rule allows"),
            (*cross_site && !treatment.allow_cross_site, "another site made it, so a cookie does not count"),
            (*navigation, "a browser navigates: it could be sent to a sign-in page"),
        ] {
            lines.extend(is_so.then(|| words.to_owned()));
        }
        lines
    }

    fn session(&self) -> Vec<String> {
        let reason = self.decision.annotation("reason");
        let unasked = reason.filter(|reason| ["bypass", "open", "preflight"].contains(reason));
        let mut lines = vec![match (unasked, self.session) {
            (Some(reason), _) => format!("not looked at ({reason})"),
            (None, Err(reason)) => format!("none: {reason} (`jwe-gate inspect` says more)"),
            (None, Ok(_)) => "the token opens and its claims are good".to_owned(),
        }];
        let Some(session) = self.session.ok().filter(|_| unasked.is_none()) else { return lines };
        if self.show_values {
            lines.push(format!("claims: {}", Value::Object(session.claims().clone())));
        }
        lines.push(
            match (self.lookup.is_asked(), self.lookup.user) {
                (false, _) => "users are not looked up",
                (true, UserName::Known) => "the user is supposed to be known (--user)",
                (true, UserName::Unknown) => "the user is supposed to be unknown (--user)",
                (true, UserName::Banned) => "the user is supposed to be banned (--user)",
                (true, UserName::Unanswered) => "the lookup is supposed to fail (--user)",
            }
            .to_owned(),
        );
        lines.extend(self.revocation.then(|| "whether it has been revoked is not looked at".to_owned()));
        let (claims, fields) = self.conditions;
        for (bit, (claim, field)) in claims.iter().zip(fields).enumerate() {
            if self.explanation.treatment.conditions & (1 << bit) != 0 {
                lines.extend(
                    claim.as_ref().map(|claim| format!("claim {claim}: {}", met(claim.is_met(session.claims())))),
                );
                lines.extend(field.as_ref().map(|field| self.field(field)));
            }
        }
        lines
    }

    fn field(&self, condition: &Condition) -> String {
        let name = condition.path.root();
        let said = met(condition.is_met(&self.lookup.fields));
        if self.lookup.supposed.iter().any(|known| known == name) {
            format!("field {condition}: {said}, as is supposed")
        } else {
            format!("field {condition}: {said} where the lookup says nothing; suppose it with --field {name}=VALUE")
        }
    }

    fn decision(&self) -> Vec<String> {
        let mut lines = match self.decision {
            Decision::Forward { edits, .. } => self.forward(edits),
            Decision::Reply { reply, .. } => Self::reply(reply),
            Decision::None => vec!["none, which is a fault of this program".to_owned()],
        };
        lines.extend(self.decision.annotation("reason").map(|reason| format!("reason: {reason}")));
        lines.extend(self.decision.annotation("session").map(|session| format!("session: {session}")));
        lines
    }

    fn forward(&self, edits: &Edits) -> Vec<String> {
        let mut lines = vec!["it goes on to the application".to_owned()];
        let identity = edits.identity.iter().flat_map(|identity| &identity.headers);
        let identity = identity.map(|(name, value)| (&**name, value.as_str(), self.show_values));
        let signed = edits.proof.iter().map(|(name, _)| (&**name, "", false));
        let marks = edits.set.iter().map(|(name, value)| (*name, *value, true));
        for (name, value, is_shown) in identity.chain(signed).chain(marks) {
            lines.push(if is_shown { format!("sets {name}: {value}") } else { format!("sets {name}") });
        }
        lines.extend(
            edits.remove.iter().map(|name| format!("removes {}", String::from_utf8_lossy(name).escape_debug())),
        );
        for (name, edit) in [("cookie", &edits.cookie), ("authorization", &edits.authorization)] {
            match edit {
                HeaderEdit::Keep => {}
                HeaderEdit::Remove => lines.push(format!("removes {name}")),
                HeaderEdit::Replace(_) => lines.push(format!("takes sessions out of {name}")),
            }
        }
        lines
    }

    fn reply(reply: &Reply) -> Vec<String> {
        let location = reply.headers.iter().find(|(name, _)| *name == "location");
        let mut lines = vec![format!("it is answered with {}", reply.status)];
        lines.extend(location.map(|(_, location)| format!("location: {location}")));
        lines
    }
}

fn holds(matched: Option<&Match>) -> String {
    let Some(matched) = matched else { return "not looked at".to_owned() };
    let whole = matched.whole();
    let parts = [("host", matched.host), ("method", matched.method), ("path", matched.path)];
    let parts: Vec<_> = parts.into_iter().filter(|(_, holds)| *holds == whole).map(|(part, _)| part).collect();
    match whole {
        Holds::Yes => "yes".to_owned(),
        Holds::No => format!("no, by its {}", parts.join(" and ")),
        Holds::Perhaps => format!("perhaps, by its {}: it can be read in more than one way", parts.join(" and ")),
    }
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "not met" }
}
