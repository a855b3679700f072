//! Configuration files against what they must come to: `fixtures/config/valid` and `invalid`, each `.yaml` beside its `.txt`.
//!
//! With `UPDATE_FIXTURES=1` the `.txt` files are written instead of compared; read the difference before committing it.

use lkops::config::{Loaded, Origin, Purpose, Sources, keys, load};
use std::path::{Path, PathBuf};

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config").join(kind);
    let files = std::fs::read_dir(&dir).expect("the fixtures are there").map(|entry| entry.unwrap().path());
    let mut yaml: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    yaml.sort();
    assert!(!yaml.is_empty(), "{} is empty", dir.display());
    yaml
}

/// `every-key.yaml` names files that are not there, which only a server minds.
fn sources(path: &Path) -> Sources {
    let purpose = if path.ends_with("every-key.yaml") { Purpose::Inspect } else { Purpose::Serve };
    Sources { file: Some(path.to_owned()), purpose, ..Default::default() }
}

/// Compares with the `.txt` beside `path`; directories are left out of complaints so that any checkout agrees.
fn compare(path: &Path, found: &str) {
    let found = found.replace(&format!("{}/", path.parent().unwrap().display()), "");
    let beside = path.with_extension("txt");
    if std::env::vars().any(|(name, value)| name == "UPDATE_FIXTURES" && value == "1") {
        return std::fs::write(&beside, found).unwrap();
    }
    let expected = std::fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(found, expected, "{} is not what {} says", path.display(), beside.display());
}

/// Every setting that is not its default, and the notices.
fn summary(loaded: &Loaded) -> String {
    let set = loaded.settings.iter().filter(|(_, setting)| setting.origin != Origin::Default);
    let mut lines: Vec<String> =
        set.map(|(path, setting)| format!("{path} = {}  # {}", setting.value, setting.origin)).collect();
    lines.extend(loaded.notices.iter().map(|notice| format!("note: {notice}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn valid_files_come_to_these_settings() {
    for path in fixtures("valid") {
        match load(&sources(&path)) {
            Ok(loaded) => compare(&path, &summary(&loaded)),
            Err(complaints) => panic!("{} is refused: {complaints:#?}", path.display()),
        }
    }
}

#[test]
fn invalid_files_meet_all_these_complaints() {
    for path in fixtures("invalid") {
        let complaints = load(&sources(&path)).err().unwrap_or_else(|| panic!("{} is taken", path.display()));
        compare(&path, &complaints.iter().map(|complaint| format!("{complaint}\n")).collect::<String>());
    }
}

#[test]
fn one_file_sets_every_key_there_is() {
    let path = fixtures("valid").into_iter().find(|path| path.ends_with("every-key.yaml")).expect("it is there");
    let loaded = load(&sources(&path)).unwrap_or_else(|complaints| panic!("{complaints:#?}"));
    for (key, setting) in loaded.settings.iter() {
        let default = keys::find(key).unwrap().default_value();
        assert_ne!(setting.value, default, "every-key.yaml leaves {key} at its default");
    }
}
