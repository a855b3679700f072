//! The table of every configuration key: path, kind, default, meaning, example.
//!
//! One table feeds the unknown-key check, the defaults of `Config`, the generated flags and variables, the verbose help and the
//! sample file. A key is added by one row here and one field in `model`; a test fails when only one of them is there.

mod cluster;
mod congestion;
mod room;
mod rtc;
mod server;
mod turn;

use super::kind::Kind;
use super::spelling;
use super::tree;
use super::value::Value;
use std::sync::LazyLock;

pub(crate) const PORT: Kind = Kind::Int(0, u16::MAX as i64);
pub(crate) const U8: Kind = Kind::Int(0, u8::MAX as i64);
pub(crate) const U32: Kind = Kind::Int(0, u32::MAX as i64);
pub(crate) const COUNT: Kind = Kind::Int(0, i32::MAX as i64);
pub(crate) const INT: Kind = Kind::Int(i32::MIN as i64, i32::MAX as i64);
pub(crate) const SIZE: Kind = Kind::Int(0, i64::MAX);
pub(crate) const TEXTS: Kind = Kind::List(&Kind::Text);

/// One row.
#[derive(Clone, Debug)]
pub struct Key {
    /// Dotted, as in `rtc.tcp_port`.
    pub path: String,
    pub kind: Kind,
    /// As YAML; empty for the kind's zero, `~` for a key that is absent by default.
    pub default: &'static str,
    /// What it does, with its unit.
    pub doc: &'static str,
    /// As YAML; empty where the default shows the form well enough.
    pub example: &'static str,
}

impl Key {
    pub fn default_value(&self) -> Value {
        match self.default {
            "" => self.kind.zero(),
            "~" => Value::Null,
            yaml => self.parse_default(yaml),
        }
    }

    fn parse_default(&self, yaml: &str) -> Value {
        let mut faults = Vec::new();
        let value = tree::parse(yaml).ok().and_then(|node| self.kind.read(&node, &mut faults));
        value.filter(|_| faults.is_empty()).unwrap_or_else(|| unreachable!("the default of {} is tested", self.path))
    }

    /// The environment variable LiveKit derives from the path, `LIVEKIT_RTC_TCP_PORT`.
    pub fn env(&self) -> String {
        format!("LIVEKIT_{}", self.path.to_ascii_uppercase().replace('.', "_"))
    }

    fn example(&mut self, yaml: &'static str) -> &mut Self {
        self.example = yaml;
        self
    }

    fn section(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    fn name(&self) -> &str {
        self.path.rsplit_once('.').map_or(self.path.as_str(), |(_, name)| name)
    }
}

/// Rows while they are written down: `section` gives the path the next rows stand under.
pub(crate) struct Table {
    keys: Vec<Key>,
    section: String,
}

impl Table {
    fn section(&mut self, section: &str) -> &mut Self {
        self.section = section.to_owned();
        self
    }

    fn key(&mut self, name: &str, kind: Kind, default: &'static str, doc: &'static str) -> &mut Key {
        let path = if self.section.is_empty() { name.to_owned() } else { format!("{}.{name}", self.section) };
        self.keys.push(Key { path, kind, default, doc, example: "" });
        let last = self.keys.len() - 1;
        &mut self.keys[last]
    }
}

/// Sections LiveKit knows that hold no key.
const EMPTY_SECTIONS: [&str; 1] = ["sip"];

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut table = Table { keys: Vec::new(), section: String::new() };
    let parts: [fn(&mut Table); 6] = [server::rows, rtc::rows, congestion::rows, room::rows, turn::rows, cluster::rows];
    for rows in parts {
        rows(&mut table);
    }
    table.keys
});

/// Every key, in the order of the sample file.
pub fn all() -> &'static [Key] {
    &KEYS
}

pub fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

pub fn is_section(path: &str) -> bool {
    let below = |key: &Key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    EMPTY_SECTIONS.contains(&path) || all().iter().any(below)
}

