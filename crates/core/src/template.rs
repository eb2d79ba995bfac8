//! Bodies of replies, with places that are filled in.

use std::borrow::Cow;

/// A text with places: `{{status}}`, `{{error}}` and `{{sign_in}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Status,
    Error,
    SignIn,
}

/// What fills the places. All of it comes from the gate or the configuration, so nothing needs escaping.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// The status code.
    pub status: u32,
    /// The name of the error.
    pub error: &'a str,
    /// Where to sign in; empty if that is not configured.
    pub sign_in: &'a str,
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// The name of the first place that is none of these, or that does not end.
    pub fn new(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| after.chars().take(16).collect::<String>())?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name.trim() {
                "status" => Part::Status,
                "error" => Part::Error,
                "sign_in" => Part::SignIn,
                other => return Err(other.to_owned()),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text with its places filled.
    #[must_use]
    pub fn fill(&self, filling: &Filling<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => Cow::Owned(text.clone()),
            Part::Status => Cow::Owned(filling.status.to_string()),
            Part::Error => Cow::Owned(filling.error.to_owned()),
            Part::SignIn => Cow::Owned(filling.sign_in.to_owned()),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_braces_of_json_are_left_alone() {
        let template =
            Template::new(r#"{"a":{"status":{{status}},"error":"{{ error }}"},"go":"{{sign_in}}"}"#).unwrap();
        let filling = Filling { status: 401, error: "unauthenticated", sign_in: "https://a.test/in" };
        let expected = r#"{"a":{"status":401,"error":"unauthenticated"},"go":"https://a.test/in"}"#;
        assert_eq!(template.fill(&filling), expected);
    }

    #[test]
    fn other_places_are_refused() {
        assert_eq!(Template::new("{{token}}").unwrap_err(), "token");
        assert_eq!(Template::new("a {{status").unwrap_err(), "status");
    }
}
