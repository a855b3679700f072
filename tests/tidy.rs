//! The house rules a compiler cannot hold: which layer may name which, and what may stand where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// module -> modules of this crate it may name. Order is from the ground up.
const LAYERS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("proto", &["limits"]),
    ("condition", &[]),
    ("config", &["limits", "proto"]),
    ("metrics", &["limits"]),
    ("token", &["limits", "proto"]),
    ("wire", &["limits"]),
    ("sdp", &["limits"]),
    ("net", &["limits"]),
    ("transport", &["limits", "wire"]),
    ("media", &["limits", "wire"]),
    ("shard", &["limits", "net", "wire", "transport", "media", "metrics"]),
    ("client", &["limits", "net", "wire", "transport", "sdp", "proto", "token"]),
    ("probe", &["limits", "client", "proto", "token", "condition"]),
    ("load", &["limits", "client", "proto", "token", "metrics", "condition"]),
    ("room", &["limits", "shard", "sdp", "proto", "token", "config", "metrics"]),
    ("cluster", &["limits", "proto", "config", "metrics"]),
    ("signal", &["limits", "room", "cluster", "proto", "token", "config", "metrics"]),
    ("api", &["limits", "room", "cluster", "proto", "token", "config", "metrics"]),
    ("ops", &["limits", "client", "cluster", "proto", "token", "config"]),
    (
        "server",
        &[
            "limits",
            "proto",
            "config",
            "metrics",
            "token",
            "wire",
            "net",
            "transport",
            "media",
            "shard",
            "room",
            "cluster",
            "signal",
            "api",
        ],
    ),
];

/// Crates that belong to the terminal and so to `commands/`.
const TERMINAL_CRATES: &[&str] = &["clap", "anyhow", "ratatui", "indicatif", "crossterm", "tracing_subscriber"];

/// Below `shard` nobody reads the clock: time is told.
const TIMELESS: &[&str] = &["wire", "sdp", "net", "transport", "media"];

fn sources(root: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("under src");
    let first = inside.components().next().expect("a file").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// A file or folder of tests, which may look anywhere.
fn is_test(path: &Path) -> bool {
    let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("inside the project");
    let name = |c: std::path::Component| c.as_os_str().to_string_lossy().into_owned();
    path.components().map(name).any(|c| c == "tests" || c == "tests.rs" || c.starts_with("test_"))
}

/// The text before the test module, without comment lines.
fn code_of(path: &Path) -> String {
    if is_test(path) {
        return String::new();
    }
    let text = fs::read_to_string(path).expect("a readable source");
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Names that follow `crate::` in the code, groups included.
fn named_modules(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in code.split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(group) => names.extend(top_level_names(group)),
            None => names.push(leading_word(part)),
        }
    }
    names
}

fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(leading_word(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(leading_word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.into_iter().filter(|n| !n.is_empty()).collect()
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_point_downward() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for path in sources("src").into_iter().filter(|p| !p.ends_with("src/lib.rs")) {
        let module = module_of(&path);
        let allowed =
            layers.get(module.as_str()).unwrap_or_else(|| panic!("`{module}` is missing from the layer table"));
        for name in named_modules(&code_of(&path)) {
            if layers.contains_key(name.as_str()) && name != module && !allowed.contains(&name.as_str()) {
                broken.push(format!("{} names `{name}`, which `{module}` may not know", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_is_in_the_table() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("src/lib.rs");
    let modules: Vec<&str> = lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut known: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(modules, known);
}

#[test]
fn the_terminal_stays_in_commands() {
    for path in sources("src") {
        let code = code_of(&path);
        for name in TERMINAL_CRATES {
            assert!(!code.contains(&format!("{name}::")), "{} uses `{name}`", path.display());
        }
    }
}

#[test]
fn no_clock_below_the_shard() {
    for path in sources("src").into_iter().filter(|p| TIMELESS.contains(&module_of(p).as_str())) {
        let code = code_of(&path);
        assert!(
            !code.contains("Instant::now") && !code.contains("SystemTime::now"),
            "{} reads the clock",
            path.display()
        );
    }
}

#[test]
fn every_file_says_what_it_is() {
    for root in ["src", "commands"] {
        for path in sources(root) {
            let text = fs::read_to_string(&path).expect("a readable source");
            let tells = text.starts_with("//!") || is_test(&path);
            assert!(tells, "{} has no module description", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_argued_for_and_only_in_net() {
    for path in sources("src") {
        let code = code_of(&path);
        if code.contains("unsafe ") || code.contains("allow(unsafe_code)") {
            assert_eq!(module_of(&path), "net", "{} has unsafe code", path.display());
        }
    }
}

#[test]
fn the_parser_of_this_test_reads_imports() {
    let code = "use crate::room::{a, b};\nuse crate::{token::Claims, proto::{self, x}};\ncrate::sdp::f()";
    assert_eq!(named_modules(code), ["room", "token", "proto", "sdp"]);
}
