//! Starts the log by `logging.*`: lines of text or JSON on stderr.
//!
//! `logging.level` is for lkops itself. Other crates say only warnings, and the transport's crates what `pion_level` lets
//! through, the key under which LiveKit's operators expect them.

use lkops::config::Logging;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Crates that do what pion does for LiveKit.
const TRANSPORT_CRATES: [&str; 3] = ["is", "dimpl", "sctp_proto"];

/// Starts the log for the whole process. Later calls change nothing.
pub fn start(logging: &Logging) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives(logging)))
        .with_writer(std::io::stderr)
        .with_ansi(is_coloured());
    // An error means that a log has been started already; that one stays.
    let _ = if logging.json { builder.json().try_init() } else { builder.try_init() };
    if logging.sample {
        tracing::warn!("logging.sample has no effect: nothing is logged per packet");
    }
}

/// On a terminal, unless the user asked for no colour (no-color.org).
fn is_coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

fn directives(logging: &Logging) -> String {
    let transport = level(&logging.pion_level, "error");
    let mut all = vec!["warn".to_owned(), format!("lkops={}", level(&logging.level, "info"))];
    all.extend(TRANSPORT_CRATES.iter().map(|name| format!("{name}={transport}")));
    all.extend(logging.component_levels.iter().filter_map(|(component, text)| component_level(component, text)));
    all.join(",")
}

/// A component is a module of ours, `room` or `shard.run`. Names a filter could not hold are passed over.
fn component_level(component: &str, text: &str) -> Option<String> {
    let is_name = component.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    is_name.then(|| format!("lkops::{}={}", component.replace('.', "::").replace('-', "_"), level(text, "info")))
}

/// tracing's name of one of zap's levels; what zap does not know is `unknown`.
fn level(text: &str, unknown: &'static str) -> &'static str {
    match text.to_ascii_lowercase().as_str() {
        "debug" => "debug",
        "info" => "info",
        "warn" => "warn",
        "error" | "dpanic" | "panic" | "fatal" => "error",
        _ => unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_for_us_and_warnings_for_others() {
        let mut logging = Logging { level: "debug".into(), ..Default::default() };
        assert_eq!(directives(&logging), "warn,lkops=debug,is=error,dimpl=error,sctp_proto=error");
        logging.component_levels.insert("shard.run".into(), "WARN".into());
        logging.component_levels.insert("bad,name=x".into(), "debug".into());
        assert!(directives(&logging).ends_with(",lkops::shard::run=warn"));
    }

    #[test]
    fn every_directive_is_one_the_filter_takes() {
        let logging =
            Logging { component_levels: [("room".to_owned(), "nonsense".to_owned())].into(), ..Default::default() };
        assert!(EnvFilter::try_new(directives(&logging)).is_ok());
    }
}
