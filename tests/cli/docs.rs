use super::lkops::{lkops, repository};
use std::collections::BTreeMap;
use std::path::Path;

fn files(dir: &Path) -> BTreeMap<String, String> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).map(entry).collect()
}

#[test]
fn the_committed_pages_and_completions_are_current() {
    for (what, dir) in [("man", "man"), ("completions", "completions")] {
        let fresh = tempfile::tempdir().unwrap();
        lkops(&["docs", what, fresh.path().to_str().unwrap()]).ok();
        let (fresh, committed) = (files(fresh.path()), files(&repository().join(dir)));
        assert!(!fresh.is_empty());
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&fresh), names(&committed), "run `lkops docs {what} {dir}`");
        for (name, text) in fresh {
            assert!(committed[&name] == text, "{dir}/{name} is old; run `lkops docs {what} {dir}`");
        }
    }
}

#[test]
fn the_sample_configuration_is_printed() {
    let sample = lkops(&["docs", "config"]).ok();
    assert!(sample.contains("\n#rtc:\n") && sample.contains("\n#  tcp_port: 7881\n"));
}

#[test]
fn a_directory_that_cannot_be_written_is_code_1() {
    let errors = lkops(&["docs", "man", "/dev/null/man"]).failed(1);
    assert!(errors[0].starts_with("error: cannot create /dev/null/man: "), "{errors:?}");
}
