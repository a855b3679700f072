//! What a key may hold, and how its text becomes a `Value`. Called by `file` for YAML and by `overlay` for flags and environment.

use super::duration;
use super::message;
use super::scalar;
use super::spelling;
use super::tree::{Content, Entry, Node};
use super::value::{Secret, Value};
use serde_json::{Map as JsonMap, Value as Json};
use std::collections::BTreeMap;

/// A key's type. `&'static` so that the table is one constant expression per row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Text,
    /// Text that is never shown.
    Secret,
    /// Both ends included.
    Int(i64, i64),
    /// A limit: negative means "none", as 0 does.
    Limit,
    Float,
    Duration,
    /// `N` or `N-M`.
    Ports,
    /// `v4`, `v6` or `v4,v6`.
    NodeIp,
    List(&'static Kind),
    /// Text keys the operator chooses.
    Map(&'static Kind),
    /// Simulcast layers by number; what is not written keeps its default.
    Layers(&'static Kind),
    Fields(&'static [Field]),
    /// A `RoomConfiguration` by protobuf's JSON rules.
    RoomConfiguration,
}

/// A member of a list's or a map's entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
}

/// A fault inside one value: the line, the path below the key, and what is wrong.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub line: usize,
    pub path: String,
    pub wrong: Wrong,
}

#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// A member nobody knows; the nearest that is known.
    Unknown(Option<&'static str>),
    Value(String),
}

impl Kind {
    /// Whether LiveKit has a flag and an environment variable for keys of this kind.
    pub fn has_flag(&self) -> bool {
        !matches!(self, Kind::List(_) | Kind::Map(_) | Kind::Layers(_) | Kind::Fields(_) | Kind::RoomConfiguration)
    }

    /// The type in an operator's words.
    pub fn name(&self) -> String {
        match self {
            Kind::Bool => "true or false".into(),
            Kind::Text | Kind::Secret => "text".into(),
            Kind::Int(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Limit => "a whole number, 0 for no limit".into(),
            Kind::Float => "a number".into(),
            Kind::Duration => "a duration such as 5s or 100ms".into(),
            Kind::Ports => "a port or a range such as 7882-7892".into(),
            Kind::NodeIp => "an address, or <ipv4>,<ipv6>".into(),
            Kind::List(item) => format!("a list, each item {}", item.name()),
            Kind::Map(_) | Kind::Fields(_) | Kind::RoomConfiguration => "a mapping".into(),
            Kind::Layers(_) => "a mapping from layer number".into(),
        }
    }

    /// What an absent value is: the default of a key whose table row gives none.
    pub fn zero(&self) -> Value {
        match self {
            Kind::Bool => Value::Bool(false),
            Kind::Text => Value::text(""),
            Kind::Secret => Value::Secret(Secret(String::new())),
            Kind::Int(..) | Kind::Limit => Value::Int(0),
            Kind::Float => Value::Float(0.0),
            Kind::Duration => Value::Duration(Default::default()),
            Kind::Ports => Value::Null,
            Kind::NodeIp => Value::NodeIp(None, None),
            Kind::List(_) => Value::List(Vec::new()),
            Kind::Map(_) | Kind::Layers(_) | Kind::RoomConfiguration => Value::Map(BTreeMap::new()),
            Kind::Fields(fields) => Value::Map(zero_fields(fields)),
        }
    }

    /// Reads YAML. `None` where nothing was set or where `faults` grew; every fault is reported, not only the first.
    pub fn read(&self, node: &Node, faults: &mut Vec<Fault>) -> Option<Value> {
        if node.is_null() {
            return matches!(self, Kind::List(_) | Kind::Map(_) | Kind::Layers(_)).then(|| self.zero());
        }
        match (self, &node.content) {
            (Kind::List(item), Content::List(nodes)) => read_list(item, nodes, faults),
            (Kind::Map(item), Content::Map(entries)) => read_map(item, entries, faults),
            (Kind::Layers(item), Content::Map(entries)) => read_layers(item, entries, faults),
            (Kind::Fields(fields), Content::Map(entries)) => read_fields(fields, entries, faults),
            (Kind::RoomConfiguration, Content::Map(_)) => read_message(node, faults),
            (_, Content::Scalar { text, plain }) => match self.scalar(text, *plain) {
                Ok(value) => Some(value),
                Err(what) => fault(faults, node.line, what),
            },
            _ => fault(faults, node.line, format!("must be {}", self.name())),
        }
    }

    /// Reads a flag or an environment variable. Durations without a unit are nanoseconds there, as in LiveKit.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        match self {
            Kind::Bool => scalar::flag_bool(text).map(Value::Bool).ok_or_else(|| self.refusal(text)),
            Kind::Duration => match text.parse::<u64>() {
                Ok(nanos) => Ok(Value::Duration(std::time::Duration::from_nanos(nanos))),
                Err(_) => duration::parse(text).map(Value::Duration),
            },
            _ => self.scalar(text, true),
        }
    }

    fn scalar(&self, text: &str, plain: bool) -> Result<Value, String> {
        let number = || if plain { Ok(text) } else { Err(format!("must be {}; remove the quotes", self.name())) };
        let refusal = || self.refusal(text);
        match self {
            Kind::Bool => scalar::yaml_bool(text, plain).map(Value::Bool).ok_or_else(refusal),
            Kind::Text => Ok(Value::text(text)),
            Kind::Secret => Ok(Value::Secret(Secret(text.to_owned()))),
            Kind::Int(min, max) => {
                let value = scalar::int(number()?).filter(|value| (min..=max).contains(&value));
                value.map(Value::Int).ok_or_else(refusal)
            }
            Kind::Limit => {
                let value = scalar::int(number()?).filter(|value| *value <= i64::from(i32::MAX));
                value.map(|value| Value::Int(value.max(0))).ok_or_else(refusal)
            }
            Kind::Float => scalar::float(number()?).map(Value::Float).ok_or_else(refusal),
            Kind::Duration => duration::parse(text).map(Value::Duration),
            Kind::Ports => Ok(scalar::ports(text)?.map_or(Value::Null, |(first, last)| Value::Ports(first, last))),
            Kind::NodeIp => scalar::node_ip(text).map(|(v4, v6)| Value::NodeIp(v4, v6)),
            _ => Err(format!("must be {}", self.name())),
        }
    }

    fn refusal(&self, text: &str) -> String {
        format!("`{text}` must be {}", self.name())
    }
}

