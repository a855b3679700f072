//! Where a setting came from, and what is wrong with it. Every stage of loading collects these; `commands` prints them.

use std::fmt;

/// The place a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// A default that depends on another setting, and why.
    Derived(&'static str),
    /// A line of the file, or of the text given instead of one.
    Line {
        file: String,
        line: usize,
    },
    /// A whole file, such as the one `key_file` names.
    File(String),
    Env(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Derived(why) => write!(f, "default, {why}"),
            Origin::Line { file, line } => write!(f, "{file}:{line}"),
            Origin::File(file) => f.write_str(file),
            Origin::Env(name) => write!(f, "env {name}"),
            Origin::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// One thing an operator has to change. Prints as one line: place, key path, what is wrong, the nearest known key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Complaint {
    /// `None` when nothing was written that could be pointed at.
    pub at: Option<Origin>,
    /// Key path, empty when the complaint is about a whole file.
    pub key: String,
    pub what: String,
    pub nearest: Option<String>,
}

impl Complaint {
    pub fn new(at: &Origin, key: &str, what: impl Into<String>) -> Self {
        let at = (!matches!(at, Origin::Default | Origin::Derived(_))).then(|| at.clone());
        Complaint { at, key: key.to_owned(), what: what.into(), nearest: None }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        let told = matches!(&self.at, Some(Origin::Flag(name)) if *name == self.key);
        if !self.key.is_empty() && !told {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_line_that_says_where() {
        let at = Origin::Line { file: "livekit.yaml".into(), line: 3 };
        let mut complaint = Complaint::new(&at, "rtc.tcp_prt", "unknown key");
        complaint.nearest = Some("rtc.tcp_port".into());
        assert_eq!(complaint.to_string(), "livekit.yaml:3: rtc.tcp_prt: unknown key; did you mean rtc.tcp_port?");
        assert_eq!(Complaint::new(&Origin::Default, "", "no keys").to_string(), "no keys");
        let flag = Origin::Flag("rtc.tcp_port".into());
        assert_eq!(Complaint::new(&flag, "rtc.tcp_port", "is bad").to_string(), "flag --rtc.tcp_port: is bad");
    }
}
