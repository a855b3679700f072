//! YAML over settings: every key that is written replaces its default; what is unknown or of the wrong kind is complained about.

use super::complaint::{Complaint, Origin};
use super::keys;
use super::kind::{Fault, Kind, Wrong};
use super::settings::Settings;
use super::tree::{self, Content, Entry, Malformed, Node};
use super::value::Value;

/// Reads YAML text. `name` is what complaints call it.
pub(super) struct Reader<'a> {
    pub name: &'a str,
    /// Unknown keys pass in silence (`--disable-strict-config`).
    pub lenient: bool,
    pub settings: &'a mut Settings,
    pub complaints: &'a mut Vec<Complaint>,
}

impl Reader<'_> {
    /// False when the text is not YAML, so that nothing it sets is known.
    pub fn read(&mut self, text: &str) -> bool {
        let mut repeats = Vec::new();
        let root = tree::parse_noting(text, &mut repeats);
        for Malformed { line, what } in repeats {
            self.complain(line, "", what);
        }
        match root {
            Ok(root) if !root.is_null() && !matches!(root.content, Content::Map(_)) => {
                self.complain(root.line, "", "could not parse config: must be a mapping of keys to values");
                false
            }
            Ok(root) => {
                self.section("", &root);
                true
            }
            Err(Malformed { line, what }) => {
                self.complain(line, "", format!("could not parse config: {what}"));
                false
            }
        }
    }

    fn section(&mut self, path: &str, node: &Node) {
        match &node.content {
            _ if node.is_null() => {}
            Content::Map(entries) => entries.iter().for_each(|entry| self.entry(path, entry)),
            _ => self.complain(node.line, path, "must be a mapping"),
        }
    }

    fn entry(&mut self, section: &str, entry: &Entry) {
        let path = if section.is_empty() { entry.key.clone() } else { format!("{section}.{}", entry.key) };
        match keys::find(&path) {
            Some(key) => self.value(key, entry),
            None if keys::is_section(&path) => self.section(&path, &entry.value),
            None => self.unknown(entry.line, &path, keys::nearest(&path)),
        }
    }

    fn value(&mut self, key: &keys::Key, entry: &Entry) {
        let mut faults = Vec::new();
        let value = key.kind.read(&entry.value, &mut faults);
        for fault in faults {
            self.fault(&key.path, fault);
        }
        if let Some(value) = value {
            let value = if matches!(key.kind, Kind::Layers(_)) { self.overlaid(&key.path, value) } else { value };
            let origin = self.at(entry.line);
            self.settings.set(&key.path, value, origin);
        }
    }

    /// Layers that are not written keep what they were.
    fn overlaid(&self, path: &str, value: Value) -> Value {
        match (self.settings.find(path).map(|setting| &setting.value), value) {
            (Some(Value::Map(old)), Value::Map(new)) => {
                let mut all = old.clone();
                all.extend(new);
                Value::Map(all)
            }
            (_, value) => value,
        }
    }

    fn fault(&mut self, path: &str, fault: Fault) {
        let path_of = |name: &str| format!("{path}{name}");
        match fault.wrong {
            Wrong::Value(what) => self.complain(fault.line, &path_of(&fault.path), what),
            Wrong::Unknown(nearest) => {
                let section = fault.path.rsplit_once('.').map_or("", |(section, _)| section);
                let nearest = nearest.map(|name| path_of(&format!("{section}.{name}")));
                self.unknown(fault.line, &path_of(&fault.path), nearest);
            }
        }
    }

    fn unknown(&mut self, line: usize, path: &str, nearest: Option<String>) {
        if self.lenient {
            return;
        }
        let complaint = Complaint::new(&self.at(line), path, "unknown key");
        self.complaints.push(Complaint { nearest, ..complaint });
    }

    fn complain(&mut self, line: usize, path: &str, what: impl Into<String>) {
        let complaint = Complaint::new(&self.at(line), path, what);
        self.complaints.push(complaint);
    }

    fn at(&self, line: usize) -> Origin {
        Origin::Line { file: self.name.to_owned(), line }
    }
}

/// A mapping of API keys to secrets, as in `key_file` and `--keys`. Entries that are not text are left out, as LiveKit does
/// for `--keys`; their names come second.
pub(super) fn api_keys(text: &str) -> Result<(Value, Vec<String>), Malformed> {
    let root = tree::parse(text)?;
    let Content::Map(entries) = root.content else {
        let what = "must be lines of `key: secret`, with the space".to_owned();
        return if root.is_null() { Ok((empty_keys(), Vec::new())) } else { Err(Malformed { line: root.line, what }) };
    };
    let mut faults = Vec::new();
    let (mut keys, mut left_out) = (std::collections::BTreeMap::new(), Vec::new());
    for Entry { key, value, .. } in entries {
        match Kind::Secret.read(&value, &mut faults) {
            Some(secret) => drop(keys.insert(key, secret)),
            None => left_out.push(key),
        }
    }
    Ok((Value::Map(keys), left_out))
}

fn empty_keys() -> Value {
    Value::Map(Default::default())
}
