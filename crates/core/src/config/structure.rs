//! `google.protobuf.Struct`, which Envoy hands on as it stands on the wire, as JSON.

use prost::Message;
use prost_types::Struct;
use prost_types::value::Kind;
use serde_json::Number;

use super::json::Json;

/// The JSON that a serialized `Struct` stands for; `None` when the bytes are none.
///
/// Its first byte is that of the first field, a line feed, with which JSON may begin as well; JSON that is also a whole
/// and valid `Struct` cannot be written by accident.
pub(super) fn json(bytes: &[u8]) -> Option<Json> {
    if bytes.first() != Some(&FIELDS) {
        return None;
    }
    Struct::decode(bytes).ok().map(object)
}

fn object(fields: Struct) -> Json {
    Json::Object(fields.fields.into_iter().map(|(name, value)| (name, of(value))).collect())
}

fn of(value: prost_types::Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(value),
        Some(Kind::NumberValue(value)) => Number::from_f64(value).map_or(Json::Null, Json::Number),
        Some(Kind::StringValue(value)) => Json::Text(value),
        Some(Kind::ListValue(list)) => Json::List(list.values.into_iter().map(of).collect()),
        Some(Kind::StructValue(fields)) => object(fields),
    }
}

/// The tag of the field `fields`: number 1, length-delimited.
const FIELDS: u8 = 0x0a;
