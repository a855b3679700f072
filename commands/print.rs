//! Data to stdout. A reader that closes the pipe, as `head` does, is no failure.

use crate::exit::Failure;
use std::io::{ErrorKind, Write};

/// The form of a command's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Writes `text` and a line end.
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Columns of the terminal that reads it, if one does.
pub fn width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| terminal.size_checked()).flatten().map(|(_, columns)| columns.into())
}

/// Writes a JSON value, indented.
pub fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value)?)
}
