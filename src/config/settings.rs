//! Every key's value and where it came from, while loading and for `--print-config`.

use super::complaint::Origin;
use super::keys;
use super::model::Config;
use super::value::Value;
use serde_json::{Map as JsonMap, Value as Json};
use std::collections::BTreeMap;

/// One key's value and its origin.
#[derive(Clone, Debug)]
pub struct Setting {
    pub value: Value,
    pub origin: Origin,
}

/// All keys of the table, each set.
#[derive(Clone, Debug)]
pub struct Settings {
    by_path: BTreeMap<&'static str, Setting>,
}

impl Settings {
    pub(super) fn defaults() -> Settings {
        let setting = |key: &keys::Key| Setting { value: key.default_value(), origin: Origin::Default };
        Settings { by_path: keys::all().iter().map(|key| (key.path.as_str(), setting(key))).collect() }
    }

    /// In the table's order, with the key's path.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Setting)> {
        keys::all().iter().filter_map(|key| Some((key.path.as_str(), self.by_path.get(key.path.as_str())?)))
    }

    /// `None` for a path that is no key.
    pub fn find(&self, path: &str) -> Option<&Setting> {
        self.by_path.get(path)
    }

    pub(super) fn find_mut(&mut self, path: &str) -> Option<&mut Setting> {
        self.by_path.get_mut(path)
    }

    pub(super) fn set(&mut self, path: &str, value: Value, origin: Origin) {
        if let Some(setting) = self.by_path.get_mut(path) {
            *setting = Setting { value, origin };
        }
    }

    pub(super) fn origin(&self, path: &str) -> &Origin {
        self.find(path).map_or(&Origin::Default, |setting| &setting.origin)
    }

    pub(super) fn bool(&self, path: &str) -> bool {
        matches!(self.find(path), Some(Setting { value: Value::Bool(true), .. }))
    }

    pub(super) fn int(&self, path: &str) -> i64 {
        match self.find(path) {
            Some(Setting { value: Value::Int(int), .. }) => *int,
            _ => 0,
        }
    }

    pub(super) fn text(&self, path: &str) -> &str {
        match self.find(path) {
            Some(Setting { value: Value::Text(text), .. }) => text,
            _ => "",
        }
    }

    pub(super) fn is_empty(&self, path: &str) -> bool {
        self.find(path).is_none_or(|setting| setting.value.is_empty())
    }

    /// The typed configuration. The table and the model agree, which a test holds, so this fails only by a mistake of ours.
    pub(super) fn config(&self) -> Result<Config, serde_json::Error> {
        let mut root = JsonMap::new();
        for section in keys::empty_sections() {
            root.insert((*section).to_owned(), Json::Object(JsonMap::new()));
        }
        for (path, setting) in &self.by_path {
            insert(&mut root, path, setting.value.for_model());
        }
        serde_json::from_value(Json::Object(root))
    }
}

fn insert(into: &mut JsonMap<String, Json>, path: &str, value: Json) {
    let Some((section, rest)) = path.split_once('.') else {
        into.insert(path.to_owned(), value);
        return;
    };
    let section = into.entry(section).or_insert_with(|| Json::Object(JsonMap::new()));
    if let Json::Object(inner) = section {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_model_have_the_same_keys() {
        Settings::defaults().config().expect("every row has its field and every field its row");
    }
}
