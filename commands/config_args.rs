//! The flags and variables a configuration is made of, shared by every command that reads one (WIRE.md §7.2).
//!
//! Reads the process's environment, once; the library is handed a map.

use crate::exit::Failure;
use clap::{Arg, ArgAction, ArgMatches, Command};
use lkops::config::{self, Kind, Loaded, NAMED, Purpose, Sources, keys};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A configuration's flags, as given.
#[derive(Clone, Debug)]
pub struct ConfigArgs(Sources);

impl ConfigArgs {
    pub fn load(&self, purpose: Purpose) -> Result<Loaded, Failure> {
        config::load(&Sources { purpose, ..self.0.clone() }).map_err(Failure::Config)
    }

    /// What a flag of the configuration was given as.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.0.flags.get(name).map(String::as_str)
    }

    /// A variable of the process's environment.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.0.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl clap::FromArgMatches for ConfigArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
        let named = NAMED.iter().map(|named| named.flag);
        let names = named.chain(keys::all().iter().map(|key| key.path.as_str()));
        let flags = names.filter_map(|name| Some((name.to_owned(), text(name)?)));
        Ok(ConfigArgs(Sources {
            file: matches.get_one::<PathBuf>("config").cloned(),
            body: text("config-body"),
            flags: flags.collect(),
            bind: matches.get_many("bind").map(|all| all.cloned().collect()).unwrap_or_default(),
            dev: matches.get_flag("dev"),
            env: environment(),
            lenient: matches.get_flag("disable-strict-config"),
            purpose: Purpose::Inspect,
        }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for ConfigArgs {
    fn augment_args(command: Command) -> Command {
        let path = Arg::new("config").long("config").value_name("PATH").value_parser(clap::value_parser!(PathBuf));
        let body = Arg::new("config-body").long("config-body").value_name("YAML");
        let bind = Arg::new("bind").long("bind").value_name("IP").action(ArgAction::Append);
        let lenient = Arg::new("disable-strict-config").long("disable-strict-config");
        let named = NAMED.iter().map(|named| {
            let env = if named.env.is_empty() { String::new() } else { format!(" [env: {}]", named.env) };
            Arg::new(named.flag).long(named.flag).value_name(named.value_name).help(format!("{}{env}", named.doc))
        });
        command
            .arg(path.help("Configuration file"))
            .arg(body.help(format!("Configuration as YAML text, in place of a file [env: {}]", config::BODY_ENV)))
            .arg(bind.help("Address to listen on; may be given more than once"))
            .args(named)
            .arg(flag("dev").help("Development mode: debug log, placeholder keys, loopback only; insecure"))
            .arg(lenient.action(ArgAction::SetTrue).hide(true).help("Let unknown configuration keys pass"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Whether help shows the generated flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    Hidden,
    Shown,
}

/// A flag for every key that is one value: `--rtc.tcp_port 7881`.
pub fn generated(generated: Generated) -> impl Iterator<Item = Arg> {
    let is_free = |key: &&keys::Key| NAMED.iter().all(|named| named.flag != key.path);
    let keys = keys::all().iter().filter(|key| key.kind.has_flag()).filter(is_free);
    keys.map(move |key| generated_flag(key).hide(generated == Generated::Hidden))
}

fn generated_flag(key: &'static keys::Key) -> Arg {
    let default = key.default_value();
    let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
    let arg = Arg::new(key.path.as_str())
        .long(key.path.as_str())
        .help(format!("{}{default} [env: {}]", key.doc.trim_end_matches('.'), key.env()))
        .help_heading("Configuration keys")
        .allow_negative_numbers(true);
    match key.kind {
        Kind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL"),
        Kind::Duration => arg.value_name("DURATION"),
        Kind::Int(..) | Kind::Limit | Kind::Float => arg.value_name("NUMBER"),
        _ => arg.value_name("TEXT"),
    }
}
