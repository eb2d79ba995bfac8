//! Reading the configuration's types out of [`Json`], with the path of the field that is wrong.
//!
//! Stricter than serde's own readers: a member that comes twice is an error, also in a map, and a list is no object.
//! Errors never repeat a text that stood there, since a secret may have got into the wrong field.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Number;

use super::json::Json;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The steps to the field, the last one first.
    steps: Vec<Step>,
    /// What is wrong with it.
    pub(super) words: String,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Entry(usize),
}

impl Refusal {
    /// The path of the field; a dot alone for the whole document.
    pub(super) fn path(&self) -> String {
        let steps = self.steps.iter().rev().map(|step| match step {
            Step::Member(name) => format!(".{name}"),
            Step::Entry(index) => format!("[{index}]"),
        });
        match steps.collect::<String>() {
            path if path.is_empty() => ".".to_owned(),
            path => path.trim_start_matches('.').to_owned(),
        }
    }

    fn inside(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Refusal {}

impl Error for Refusal {
    fn custom<T: Display>(words: T) -> Self {
        Self { steps: Vec::new(), words: words.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("invalid type: {}, expected {expected}", Kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("invalid value: {}, expected {expected}", Kind(found)))
    }
}

/// What stood there, texts by their kind alone.
struct Kind<'a>(Unexpected<'a>);

impl Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "boolean `{value}`"),
            Unexpected::Unsigned(value) => write!(f, "integer `{value}`"),
            Unexpected::Signed(value) => write!(f, "integer `{value}`"),
            // By the only code for these numbers that the filter has anyway: core's own takes 15 KB.
            Unexpected::Float(value) => match Number::from_f64(value) {
                Some(number) => write!(f, "floating point `{number}`"),
                None => f.write_str("floating point"),
            },
            Unexpected::Str(_) => f.write_str("text"),
            Unexpected::Unit => f.write_str("null"),
            Unexpected::Seq => f.write_str("sequence"),
            Unexpected::Map => f.write_str("map"),
            _ => f.write_str("something else"),
        }
    }
}

impl IntoDeserializer<'_, Refusal> for Json {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Json {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            Self::Text(text) => visitor.visit_string(text),
            Self::List(list) => visitor.visit_seq(List { index: 0, rest: list.into_iter() }),
            Self::Object(members) => visitor.visit_map(Members::of(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self == Self::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        // Not by `deserialize_any`: it would read a list as the fields in their order, and be compiled for that.
        match self {
            Self::Object(members) => visitor.visit_map(Members::of(members)),
            Self::List(_) => Err(Refusal::invalid_type(Unexpected::Seq, &"an object")),
            other => Err(Refusal::invalid_type(other.kind(), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self {
            Self::Text(name) => visitor.visit_enum(Choice { name, value: None }),
            Self::Object(members) => match <[_; 1]>::try_from(members) {
                Ok([(name, value)]) => visitor.visit_enum(Choice { name, value: Some(value) }),
                Err(_) => Err(Refusal::custom("must be an object with one member")),
            },
            other => Err(Refusal::invalid_type(other.kind(), &"text or an object with one member")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl Json {
    fn kind(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => Unexpected::Unsigned(value),
                (_, Some(value), _) => Unexpected::Signed(value),
                (_, _, value) => Unexpected::Float(value.unwrap_or(f64::NAN)),
            },
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
        }
    }
}

struct List {
    index: usize,
    rest: std::vec::IntoIter<Json>,
}

impl<'de> SeqAccess<'de> for List {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(value).map(Some).map_err(|refusal| refusal.inside(Step::Entry(index)))
    }
}

struct Members {
    seen: Vec<String>,
    rest: std::vec::IntoIter<(String, Json)>,
    /// The member whose name has been read.
    at: Option<(String, Json)>,
}

impl Members {
    fn of(members: Vec<(String, Json)>) -> Self {
        Self { seen: Vec::new(), rest: members.into_iter(), at: None }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        if self.seen.contains(&name) {
            return Err(Refusal::custom(format_args!("duplicate field `{name}`")));
        }
        self.seen.push(name.clone());
        let read = seed.deserialize(StringDeserializer::new(name.clone()));
        let read = read.map_err(|refusal: Refusal| refusal.inside(Step::Member(name.clone())))?;
        self.at = Some((name, value));
        Ok(Some(read))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let Some((name, value)) = self.at.take() else { return Err(Refusal::custom("a value without a name")) };
        seed.deserialize(value).map_err(|refusal| refusal.inside(Step::Member(name)))
    }
}

/// One of several, by its name; with a value where the choice has one.
struct Choice {
    name: String,
    value: Option<Json>,
}

impl<'de> EnumAccess<'de> for Choice {
    type Error = Refusal;
    type Variant = Chosen;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Chosen), Refusal> {
        let chosen = Chosen { name: self.name.clone(), value: self.value };
        Ok((seed.deserialize(StringDeserializer::new(self.name))?, chosen))
    }
}

struct Chosen {
    name: String,
    value: Option<Json>,
}

impl<'de> VariantAccess<'de> for Chosen {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Refusal::custom(format_args!("`{}` has no value", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        match self.value {
            Some(value) => seed.deserialize(value).map_err(|refusal| refusal.inside(Step::Member(self.name))),
            None => Err(Refusal::custom(format_args!("`{}` needs a value", self.name))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Refusal> {
        Err(Refusal::custom(format_args!("`{}` cannot be read", self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Refusal> {
        Err(Refusal::custom(format_args!("`{}` cannot be read", self.name)))
    }
}
