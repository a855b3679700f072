//! The field names a protobuf message takes in JSON, asked of its own deserializer. Called by `kind`.
//!
//! The generated code skips names it does not know; a misspelt preset would silently do nothing, so we look first.

use serde::de::{Deserialize, Deserializer, Error as _, Visitor, value::Error};

/// Both spellings of every field of `M`, snake_case and camelCase.
pub fn field_names<'de, M: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // Always an error: the probe holds no message.
    let _ = M::deserialize(Probe(&mut names));
    names
}

/// A deserializer that only notes what it is asked for.
struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("a probe holds nothing"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a probe holds nothing"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_known() {
        let names = field_names::<crate::proto::RoomConfiguration>();
        assert!(names.contains(&"empty_timeout") && names.contains(&"emptyTimeout"));
        assert!(!names.contains(&"empty_timeot"));
    }
}
