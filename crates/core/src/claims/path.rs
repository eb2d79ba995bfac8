//! Where a value stands among claims, or among the fields of a user.

use std::fmt;

use serde_json::{Map, Value};

/// The names of nested objects, the outermost first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// These names, one inside the other; `None` if there is none, or an empty one.
    #[must_use]
    pub fn new(names: Vec<String>) -> Option<Self> {
        (!names.is_empty() && names.iter().all(|name| !name.is_empty())).then_some(Self(names))
    }

    /// This name alone.
    pub(super) fn one(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// Names joined by dots, such as `org.id`; `None` if one of them is empty.
    #[must_use]
    pub fn dotted(path: &str) -> Option<Self> {
        Self::new(path.split('.').map(str::to_owned).collect())
    }

    /// The name of the outermost.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The value that stands there.
    #[must_use]
    pub fn of<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