fn zero_fields(fields: &[Field]) -> BTreeMap<String, Value> {
    fields.iter().map(|field| (field.name.to_owned(), field.kind.zero())).collect()
}

fn fault(faults: &mut Vec<Fault>, line: usize, what: String) -> Option<Value> {
    faults.push(Fault { line, path: String::new(), wrong: Wrong::Value(what) });
    None
}

/// Reads a member and puts its place before the paths of what it complained about.
fn read_member(kind: &Kind, node: &Node, place: &str, faults: &mut Vec<Fault>) -> Option<Value> {
    let before = faults.len();
    let value = kind.read(node, faults);
    for fault in faults.iter_mut().skip(before) {
        fault.path.insert_str(0, place);
    }
    value
}

fn read_list(item: &Kind, nodes: &[Node], faults: &mut Vec<Fault>) -> Option<Value> {
    let read = |(at, node): (usize, &Node)| {
        let value = read_member(item, node, &format!("[{at}]"), faults);
        value.unwrap_or_else(|| item.zero())
    };
    Some(Value::List(nodes.iter().enumerate().map(read).collect()))
}

fn read_map<'a>(item: &Kind, entries: impl IntoIterator<Item = &'a Entry>, faults: &mut Vec<Fault>) -> Option<Value> {
    let read = |entry: &Entry| {
        let value = read_member(item, &entry.value, &format!(".{}", entry.key), faults);
        (entry.key.clone(), value.unwrap_or_else(|| item.zero()))
    };
    Some(Value::Map(entries.into_iter().map(read).collect()))
}

fn read_layers(item: &Kind, entries: &[Entry], faults: &mut Vec<Fault>) -> Option<Value> {
    let (layers, others): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| entry.key.parse::<i32>().is_ok());
    for other in others {
        fault(faults, other.line, format!("`{}` must be a layer number", other.key));
    }
    read_map(item, layers, faults)
}

fn read_fields(fields: &[Field], entries: &[Entry], faults: &mut Vec<Fault>) -> Option<Value> {
    let mut values = zero_fields(fields);
    for entry in entries {
        let place = format!(".{}", entry.key);
        let Some(field) = fields.iter().find(|field| field.name == entry.key) else {
            let nearest = spelling::nearest(&entry.key, fields.iter().map(|field| field.name));
            faults.push(Fault { line: entry.line, path: place, wrong: Wrong::Unknown(nearest) });
            continue;
        };
        if let Some(value) = read_member(&field.kind, &entry.value, &place, faults) {
            values.insert(entry.key.clone(), value);
        }
    }
    Some(Value::Map(values))
}

fn read_message(node: &Node, faults: &mut Vec<Fault>) -> Option<Value> {
    let message = json(node);
    if let Content::Map(entries) = &node.content {
        let known = message::field_names::<crate::proto::RoomConfiguration>();
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let path = format!(".{}", entry.key);
            let nearest = spelling::nearest(&entry.key, known.iter().copied());
            faults.push(Fault { line: entry.line, path, wrong: Wrong::Unknown(nearest) });
        }
    }
    match serde_json::from_value::<crate::proto::RoomConfiguration>(message.clone()) {
        Ok(_) => Some(Value::Message(message)),
        Err(error) => fault(faults, node.line, format!("is not a RoomConfiguration: {error}")),
    }
}

/// YAML by its core schema, for the one kind of value whose types protobuf knows and the table does not.
fn json(node: &Node) -> Json {
    match &node.content {
        Content::Scalar { .. } if node.is_null() => Json::Null,
        Content::Scalar { text, plain } => json_scalar(text, *plain),
        Content::List(nodes) => nodes.iter().map(json).collect(),
        Content::Map(entries) => {
            let fields = entries.iter().map(|entry| (entry.key.clone(), json(&entry.value)));
            Json::Object(fields.collect::<JsonMap<_, _>>())
        }
    }
}

