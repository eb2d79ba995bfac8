//! What a rule asks of a session's claims, or of what the lookup says of the user.

use std::fmt;

use serde_json::{Map, Value};

use super::ClaimPath;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where the value stands.
    pub path: ClaimPath,
    /// What it must be.
    pub test: Test,
}

/// What a value must be. Types count: the text `"1"` is not the number 1, and what is absent meets no condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// This value.
    Equals(Value),
    /// One of these values.
    OneOf(Vec<Value>),
    /// A list with this value in it. A text is not a list: `"administrators"` does not contain `"admin"`.
    Contains(Value),
}

impl Condition {
    /// Which of these conditions are met, one bit for each, the lowest for the first. Places without one meet nothing.
    #[must_use]
    pub fn met(conditions: &[Option<Self>], claims: &Map<String, Value>) -> u64 {
        let is_met = |condition: &Option<Self>| condition.as_ref().is_some_and(|it| it.is_met(claims));
        let conditions = conditions.iter().enumerate();
        conditions.filter(|(_, condition)| is_met(condition)).map(|(bit, _)| 1 << bit).sum()
    }

    /// Whether these claims meet the condition.
    #[must_use]
    pub fn is_met(&self, claims: &Map<String, Value>) -> bool {
        let Some(value) = self.path.of(claims) else { return false };
        match &self.test {
            Test::Equals(wanted) => same(value, wanted),
            Test::OneOf(wanted) => wanted.iter().any(|wanted| same(value, wanted)),
            Test::Contains(wanted) => value.as_array().is_some_and(|list| list.iter().any(|value| same(value, wanted))),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::Equals(wanted) => write!(f, "{} equals {wanted}", self.path),
            Test::OneOf(wanted) => write!(f, "{} is one of {}", self.path, Value::from(wanted.as_slice())),
            Test::Contains(wanted) => write!(f, "{} contains {wanted}", self.path),
        }
    }
}

/// Numbers are compared as the packages read them: `1` and `1.0` are one number.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn met(path: &[&str], test: Test) -> bool {
        let claims = json!({
            "role": "admin", "level": 3, "verified": true, "nothing": null,
            "roles": ["editor", "admin"], "org": { "id": "o-1", "tags": ["a"] }, "https://app.test/role": "owner",
        });
        let path = ClaimPath::new(path.iter().map(|name| (*name).to_owned()).collect()).unwrap();
        Condition { path, test }.is_met(claims.as_object().unwrap())
    }

    #[test]
    fn values_are_compared_with_their_types() {
        assert!(met(&["role"], Test::Equals(json!("admin"))));
        assert!(met(&["level"], Test::Equals(json!(3.0))));
        assert!(met(&["verified"], Test::Equals(json!(true))));
        assert!(met(&["https://app.test/role"], Test::Equals(json!("owner"))));
        for (path, wanted) in
            [("role", json!("Admin")), ("level", json!("3")), ("verified", json!("true")), ("verified", json!(1))]
        {
            assert!(!met(&[path], Test::Equals(wanted)), "{path}");
        }
    }

    #[test]
    fn a_list_contains_whole_values_and_a_text_contains_nothing() {
        assert!(met(&["roles"], Test::Contains(json!("admin"))));
        assert!(met(&["org", "tags"], Test::Contains(json!("a"))));
        assert!(!met(&["roles"], Test::Contains(json!("adm"))));
        assert!(!met(&["role"], Test::Contains(json!("admin"))));
        assert!(!met(&["roles"], Test::Equals(json!("admin"))));
    }

    #[test]
    fn one_of_several_values_is_enough() {
        assert!(met(&["org", "id"], Test::OneOf(vec![json!("o-2"), json!("o-1")])));
        assert!(!met(&["org", "id"], Test::OneOf(vec![json!("o-2")])));
        assert!(!met(&["org", "id"], Test::OneOf(Vec::new())));
    }

    #[test]
    fn what_is_absent_meets_nothing() {
        for path in [&["absent"][..], &["role", "x"], &["org", "absent"]] {
            assert!(!met(path, Test::Equals(Value::Null)), "{path:?}");
        }
        assert!(met(&["nothing"], Test::Equals(Value::Null)));
    }
}
