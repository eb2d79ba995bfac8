//! What the lookup says of a user besides the verdict: values from the database, by name.
//!
//! They reach headers and conditions, so they count as much as the verdict: an answer with other fields than those that
//! were asked for is none.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use jwe_gate_contract::MAX_FIELDS_BYTES;
use serde_json::{Map, Value};

/// The fields of one user. Copies share their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Rc<Map<String, Value>>);

impl Fields {
    /// Those of an answer, if they are the ones that were asked for and not larger than they may be.
    #[must_use]
    pub fn of_answer(answer: &BTreeMap<String, Value>, asked: &[String]) -> Option<Self> {
        if answer.len() != asked.len() || !asked.iter().all(|name| answer.contains_key(name)) {
            return None;
        }
        let fields = Self::from(answer.clone().into_iter().collect::<Map<_, _>>());
        (fields.to_bytes().len() <= MAX_FIELDS_BYTES).then_some(fields)
    }

    /// As a JSON object; no bytes at all where there are no fields.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        // Values alone: this cannot fail.
        serde_json::to_vec(&*self.0).unwrap_or_default()
    }

    /// What [`Self::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        Some(Self(Rc::new(serde_json::from_slice(bytes).ok()?)))
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(Rc::new(fields))
    }
}

impl Deref for Fields {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for Fields {
    /// What is known of users stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(json: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_the_fields_that_were_asked_for_are_an_answer() {
        let asked = ["email".to_owned(), "role".to_owned()];
        let complete = Fields::of_answer(&answer(json!({ "role": null, "email": "a@b" })), &asked).unwrap();
        assert_eq!((complete.get("email"), complete.get("role")), (Some(&json!("a@b")), Some(&Value::Null)));
        for other in [
            json!({}),
            json!({ "email": 1 }),
            json!({ "email": 1, "rolle": 1 }),
            json!({ "email": 1, "role": 1, "x": 1 }),
        ] {
            assert_eq!(Fields::of_answer(&answer(other.clone()), &asked), None, "{other}");
        }
        assert_eq!(Fields::of_answer(&answer(json!({})), &[]), Some(Fields::default()));
        assert_eq!(Fields::of_answer(&answer(json!({ "email": 1 })), &[]), None);
    }

    #[test]
    fn fields_that_are_too_large_are_no_answer() {
        let of = |length: usize| Fields::of_answer(&answer(json!({ "a": "x".repeat(length) })), &["a".to_owned()]);
        let around = r#"{"a":""}"#.len();
        assert!(of(MAX_FIELDS_BYTES - around).is_some());
        assert!(of(MAX_FIELDS_BYTES - around + 1).is_none());
    }

    #[test]
    fn values_stay_out_of_debug_output() {
        let fields = Fields::from_bytes(br#"{"email":"a@b"}"#).unwrap();
        assert_eq!(format!("{fields:?}"), "Fields(1)");
    }
}
