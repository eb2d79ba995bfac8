//! Scalars whose errors must read well: serde's untagged enums say only that nothing matched.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::Fault;
use crate::claims::ClaimPath;
use crate::secret::Secret;

/// A whole number within bounds, and the one that is meant where none is given. Proxies that hold JSON as doubles may
/// write `1000000` as `1e6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<const MIN: u64, const MAX: u64, const DEFAULT: u64>(u64);

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Whole<MIN, MAX, DEFAULT> {
    /// The number.
    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// The number as the size of something.
    pub(super) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Default for Whole<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        const { assert!(MIN <= DEFAULT && DEFAULT <= MAX) };
        Self(DEFAULT)
    }
}

/// A secret: a reference to a variable, or the secret itself.
#[derive(Debug)]
pub(super) enum SecretRef {
    /// `{"env": "NAME"}`.
    Environment(String),
    /// The secret itself, which the proxy's configuration dump then shows.
    Literal(Secret),
}

/// The longest age of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaxAge {
    /// `"off"`.
    Off,
    /// In seconds, from [`MaxAge::MIN`] to [`MaxAge::MAX`].
    Seconds(u64),
}

impl MaxAge {
    /// A minute.
    pub(super) const MIN: u64 = 60;
    /// A year.
    pub(super) const MAX: u64 = 365 * 24 * 3600;
}

/// Where a claim or a field stands: names joined by dots, or a list of names, since names may hold dots themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawClaimPath(pub(super) ClaimPath);

impl<'de> Deserialize<'de> for RawClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClaimPathVisitor)
    }
}

struct ClaimPathVisitor;

impl<'de> Visitor<'de> for ClaimPathVisitor {
    type Value = RawClaimPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names joined by dots, or a list of names")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<RawClaimPath, E> {
        let path = ClaimPath::dotted(value);
        path.map(RawClaimPath).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(value), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawClaimPath, A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        ClaimPath::new(names).map(RawClaimPath).ok_or_else(|| A::Error::custom("a name must not be empty"))
    }
}

impl<'de, const MIN: u64, const MAX: u64, const DEFAULT: u64> Deserialize<'de> for Whole<MIN, MAX, DEFAULT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer.deserialize_any(WholeVisitor)?, MIN, MAX).map(Self)
    }
}

fn bounded<E: Error>(value: u64, min: u64, max: u64) -> Result<u64, E> {
    let fault = || E::custom(Fault::OutOfBounds { min, max });
    (min..=max).contains(&value).then_some(value).ok_or_else(fault)
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number that is not negative")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        whole(value).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }
}

/// The whole number that a double holds exactly.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are checked first")]
fn whole(value: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && (0.0..EXACT).contains(&value)).then_some(value as u64)
}

impl<'de> Deserialize<'de> for MaxAge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaxAgeVisitor)
    }
}

struct MaxAgeVisitor;

impl Visitor<'_> for MaxAgeVisitor {
    type Value = MaxAge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds or \"off\"")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<MaxAge, E> {
        bounded(value, MaxAge::MIN, MaxAge::MAX).map(MaxAge::Seconds)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<MaxAge, E> {
        let seconds = whole(value).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(value), &self))?;
        self.visit_u64(seconds)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<MaxAge, E> {
        match value {
            "off" => Ok(MaxAge::Off),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(value), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as {\"env\": \"NAME\"} or as text")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<SecretRef, E> {
        Ok(SecretRef::Literal(Secret::new(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let mut name: Option<String> = None;
        while let Some(key) = map.next_key::<String>()? {
            // The key is not repeated in the message: somebody may have put the secret there.
            if key != "env" {
                return Err(A::Error::custom("a secret reference has only the field `env`"));
            }
            if name.replace(map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field("env"));
            }
        }
        name.map(SecretRef::Environment).ok_or_else(|| A::Error::missing_field("env"))
    }
}
