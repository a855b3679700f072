//! Spells a message out: every field present, under its name in the `.proto` file, as Twirp's Go servers answer. The
//! generated code leaves defaults out and cannot be asked for a message's fields, so [`Shape`]s tell them.

use serde_json::{Map, Value};

/// The fields of a message.
pub type Shape = &'static [Field];

/// A message that can be spelt out.
pub trait Shaped: serde::Serialize {
    const SHAPE: Shape;
}

/// One field of a message.
pub struct Field {
    /// As in the `.proto` file.
    name: &'static str,
    blank: Blank,
    /// Of the messages it holds.
    shape: Shape,
}

/// What stands for a field that is not set.
#[derive(Clone, Copy)]
enum Blank {
    Text,
    Flag,
    Number,
    /// 64-bit numbers are written as strings.
    Long,
    List,
    Map,
    /// A message.
    Null,
    /// Name of the enum's first value.
    Choice(&'static str),
    /// `optional` scalars and members of a oneof.
    Absent,
}

impl Field {
    const fn of(name: &'static str, blank: Blank, shape: Shape) -> Field {
        Field { name, blank, shape }
    }

    pub const fn text(name: &'static str) -> Field {
        Field::of(name, Blank::Text, &[])
    }

    pub const fn flag(name: &'static str) -> Field {
        Field::of(name, Blank::Flag, &[])
    }

    pub const fn number(name: &'static str) -> Field {
        Field::of(name, Blank::Number, &[])
    }

    pub const fn long(name: &'static str) -> Field {
        Field::of(name, Blank::Long, &[])
    }

    pub const fn choice(name: &'static str, first: &'static str) -> Field {
        Field::of(name, Blank::Choice(first), &[])
    }

    /// A map of scalars.
    pub const fn map(name: &'static str) -> Field {
        Field::of(name, Blank::Map, &[])
    }

    /// A list of messages, or of scalars with the empty shape.
    pub const fn list(name: &'static str, shape: Shape) -> Field {
        Field::of(name, Blank::List, shape)
    }

    pub const fn message(name: &'static str, shape: Shape) -> Field {
        Field::of(name, Blank::Null, shape)
    }

    /// An `optional` scalar or a member of a oneof.
    pub const fn optional(name: &'static str, shape: Shape) -> Field {
        Field::of(name, Blank::Absent, shape)
    }
}

impl Blank {
    fn value(self) -> Option<Value> {
        Some(match self {
            Blank::Text => Value::from(""),
            Blank::Flag => Value::from(false),
            Blank::Number => Value::from(0),
            Blank::Long => Value::from("0"),
            Blank::List => Value::Array(Vec::new()),
            Blank::Map => Value::Object(Map::new()),
            Blank::Null => Value::Null,
            Blank::Choice(first) => Value::from(first),
            Blank::Absent => return None,
        })
    }
}

/// Fills and renames the fields of a message as the generated code serialized it.
pub(super) fn spell(value: Value, shape: Shape) -> Value {
    match value {
        Value::Object(fields) => Value::Object(spell_fields(fields, shape)),
        Value::Array(items) => items.into_iter().map(|item| spell(item, shape)).collect(),
        scalar => scalar,
    }
}

fn spell_fields(mut fields: Map<String, Value>, shape: Shape) -> Map<String, Value> {
    let mut all = Map::new();
    for field in shape {
        let given = fields.remove(&lower_camel(field.name)).map(|v| spell_field(v, field));
        if let Some(value) = given.or_else(|| field.blank.value()) {
            all.insert(field.name.to_owned(), value);
        }
    }
    all
}

fn spell_field(value: Value, field: &Field) -> Value {
    match field.blank {
        Blank::Map => value,
        _ => spell(value, field.shape),
    }
}

fn lower_camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name.push_str(&head.to_ascii_uppercase());
        name.push_str(tail);
        name
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde::de::{self, Deserialize, Deserializer, Visitor};
    use std::collections::BTreeSet;

    /// Asks the generated reader for the names it takes.
    struct Names<'a>(&'a mut BTreeSet<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("not a message"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields);
            Err(de::Error::custom("names taken"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    /// That the shape names all fields of the message and no others.
    pub(in crate::proto::json) fn covers<T: Deserialize<'static>>(shape: Shape) {
        let mut names = BTreeSet::new();
        assert!(T::deserialize(Names(&mut names)).is_err());
        let camel: Vec<String> = shape.iter().map(|f| lower_camel(f.name)).collect();
        let told: BTreeSet<&str> = shape.iter().map(|f| f.name).chain(camel.iter().map(String::as_str)).collect();
        assert_eq!(names, told, "{}", std::any::type_name::<T>());
    }

    #[test]
    fn names_follow_the_json_mapping() {
        for (name, json) in [("sid", "sid"), ("creation_time_ms", "creationTimeMs"), ("sdp_cid", "sdpCid")] {
            assert_eq!(lower_camel(name), json);
        }
    }
}
