//! The configuration as a JSON Schema (2020-12), made from the types that read it.
//!
//! It refuses what has the wrong form. What only the whole shows (a rule behind the last one, a header that is set twice)
//! it cannot say; `jwe-gate check` does.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::raw::RawConfig;
use super::scalar::{MaxAge, RawClaimPath, SecretRef, Whole};
use crate::claims::Rules;

/// The schema. It has no references: every field is described where it stands.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.untagged_enum_variant_titles = false;
    });
    let mut schema = settings.with_transform(Plain).into_generator().into_root_schema_for::<RawConfig>();
    schema.insert("title".to_owned(), "jwe-gate filter".into());
    schema.to_value()
}

/// What the derived schema says in the manner of Rust, in that of JSON: a comment's lines are one, and a null that is
/// accepted stands among the other forms of a field.
#[derive(Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::String(description)) = schema.get_mut("description") {
            *description = description.replace('\n', " ");
        }
        if let Some((forms, null)) = optional(schema) {
            schema.remove("anyOf");
            for (key, value) in forms {
                schema.ensure_object().entry(key).or_insert(value);
            }
            for key in ["anyOf", "oneOf"] {
                if let Some(Value::Array(forms)) = schema.get_mut(key) {
                    forms.push(null.clone());
                }
            }
        }
    }
}

/// The two parts of what has several forms or is null.
fn optional(schema: &Schema) -> Option<(Map<String, Value>, Value)> {
    let [Value::Object(forms), null] = schema.get("anyOf")?.as_array()?.as_slice() else { return None };
    let is_null = null.get("type").is_some_and(|kind| kind == "null");
    let has_forms = forms.contains_key("anyOf") || forms.contains_key("oneOf");
    (is_null && has_forms).then(|| (forms.clone(), null.clone()))
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> JsonSchema for Whole<MIN, MAX, DEFAULT> {
    fn schema_name() -> Cow<'static, str> {
        format!("Whole_{MIN}_{MAX}_{DEFAULT}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX, "default": DEFAULT })
    }
}

impl JsonSchema for MaxAge {
    fn schema_name() -> Cow<'static, str> {
        "MaxAge".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let default = Rules::default().max_session_age.map_or(Value::from("off"), |age| age.as_secs().into());
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": MaxAge::MIN, "maximum": MaxAge::MAX },
                { "const": "off" }
            ],
            "default": default
        })
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "secret",
            "anyOf": [
                {
                    "description": "The variable of the environment that holds the secret.",
                    "type": "object",
                    "properties": { "env": { "type": "string" } },
                    "required": ["env"],
                    "additionalProperties": false
                },
                {
                    "description": "The secret itself. It works, with a warning, since the proxy's configuration dump shows it.",
                    "type": "string",
                    "minLength": 1
                }
            ]
        })
    }
}

impl JsonSchema for RawClaimPath {
    fn schema_name() -> Cow<'static, str> {
        "ClaimPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "claim path",
            "anyOf": [
                { "description": "Names joined by dots.", "type": "string", "pattern": r"^[^.]+(\.[^.]+)*$" },
                {
                    "description": "The names of nested objects, the outermost first.",
                    "type": "array",
                    "items": { "type": "string", "minLength": 1 },
                    "minItems": 1
                }
            ]
        })
    }
}
