//! Configuration files, also those of development servers (of an odd length, here): complaints can be printed, and what
//! strict reading accepts lenient reading accepts as the same.
#![no_main]

use lkops::config::{Loaded, Sources, load, parse_duration};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = parse_duration(text);
    let dev = text.len() % 2 == 1;
    if let Some(strict) = read(text, dev, false) {
        let lenient = read(text, dev, true).expect("lenient reading takes more, not less");
        assert_eq!(format!("{:?}", strict.config), format!("{:?}", lenient.config));
    }
});

/// Purpose `Inspect` reads no other file.
fn read(text: &str, dev: bool, lenient: bool) -> Option<Loaded> {
    match load(&Sources { body: Some(text.to_owned()), dev, lenient, ..Sources::default() }) {
        Ok(loaded) => Some(loaded),
        Err(complaints) => {
            assert!(!complaints.is_empty());
            complaints.iter().for_each(|complaint| assert!(!complaint.to_string().is_empty()));
            None
        }
    }
}
