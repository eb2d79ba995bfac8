//! Which header tells the app what: a table from header names to facts of the user.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::encode_as;
use crate::claims::ClaimPath;

/// One header that the app reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, in lower case.
    pub header: Rc<str>,
    /// What it says.
    pub source: Source,
    /// What stands between the values of a list; it is escaped within them.
    pub delimiter: u8,
}

/// A fact of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The canonical user id.
    Subject,
    /// The email address, if somebody has made sure that it is the user's: the claim `email` of a token whose
    /// `email_verified` is true, or the field `email` of a user whose field `email_verified` is true or a date.
    VerifiedEmail,
    /// A claim of the token.
    Claim(ClaimPath),
    /// A field that the lookup brings.
    Field(ClaimPath),
}

/// What is known of a user.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The canonical user id.
    pub user: &'a str,
    /// What the token says.
    pub claims: &'a Map<String, Value>,
    /// What the lookup said.
    pub fields: &'a Map<String, Value>,
}

impl Entry {
    /// The value of the header; `None` where nothing is known, and then the app gets no such header.
    #[must_use]
    pub fn value(&self, facts: &Facts<'_>) -> Option<String> {
        let value = self.source.of(facts)?;
        match &*value {
            Value::Array(list) => {
                let scalars = list.iter().filter_map(scalar).filter(|text| !text.is_empty());
                let encoded: Vec<String> = scalars.map(|text| encode_as(&text, Some(self.delimiter))).collect();
                some(encoded.join(char::from(self.delimiter).to_string().as_str()))
            }
            value => some(encode_as(&scalar(value)?, None)),
        }
    }
}

impl Source {
    /// The fact, if it is known.
    #[must_use]
    pub fn of<'a>(&self, facts: &Facts<'a>) -> Option<Cow<'a, Value>> {
        match self {
            Self::Subject => Some(Cow::Owned(Value::from(facts.user))),
            Self::VerifiedEmail => facts.verified_email().map(Cow::Borrowed),
            Self::Claim(path) => path.of(facts.claims).map(Cow::Borrowed),
            Self::Field(path) => path.of(facts.fields).map(Cow::Borrowed),
        }
    }

    /// The claims that it goes by, the outermost of each.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        match self {
            Self::Claim(path) => vec![path.root().to_owned()],
            Self::VerifiedEmail => vec!["email".to_owned(), "email_verified".to_owned()],
            Self::Subject | Self::Field(_) => Vec::new(),
        }
    }
}

impl<'a> Facts<'a> {
    fn verified_email(&self) -> Option<&'a Value> {
        let is_verified = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
        // Auth.js keeps in its user table when an address was verified.
        let is_dated = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|date| !date.is_empty());
        let of = |facts: &'a Map<String, Value>| facts.get("email").filter(|email| email.is_string());
        let by_field = self.fields.get("email_verified");
        let by_claim = is_verified(self.claims.get("email_verified")).then(|| of(self.claims)).flatten();
        by_claim.or_else(|| (is_verified(by_field) || is_dated(by_field)).then(|| of(self.fields)).flatten())
    }
}

/// The text of a value that is no list and no object. Nothing is said by `null`.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(source: Source, claims: &Value, fields: &Value) -> Option<String> {
        let entry = Entry { header: Rc::from("x-test"), source, delimiter: b',' };
        let (claims, fields) = (claims.as_object().unwrap(), fields.as_object().unwrap());
        entry.value(&Facts { user: "u-1", claims, fields })
    }

    fn claim(path: &str, claims: &Value) -> Option<String> {
        value(Source::Claim(ClaimPath::dotted(path).unwrap()), claims, &json!({}))
    }

    #[test]
    fn scalars_are_written_as_text_and_other_things_are_not_written() {
        let claims = json!({ "n": 7, "b": true, "s": "é x", "o": { "id": "in" }, "nothing": null, "empty": "" });
        assert_eq!(claim("n", &claims).as_deref(), Some("7"));
        assert_eq!(claim("b", &claims).as_deref(), Some("true"));
        assert_eq!(claim("s", &claims).as_deref(), Some("%C3%A9 x"));
        assert_eq!(claim("o.id", &claims).as_deref(), Some("in"));
        for absent in ["o", "nothing", "empty", "absent", "s.x"] {
            assert_eq!(claim(absent, &claims), None, "{absent}");
        }
    }

    #[test]
    fn lists_have_one_delimiter_that_no_value_holds() {
        let claims = json!({ "groups": ["a,b", "c|d", " e ", "", null, ["x"], 5] });
        assert_eq!(claim("groups", &claims).as_deref(), Some("a%2Cb,c|d,%20e%20,5"));
        let entry = Entry {
            header: Rc::from("x"),
            source: Source::Claim(ClaimPath::dotted("groups").unwrap()),
            delimiter: b'|',
        };
        let claims = claims.as_object().unwrap();
        let written = entry.value(&Facts { user: "u", claims, fields: &Map::new() });
        assert_eq!(written.as_deref(), Some("a,b|c%7Cd|%20e%20|5"));
        assert_eq!(claim("groups", &json!({ "groups": [] })), None);
    }

    #[test]
    fn an_email_is_verified_by_the_source_that_it_comes_from() {
        let email = |claims, fields| value(Source::VerifiedEmail, &claims, &fields);
        let found = Some("a@b.test".to_owned());
        assert_eq!(email(json!({ "email": "a@b.test", "email_verified": true }), json!({})), found);
        assert_eq!(email(json!({}), json!({ "email": "a@b.test", "email_verified": true })), found);
        assert_eq!(email(json!({}), json!({ "email": "a@b.test", "email_verified": "2026-01-01" })), found);
        for (claims, fields) in [
            (json!({ "email": "a@b.test" }), json!({})),
            (json!({ "email": "a@b.test", "email_verified": "true" }), json!({})),
            (json!({ "email": "a@b.test" }), json!({ "email_verified": true })),
            (json!({ "email_verified": true }), json!({ "email": "a@b.test" })),
            (json!({}), json!({ "email": "a@b.test", "email_verified": null })),
            (json!({}), json!({ "email": "a@b.test", "email_verified": "" })),
            (json!({ "email": ["a@b.test"], "email_verified": true }), json!({})),
        ] {
            assert_eq!(email(claims.clone(), fields.clone()), None, "{claims} {fields}");
        }
    }
}
