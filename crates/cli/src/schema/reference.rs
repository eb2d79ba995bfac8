//! The schema as tables in Markdown: one row for each field, one section for each object of the document.

use std::fmt::Write as _;

use serde_json::Value;

const INTRODUCTION: &str = "\
# The filter's configuration, field by field

Made from the types that read it, by `jwe-gate schema --reference`; do not edit. `make reference` renews it and
[filter.schema.json](filter.schema.json). [CONFIGURATION.md](CONFIGURATION.md) explains how the parts work together.

`[]` stands for each entry of a list. Fields without a default are optional, unless \"required\" is said. Unknown fields are
refused. Whole numbers may be written as `1e5`.

A **secret** is `{\"env\": \"NAME\"}`, a variable of the environment, which must be set. A text works as well, with a warning, since
the proxy's configuration dump shows it. A **claim path** is a text of names joined by dots (`org.id`), or a list of names.
";

/// The whole document.
pub(super) fn markdown(schema: &Value) -> String {
    let mut document = INTRODUCTION.to_owned();
    let (inner, plain): (Vec<_>, Vec<_>) = fields(schema, "").into_iter().partition(|field| inside(field).is_some());
    section(&mut document, "Top level", &plain);
    for field in inner {
        let name = field.path.clone();
        let mut rows = Vec::new();
        collect(field, &mut rows);
        section(&mut document, &name, &rows);
    }
    document
}

/// A field, and where it stands.
struct Field<'a> {
    path: String,
    schema: &'a Value,
    is_required: bool,
}

fn section(document: &mut String, title: &str, fields: &[Field<'_>]) {
    // Writing to a `String` does not fail.
    let _ = write!(document, "\n## {title}\n\n| field | type | default | bounds | meaning |\n|---|---|---|---|---|\n");
    for field in fields {
        let Field { path, schema, is_required } = field;
        let default = if *is_required { "required".to_owned() } else { default(schema) };
        let cells = [kind(schema), default, bounds(schema).join("; "), meaning(schema)];
        let cells = cells.map(|cell| format!(" {} |", cell.replace('|', "\\|")));
        let _ = writeln!(document, "| `{path}` |{}", cells.concat());
    }
}

/// The field and all that is in it.
fn collect<'a>(field: Field<'a>, rows: &mut Vec<Field<'a>>) {
    let inner = inside(&field).map(|(path, schema)| fields(schema, &path));
    rows.push(field);
    for field in inner.into_iter().flatten() {
        collect(field, rows);
    }
}

/// The object that a field holds one or many of.
fn inside<'a>(field: &Field<'a>) -> Option<(String, &'a Value)> {
    let (path, schema) = match field.schema.get("items") {
        Some(items) => (format!("{}[].", field.path), items),
        None => (format!("{}.", field.path), field.schema),
    };
    schema.get("properties").map(|_| (path, schema))
}

/// The fields of an object, those first that must be there.
fn fields<'a>(schema: &'a Value, path: &str) -> Vec<Field<'a>> {
    let required = list(schema, "required");
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let field = |(name, schema): (&String, &'a Value)| {
        let is_required = required.iter().any(|required| required.as_str() == Some(name));
        Field { path: format!("{path}{name}"), schema, is_required }
    };
    let mut fields: Vec<_> = properties.map(field).collect();
    fields.sort_by_key(|field| !field.is_required);
    fields
}

/// What has to be written, in words.
fn kind(schema: &Value) -> String {
    if let Some(title) = text(schema, "title") {
        return title.to_owned();
    }
    if let Some(items) = schema.get("items") {
        return match kind(items).as_str() {
            "any" | "object" => "list".to_owned(),
            inner => format!("list of {inner}s"),
        };
    }
    let mut kinds: Vec<String> = forms(schema).iter().map(|form| kind(form)).collect();
    kinds.dedup();
    if !kinds.is_empty() {
        return kinds.join(" or ");
    }
    let value = schema.get("const").map(|value| if value.is_string() { "string" } else { "any" });
    let types = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match types.or(value) {
        Some("integer") => "number",
        Some("string") => "text",
        Some(other) if other != "array" => other,
        _ => "any",
    }
    .to_owned()
}

fn default(schema: &Value) -> String {
    match schema.get("default") {
        None => String::new(),
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => format!("`{other}`"),
    }
}

/// The bounds and values of a field, or of what is in it.
fn bounds(schema: &Value) -> Vec<String> {
    let mut bounds = Vec::new();
    for (unit, least, most) in [
        ("", "minimum", "maximum"),
        (" characters", "minLength", "maxLength"),
        ("", "minItems", "maxItems"),
        ("", "minProperties", "maxProperties"),
    ] {
        bounds.extend(match (number(schema, least), number(schema, most)) {
            (Some(least), Some(most)) if least == most => Some(least.to_string()),
            (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
            (None, Some(most)) => Some(format!("at most {most}{unit}")),
            (Some(1), None) => Some("not empty".to_owned()),
            (Some(least), None) => Some(format!("at least {least}{unit}")),
            (None, None) => None,
        });
    }
    if text(schema, "title").is_none() {
        let forms = forms(schema).into_iter().chain(schema.get("items").into_iter().flat_map(forms));
        let values: Vec<_> = forms.filter_map(|form| form.get("const")).map(|value| format!("`{value}`")).collect();
        bounds.extend(forms_bounds(schema));
        bounds.extend((!values.is_empty()).then(|| values.join(", ")));
    }
    bounds
}

fn forms_bounds(schema: &Value) -> Vec<String> {
    forms(schema).into_iter().filter(|form| form.get("const").is_none()).flat_map(bounds).collect()
}

/// The description, and what each form means.
fn meaning(schema: &Value) -> String {
    let mut words: Vec<String> = text(schema, "description").into_iter().map(str::to_owned).collect();
    let inner = ["items", "additionalProperties"].into_iter().filter_map(|key| schema.get(key));
    for form in std::iter::once(schema).chain(inner).filter(|schema| text(schema, "title").is_none()).flat_map(forms) {
        let member = form.get("properties").and_then(|members| members.as_object()?.keys().next());
        let written = match (form.get("const"), member) {
            (Some(value), _) => value.to_string(),
            (None, Some(name)) => format!("{{\"{name}\": …}}"),
            (None, None) => continue,
        };
        words.extend(text(form, "description").map(|description| format!("`{written}`: {description}")));
    }
    words.join(" ")
}

/// The forms that a field may have, but null, which counts as not given.
fn forms(schema: &Value) -> Vec<&Value> {
    let forms = [list(schema, "anyOf"), list(schema, "oneOf")].concat();
    forms.iter().filter(|form| text(form, "type") != Some("null")).copied().collect()
}

fn list<'a>(schema: &'a Value, key: &str) -> Vec<&'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten().collect()
}

fn number(schema: &Value, key: &str) -> Option<u64> {
    schema.get(key)?.as_u64()
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}