fn json_scalar(text: &str, plain: bool) -> Json {
    let core_bool = matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE");
    if plain && core_bool {
        return Json::Bool(text.starts_with(['t', 'T']));
    }
    let int = if plain { scalar::int(text).map(Json::from) } else { None };
    let float = if plain { scalar::float(text).map(Json::from) } else { None };
    int.or(float).unwrap_or_else(|| Json::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;
    use std::time::Duration;

    fn read(kind: Kind, yaml: &str) -> (Option<Value>, Vec<Fault>) {
        let mut faults = Vec::new();
        (kind.read(&tree::parse(yaml).expect(yaml), &mut faults), faults)
    }

    fn value(kind: Kind, yaml: &str) -> Value {
        let (value, faults) = read(kind, yaml);
        assert!(faults.is_empty(), "{yaml}: {faults:?}");
        value.expect(yaml)
    }

    fn refusal(kind: Kind, yaml: &str) -> String {
        let (_, mut faults) = read(kind, yaml);
        match faults.pop().expect(yaml).wrong {
            Wrong::Value(what) => what,
            unknown => panic!("{yaml}: {unknown:?}"),
        }
    }

    #[test]
    fn scalars_are_read_by_their_kind() {
        assert_eq!(value(Kind::Text, "0123"), Value::text("0123"));
        assert_eq!(value(Kind::Text, "yes"), Value::text("yes"));
        assert_eq!(value(Kind::Bool, "yes"), Value::Bool(true));
        assert_eq!(value(Kind::Int(0, 65535), "7880"), Value::Int(7880));
        assert_eq!(value(Kind::Limit, "-1"), Value::Int(0));
        assert_eq!(value(Kind::Duration, "7.5s"), Value::Duration(Duration::from_millis(7500)));
        assert_eq!(value(Kind::Ports, "7882-7892"), Value::Ports(7882, 7892));
        assert_eq!(value(Kind::Ports, "'7882'"), Value::Ports(7882, 7882));
    }

    #[test]
    fn a_null_keeps_a_scalar_and_clears_a_list() {
        assert_eq!(read(Kind::Int(0, 9), "~"), (None, Vec::new()));
        assert_eq!(value(Kind::List(&Kind::Text), "~"), Value::List(Vec::new()));
    }

    #[test]
    fn refusals_say_what_would_do() {
        let cases = [
            (Kind::Int(0, 65535), "'7880'", "must be a whole number from 0 to 65535; remove the quotes"),
            (Kind::Int(0, 65535), "70000", "`70000` must be a whole number from 0 to 65535"),
            (Kind::Bool, "maybe", "`maybe` must be true or false"),
            (Kind::Duration, "5", "`5` is not a duration; write it with its unit, such as 5s, 100ms or 1m30s"),
            (Kind::List(&Kind::Text), "a", "must be a list, each item text"),
            (Kind::Text, "[a]", "must be text"),
        ];
        for (kind, yaml, what) in cases {
            assert_eq!(refusal(kind, yaml), what, "{yaml}");
        }
    }

    #[test]
    fn faults_inside_lists_carry_their_path_and_line() {
        const PAIR: Kind = Kind::Fields(&[Field { name: "port", kind: Kind::Int(0, 9), doc: "" }]);
        let (_, faults) = read(Kind::List(&PAIR), "- port: 1\n- port: 10\n- prt: 1\n");
        let found: Vec<(usize, &str)> = faults.iter().map(|fault| (fault.line, fault.path.as_str())).collect();
        assert_eq!(found, [(2, "[1].port"), (3, "[2].prt")]);
        assert_eq!(faults[1].wrong, Wrong::Unknown(Some("port")));
    }

    #[test]
    fn flags_take_nanoseconds_too() {
        assert_eq!(Kind::Duration.read_text("5000000000"), Ok(Value::Duration(Duration::from_secs(5))));
        assert_eq!(Kind::Duration.read_text("5s"), Ok(Value::Duration(Duration::from_secs(5))));
        assert_eq!(Kind::Bool.read_text("1"), Ok(Value::Bool(true)));
    }

    #[test]
    fn room_configurations_follow_protobufs_json_rules() {
        for yaml in ["empty_timeout: 30\nmetadata: m", "emptyTimeout: 30\nmetadata: m"] {
            let Value::Message(message) = value(Kind::RoomConfiguration, yaml) else { panic!() };
            let message: crate::proto::RoomConfiguration = serde_json::from_value(message).unwrap();
            assert_eq!((message.empty_timeout, message.metadata.as_str()), (30, "m"));
        }
        let (_, faults) = read(Kind::RoomConfiguration, "metadata: m\nempty_timeot: 30");
        assert_eq!((faults[0].line, faults[0].path.as_str()), (2, ".empty_timeot"));
        assert_eq!(faults[0].wrong, Wrong::Unknown(Some("empty_timeout")));
        assert!(refusal(Kind::RoomConfiguration, "empty_timeout: soon").starts_with("is not a RoomConfiguration: "));
    }
}
