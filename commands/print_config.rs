//! `serve --print-config`: each key path, its value, and where that came from. Secrets are redacted, always.

use crate::exit::Failure;
use crate::print::{self, Format};
use lkops::config::Loaded;
use serde_json::json;

pub fn print(loaded: &Loaded, format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => print_text(loaded),
        Format::Json => print_json(loaded),
    }?;
    for notice in &loaded.notices {
        eprintln!("note: {notice}");
    }
    Ok(())
}

fn print_text(loaded: &Loaded) -> Result<(), Failure> {
    for (path, setting) in loaded.settings.iter() {
        print::line(format_args!("{path} = {}  # {}", setting.value, setting.origin))?;
    }
    Ok(())
}

fn print_json(loaded: &Loaded) -> Result<(), Failure> {
    let row = |(path, setting): (&str, &lkops::config::Setting)| json!({"key": path, "value": setting.value.for_reader(), "origin": setting.origin.to_string()});
    print::json(&loaded.settings.iter().map(row).collect())
}
