//! Reads JSON as LiveKit's Go code does: `null` means absent, unknown fields and unknown enum values are passed over. The
//! generated code does the second only, so this puts a deserializer in front that drops the nulls and reports where an
//! unknown enum value stood; that field is then taken out and the reading begun again.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::{Number, Value};
use std::fmt::{self, Display};

/// Unknown enum values taken out of one message before it is refused. Each costs a reading, so this bounds the work; a
/// newer client has a few.
const UNKNOWN_ENUMS_MAX: usize = 16;

/// The text is no JSON, or not that of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(pub(super) String);

/// Nesting is bounded by serde_json (128).
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let mut value: Value = serde_json::from_slice(text).map_err(|e| JsonError(e.to_string()))?;
    for _ in 0..=UNKNOWN_ENUMS_MAX {
        match T::deserialize(Node(&value)) {
            Ok(message) => return Ok(message),
            Err(Fault::UnknownEnum { path }) => remove(&mut value, &path),
            Err(Fault::Other(why)) => return Err(JsonError(why)),
        }
    }
    Err(JsonError("too many unknown enum values".to_owned()))
}

#[derive(Debug)]
enum Fault {
    /// Innermost step first.
    UnknownEnum {
        path: Vec<Step>,
    },
    Other(String),
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Fault {
    fn under(self, step: impl FnOnce() -> Step) -> Fault {
        match self {
            Fault::UnknownEnum { mut path } => {
                path.push(step());
                Fault::UnknownEnum { path }
            }
            other => other,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::UnknownEnum { .. } => f.write_str("unknown enum value"),
            Fault::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(why: T) -> Fault {
        Fault::Other(why.to_string())
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Fault {
        Fault::UnknownEnum { path: Vec::new() }
    }

    /// An enum given by a number outside its range; generated enums expect "one of" their names.
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        let is_number = matches!(found, Unexpected::Signed(_) | Unexpected::Unsigned(_));
        if is_number && expected.to_string().starts_with("expected one of") {
            return Fault::UnknownEnum { path: Vec::new() };
        }
        Fault::Other(format!("invalid value: {found}, expected {expected}"))
    }
}

fn remove(value: &mut Value, path: &[Step]) {
    let Some((last, outer)) = path.split_first() else { return };
    let holder = outer.iter().rev().try_fold(value, |at, step| match step {
        Step::Key(key) => at.get_mut(key),
        Step::Index(index) => at.get_mut(index),
    });
    match (holder, last) {
        (Some(Value::Object(fields)), Step::Key(key)) => drop(fields.remove(key)),
        (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => drop(items.remove(*index)),
        _ => (),
    }
}

struct Node<'a>(&'a Value);

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Number(n) => visit_number(n, visitor),
            Value::String(s) => visitor.visit_borrowed_str(s),
            Value::Array(items) => visitor.visit_seq(Items { items, at: 0 }),
            Value::Object(fields) => visitor.visit_map(Fields { rest: fields.iter(), current: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

fn visit_number<'a, V: Visitor<'a>>(n: &Number, visitor: V) -> Result<V::Value, Fault> {
    match (n.as_u64(), n.as_i64(), n.as_f64()) {
        (Some(n), ..) => visitor.visit_u64(n),
        (None, Some(n), _) => visitor.visit_i64(n),
        (None, None, Some(n)) => visitor.visit_f64(n),
        _ => Err(de::Error::custom("a number out of range")),
    }
}

struct Items<'a> {
    items: &'a [Value],
    at: usize,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let index = self.at;
        let Some(item) = self.items.get(index) else { return Ok(None) };
        self.at += 1;
        seed.deserialize(Node(item)).map(Some).map_err(|e| e.under(|| Step::Index(index)))
    }
}

struct Fields<'a> {
    rest: serde_json::map::Iter<'a>,
    current: Option<(&'a String, &'a Value)>,
}

impl<'a> MapAccess<'a> for Fields<'a> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.current = self.rest.find(|(_, value)| !value.is_null());
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(StrDeserializer::<Fault>::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (key, value) = self.current.ok_or_else(|| de::Error::custom("a value without a key"))?;
        seed.deserialize(Node(value)).map_err(|e| e.under(|| Step::Key(key.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        CreateRoomRequest, ParticipantPermission, SendDataRequest, SignalRequest, TrackSource, signal_request::Message,
    };

    fn read<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
        parse(text.as_bytes())
    }

    #[test]
    fn both_spellings_and_numbers_as_text_are_taken() {
        let text = r#"{"name":"r","emptyTimeout":"33","departure_timeout":4,"nope":{"a":[1]},"metadata":null}"#;
        let request: CreateRoomRequest = read(text).unwrap();
        assert_eq!((request.name.as_str(), request.empty_timeout, request.departure_timeout), ("r", 33, 4));
        assert_eq!(request.metadata, "");
    }

    #[test]
    fn unknown_enum_values_are_passed_over() {
        let request: SendDataRequest = read(r#"{"room":"r","data":"aGk=","kind":"NOPE"}"#).unwrap();
        assert_eq!((request.data.as_slice(), request.kind), (&b"hi"[..], 0));
        assert_eq!(read::<SendDataRequest>(r#"{"room":"r","kind":77}"#).unwrap().room, "r");
        let sources = r#"{"canPublishSources":["NEW","CAMERA","NEWER"],"canPublish":true}"#;
        let permission: ParticipantPermission = read(sources).unwrap();
        assert_eq!((permission.can_publish_sources, permission.can_publish), (vec![TrackSource::Camera as i32], true));
    }

    #[test]
    fn a_flood_of_unknown_enum_values_ends() {
        let text = format!(r#"{{"canPublishSources":[{}"X"]}}"#, r#""X","#.repeat(10_000));
        assert!(read::<ParticipantPermission>(&text).is_err());
    }

    #[test]
    fn what_is_not_the_message_is_refused() {
        for text in ["", "{", "[]", r#""x""#, "5", "null", r#"{"name":5}"#, r#"{"name":{}}"#, r#"{"emptyTimeout":-1}"#]
        {
            assert!(read::<CreateRoomRequest>(text).is_err(), "{text}");
        }
        for text in [r#"{"emptyTimeout":"many"}"#, r#"{"data":"!!!"}"#] {
            assert!(read::<CreateRoomRequest>(text).is_err() || read::<SendDataRequest>(text).is_err(), "{text}");
        }
        assert!(read::<CreateRoomRequest>(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_oneof_is_read() {
        let request: SignalRequest = read(r#"{"offer":null,"ping":"12"}"#).unwrap();
        assert_eq!(request.message, Some(Message::Ping(12)));
    }
}
