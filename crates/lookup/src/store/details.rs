//! What is found of a user besides the id, and whether it is fit to be answered.
//!
//! Nothing is cut off or left out: what is too large, or is said in two ways, fails.

use std::collections::HashMap;

use jwe_gate_contract::{MAX_FIELD_BYTES, MAX_FIELDS_BYTES};
use serde_json::Value;

use super::{Finding, Unfit, UserFields};

/// Longer texts of a database are not read to the end. With room for the blanks that a database puts between values.
pub(super) const LONGEST_TEXT: usize = 64 * 1024;

/// A row about a user.
pub(super) struct UserRow {
    pub(super) id: String,
    /// None if it cannot be told.
    pub(super) is_banned: Option<bool>,
    /// A JSON object; at most a byte more than [`LONGEST_TEXT`].
    pub(super) fields: Option<String>,
}

/// The findings on `subjects`, in order.
pub(super) fn findings(
    subjects: &[String],
    rows: Vec<UserRow>,
    typed: impl Fn(&str, Value) -> Option<Value>,
) -> Vec<Finding> {
    let mut found: HashMap<String, Finding> = HashMap::with_capacity(rows.len());
    for row in rows {
        let (id, finding) = (row.id.clone(), finding(row, &typed));
        found
            .entry(id)
            .and_modify(|first| {
                if *first != finding {
                    *first = Finding::Unfit(Unfit::Ambiguous);
                }
            })
            .or_insert(finding);
    }
    subjects.iter().map(|subject| found.get(subject).cloned().unwrap_or(Finding::Unknown)).collect()
}

fn finding(row: UserRow, typed: &impl Fn(&str, Value) -> Option<Value>) -> Finding {
    match row.is_banned {
        None => Finding::Unfit(Unfit::Unreadable),
        Some(true) => Finding::Banned,
        Some(false) => match row.fields.map_or(Ok(UserFields::new()), |text| fields(&text, typed)) {
            Ok(fields) => Finding::Known { user: row.id, ends_in_ms: None, fields },
            Err(unfit) => Finding::Unfit(unfit),
        },
    }
}

fn fields(text: &str, typed: &impl Fn(&str, Value) -> Option<Value>) -> Result<UserFields, Unfit> {
    if text.len() > LONGEST_TEXT {
        return Err(Unfit::TooLarge { field: None });
    }
    let raw: UserFields = serde_json::from_str(text).map_err(|_| Unfit::Unreadable)?;
    let mut fields = UserFields::new();
    let mut bytes = 0;
    for (name, value) in raw {
        let value = typed(&name, value).ok_or(Unfit::Unreadable)?;
        let length = value.to_string().len();
        if length > MAX_FIELD_BYTES {
            return Err(Unfit::TooLarge { field: Some(name) });
        }
        // The name with its quotation marks, a colon, the value, and a comma or the brace.
        bytes += name.len() + length + 4;
        fields.insert(name, value);
    }
    // And the other brace.
    if bytes + 1 > MAX_FIELDS_BYTES { Err(Unfit::TooLarge { field: None }) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, fields: &Value) -> UserRow {
        UserRow { id: id.into(), is_banned: Some(false), fields: Some(fields.to_string()) }
    }

    fn of(rows: Vec<UserRow>) -> Finding {
        findings(&["7".into()], rows, |_, value| Some(value)).remove(0)
    }

    #[test]
    fn what_is_said_in_two_ways_is_not_answered() {
        let (one, other) = (json!({ "role": "a" }), json!({ "role": "b" }));
        assert!(matches!(of(vec![row("7", &one), row("7", &one)]), Finding::Known { .. }));
        assert_eq!(of(vec![row("7", &one), row("7", &other)]), Finding::Unfit(Unfit::Ambiguous));
        assert_eq!(of(vec![row("8", &one)]), Finding::Unknown);
        let barred = UserRow { is_banned: Some(true), ..row("7", &one) };
        assert_eq!(of(vec![row("7", &one), barred]), Finding::Unfit(Unfit::Ambiguous));
    }

    #[test]
    fn bounds_are_those_of_the_contract() {
        let text = |length: usize| json!("x".repeat(length - 2));
        let of = |fields: Value| of(vec![row("7", &fields)]);
        assert!(matches!(of(json!({ "a": text(MAX_FIELD_BYTES) })), Finding::Known { .. }));
        let too_large = |field: Option<&str>| Finding::Unfit(Unfit::TooLarge { field: field.map(str::to_owned) });
        assert_eq!(of(json!({ "a": text(MAX_FIELD_BYTES + 1) })), too_large(Some("a")));
        let both = |last: usize| json!({ "a": text(1000), "b": text(1000), "c": text(last) });
        let around = both(2).to_string().len() - 2;
        let Finding::Known { fields, .. } = of(both(MAX_FIELDS_BYTES - around)) else { panic!() };
        assert_eq!(serde_json::to_string(&fields).unwrap().len(), MAX_FIELDS_BYTES);
        assert_eq!(of(both(MAX_FIELDS_BYTES - around + 1)), too_large(None));
    }

    #[test]
    fn one_who_is_barred_is_barred_whatever_else_is_said() {
        let barred = UserRow { is_banned: Some(true), ..row("7", &json!({ "a": "x".repeat(5_000) })) };
        assert_eq!(of(vec![barred]), Finding::Banned);
        let untold = UserRow { is_banned: None, ..row("7", &json!({})) };
        assert_eq!(of(vec![untold]), Finding::Unfit(Unfit::Unreadable));
    }
}