/// Sections without keys, which the model still has as empty structs.
pub(super) fn empty_sections() -> &'static [&'static str] {
    &EMPTY_SECTIONS
}

/// The key an unknown `path` was probably meant to be: a sibling spelt nearly alike, else the same name elsewhere.
pub fn nearest(path: &str) -> Option<String> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(best) = spelling::nearest(name, children(section)) {
        return Some(if section.is_empty() { best.to_owned() } else { format!("{section}.{best}") });
    }
    let namesake = all().iter().find(|key| key.name() == name);
    namesake.map(|key| key.path.clone())
}

/// Names that may stand directly under `section`.
fn children(section: &str) -> Vec<&'static str> {
    let rest = |key: &'static Key| match section {
        "" => Some(key.path.as_str()),
        _ => key.path.strip_prefix(section)?.strip_prefix('.'),
    };
    let names = all().iter().filter_map(rest).map(|rest| rest.split('.').next().unwrap_or(rest));
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

/// A `livekit.yaml` with every key at its default, each with its meaning, all commented out by a leading `#`.
pub fn sample() -> String {
    let mut text =
        String::from("## Every key with its default. To set one, remove its `#` and that of the sections above it.\n");
    write_section(&mut text, "", 0);
    text
}

fn write_section(text: &mut String, section: &str, depth: usize) {
    let indent = "  ".repeat(depth);
    for key in all().iter().filter(|key| key.section() == section) {
        write_key(text, key, &indent);
    }
    for name in children(section) {
        let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        if find(&path).is_none() {
            text.push_str(&format!("#{indent}{name}:\n"));
            write_section(text, &path, depth + 1);
        }
    }
}

fn write_key(text: &mut String, key: &Key, indent: &str) {
    let name = key.name();
    text.push_str(&format!("#{indent}# {}\n", key.doc));
    if !key.example.is_empty() {
        text.push_str(&format!("#{indent}# Example: {name}: {}\n", key.example));
    }
    let default = if key.default.is_empty() { key.default_value().to_string() } else { key.default.to_owned() };
    text.push_str(&format!("#{indent}{name}: {default}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn paths_are_unique_and_documented() {
        let paths: BTreeSet<&str> = all().iter().map(|key| key.path.as_str()).collect();
        assert_eq!(paths.len(), all().len());
        for key in all() {
            assert!(!key.doc.is_empty(), "{} has no meaning", key.path);
        }
    }

    #[test]
    fn defaults_and_examples_are_valid() {
        for key in all() {
            key.default_value();
            let mut faults = Vec::new();
            let example = tree::parse(key.example).expect(&key.path);
            key.kind.read(&example, &mut faults);
            assert!(faults.is_empty(), "{}: {faults:?}", key.path);
        }
    }

    #[test]
    fn environment_names_do_not_collide() {
        let mut names: Vec<String> = all().iter().map(Key::env).collect();
        names.sort();
        let twice: Vec<&str> =
            names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].as_str()).collect();
        assert_eq!(twice, ["LIVEKIT_PROMETHEUS_PORT"], "prometheus_port and its successor mean the same");
    }

    #[test]
    fn misspelt_keys_find_their_neighbour() {
        let cases = [
            ("rtc.tcp_prt", Some("rtc.tcp_port")),
            ("prot", Some("port")),
            ("rtcc", Some("rtc")),
            ("rtc.interface", Some("rtc.interfaces")),
            ("tcp_port", Some("rtc.tcp_port")),
            ("rtc.zzzzzzzz", None),
        ];
        for (path, expected) in cases {
            assert_eq!(nearest(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_sample_without_its_hashes_is_the_defaults() {
        let text: String = sample().lines().skip(1).map(|line| format!("{}\n", &line[1..])).collect();
        let sources = crate::config::Sources { body: Some(text), ..Default::default() };
        let loaded = crate::config::load(&sources).unwrap_or_else(|complaints| panic!("{complaints:#?}"));
        assert_eq!(loaded.config, crate::config::Config::default());
    }
}
