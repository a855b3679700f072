//! Assembles the configuration in LiveKit's order (WIRE.md §7.1): defaults, YAML, generated flags and variables, named ones, what
//! follows from other keys, checks. All complaints of all stages are returned together. Called by `commands`.
//!
//! Reads the files the configuration names; the environment is handed in.

use super::check;
use super::complaint::{Complaint, Origin};
use super::derive;
use super::file::Reader;
use super::model::Config;
use super::overlay::{self, BODY_ENV};
use super::settings::Settings;
use crate::limits::CONFIG_BYTES_MAX;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Everything a configuration can come from.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config`; not read when there is a body.
    pub file: Option<PathBuf>,
    /// `--config-body`; `LIVEKIT_CONFIG` stands in.
    pub body: Option<String>,
    /// Text of flags by name: key paths for generated ones, `NAMED` for the others.
    pub flags: BTreeMap<String, String>,
    pub bind: Vec<String>,
    pub dev: bool,
    pub env: BTreeMap<String, String>,
    /// `--disable-strict-config`
    pub lenient: bool,
    pub purpose: Purpose,
}

/// Without what flags and environment say, which may be secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("file", &self.file).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// What the configuration is wanted for: a look at the ports on another machine needs neither keys nor certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    #[default]
    Inspect,
    /// API keys are needed, from `key_file` too.
    Keys,
    /// Everything is needed that a server needs.
    Serve,
}

/// A configuration that may be run.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// The same with origins, for `--print-config`.
    pub settings: Settings,
    /// What an operator should hear once there is a log, but need not change.
    pub notices: Vec<String>,
}

/// Loads and checks; fails with everything that is wrong, in the order of the file.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Complaint>> {
    let mut settings = Settings::defaults();
    let (mut complaints, mut notices) = (Vec::new(), Vec::new());
    if let Some((name, text)) = yaml(sources).map_err(|complaint| vec![complaint])? {
        let lenient = sources.lenient;
        let mut reader = Reader { name: &name, lenient, settings: &mut settings, complaints: &mut complaints };
        if !reader.read(&text) {
            return Err(complaints);
        }
    }
    overlay::apply(sources, &mut settings, &mut complaints, &mut notices);
    derive::apply(sources, &mut settings, &mut complaints, &mut notices);
    let config = settings.config().map_err(|error| vec![Complaint::from_model(&error)])?;
    check::apply(sources, &config, &settings, &mut complaints, &mut notices);
    if complaints.is_empty() { Ok(Loaded { config, settings, notices }) } else { Err(in_order(complaints)) }
}

/// Down the file first, then what stands elsewhere.
fn in_order(mut complaints: Vec<Complaint>) -> Vec<Complaint> {
    complaints.sort_by_key(|complaint| match complaint.at {
        Some(Origin::Line { line, .. }) => line,
        _ => usize::MAX,
    });
    complaints
}

/// The YAML text and its name in complaints.
fn yaml(sources: &Sources) -> Result<Option<(String, String)>, Complaint> {
    if let Some(body) = sources.body.as_ref().filter(|body| !body.is_empty()) {
        return Ok(Some(("--config-body".into(), body.clone())));
    }
    if let Some(body) = sources.env.get(BODY_ENV).filter(|body| !body.is_empty()) {
        return Ok(Some((BODY_ENV.into(), body.clone())));
    }
    let Some(path) = &sources.file else { return Ok(None) };
    let name = path.display().to_string();
    read_bounded(&name).map(|text| Some((name.clone(), text))).map_err(|what| Complaint::about_file(&name, what))
}

/// Reads a file that is at most `CONFIG_BYTES_MAX` long.
pub(super) fn read_bounded(path: &str) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > CONFIG_BYTES_MAX {
        return Err(format!("is {length} bytes long; at most {CONFIG_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

impl Complaint {
    pub(super) fn about_file(name: &str, what: impl Into<String>) -> Self {
        Complaint { at: Some(Origin::File(name.to_owned())), key: String::new(), what: what.into(), nearest: None }
    }

    fn from_model(error: &serde_json::Error) -> Self {
        Complaint { at: None, key: String::new(), what: format!("could not parse config: {error}"), nearest: None }
    }
}
