//! Settings that follow from others: RTC ports, TURN lifetimes and relay range, log level, legacy limits, key file, development mode.

use super::complaint::{Complaint, Origin};
use super::file;
use super::load::{Purpose, Sources, read_bounded};
use super::settings::Settings;
use super::value::{Secret, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

/// Longest life of a TURN credential, in seconds: a day.
pub const TURN_TTL_SECONDS_MAX: i64 = 86_400;
/// Life of one where the configuration gives nothing sensible.
const TURN_TTL_SECONDS: i64 = 300;

pub(super) fn apply(
    sources: &Sources,
    settings: &mut Settings,
    complaints: &mut Vec<Complaint>,
    notices: &mut Vec<String>,
) {
    rtc_ports(settings);
    turn_ttls(settings, notices);
    relay_range(settings);
    log_level(settings);
    legacy(settings);
    development(settings, notices);
    if sources.purpose >= Purpose::Keys {
        key_file(sources, settings, complaints);
    }
    if sources.purpose == Purpose::Serve {
        turn_secrets(settings, complaints, notices);
    }
}

fn rtc_ports(settings: &mut Settings) {
    if !settings.is_empty("rtc.udp_port") || settings.int("rtc.port_range_start") != 0 {
        return;
    }
    if settings.bool("development") {
        settings.set("rtc.udp_port", Value::Ports(7882, 7882), Origin::Derived("development mode"));
    } else {
        settings.set("rtc.port_range_start", Value::Int(50_000), Origin::Derived("no udp_port"));
        settings.set("rtc.port_range_end", Value::Int(60_000), Origin::Derived("no udp_port"));
    }
}

fn turn_ttls(settings: &mut Settings, notices: &mut Vec<String>) {
    let given = settings.int("turn.ttl_seconds");
    let clamped = if given <= 0 { TURN_TTL_SECONDS } else { given.min(TURN_TTL_SECONDS_MAX) };
    if given != clamped {
        notices.push(format!("turn.ttl_seconds: {given} is out of range, using {clamped}"));
        settings.set("turn.ttl_seconds", Value::Int(clamped), Origin::Derived("out of range"));
    }
    for_turn_servers(settings, |host, server| {
        let Some(Value::Int(ttl)) = server.get_mut("ttl") else { return };
        let clamped = if *ttl < 0 { TURN_TTL_SECONDS } else { (*ttl).min(TURN_TTL_SECONDS_MAX) };
        if *ttl != clamped {
            notices.push(format!("rtc.turn_servers: ttl {ttl} of {host} is out of range, using {clamped}"));
            *ttl = clamped;
        }
    });
}

fn for_turn_servers(settings: &mut Settings, mut change: impl FnMut(&str, &mut BTreeMap<String, Value>)) {
    let Some(setting) = settings.find_mut("rtc.turn_servers") else { return };
    let Value::List(servers) = &mut setting.value else { return };
    for server in servers {
        if let Value::Map(server) = server {
            let host = text(server, "host").to_owned();
            change(&host, server);
        }
    }
}

fn text<'a>(fields: &'a BTreeMap<String, Value>, name: &str) -> &'a str {
    match fields.get(name) {
        Some(Value::Text(text) | Value::Secret(Secret(text))) => text,
        _ => "",
    }
}

fn relay_range(settings: &mut Settings) {
    if settings.int("turn.relay_range_start") != 0 && settings.int("turn.relay_range_end") != 0 {
        return;
    }
    let development = settings.bool("development");
    let (last, why) = if development { (30_002, "development mode") } else { (40_000, "no relay range") };
    settings.set("turn.relay_range_start", Value::Int(30_000), Origin::Derived(why));
    settings.set("turn.relay_range_end", Value::Int(last), Origin::Derived(why));
}

fn log_level(settings: &mut Settings) {
    copy(settings, "log_level", "logging.level");
    if settings.is_empty("logging.level") {
        let debug = settings.bool("development");
        let (level, why) = if debug { ("debug", "development mode") } else { ("info", "no level") };
        settings.set("logging.level", Value::text(level), Origin::Derived(why));
    }
}

fn legacy(settings: &mut Settings) {
    for name in ["max_metadata_size", "max_room_name_length", "max_participant_identity_length"] {
        if settings.int(&format!("room.{name}")) != 0 {
            copy(settings, &format!("room.{name}"), &format!("limit.{name}"));
        }
    }
    if settings.int("prometheus.port") == 0 && settings.int("prometheus_port") != 0 {
        copy(settings, "prometheus_port", "prometheus.port");
    }
}

/// A deprecated key's value, origin and all, in the place of its successor's.
fn copy(settings: &mut Settings, from: &str, to: &str) {
    if let Some(setting) = settings.find(from).filter(|setting| !setting.value.is_empty()).cloned() {
        settings.set(to, setting.value, setting.origin);
    }
}

/// Placeholder keys, and addresses only this machine can reach as long as they are used (WIRE.md §7.4).
fn development(settings: &mut Settings, notices: &mut Vec<String>) {
    if !settings.bool("development") || !settings.is_empty("keys") {
        return;
    }
    if settings.is_empty("key_file") {
        notices.push("no keys provided, using placeholder keys: API key devkey, API secret secret".into());
        let keys = [("devkey".to_owned(), Value::Secret(Secret("secret".into())))];
        settings.set("keys", Value::Map(keys.into()), Origin::Derived("development mode"));
    }
    let Some(Value::List(binds)) = settings.find("bind_addresses").map(|setting| setting.value.clone()) else { return };
    if binds.is_empty() {
        let loopback = Value::texts(&["127.0.0.1", "::1"]);
        settings.set("bind_addresses", loopback, Origin::Derived("development mode"));
    } else if binds.iter().any(is_reachable) {
        include_binds(settings, &binds);
    }
}

fn is_reachable(bind: &Value) -> bool {
    let Value::Text(text) = bind else { return false };
    text.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

fn include_binds(settings: &mut Settings, binds: &[Value]) {
    let Some(setting) = settings.find_mut("rtc.ips.includes") else { return };
    if setting.origin == Origin::Default {
        setting.origin = Origin::Derived("development mode");
    }
    if let Value::List(includes) = &mut setting.value {
        includes.extend(binds.iter().map(|bind| Value::Text(format!("{bind}/24"))));
    }
}

/// `key_file` replaces `keys`, as in LiveKit.
fn key_file(sources: &Sources, settings: &mut Settings, complaints: &mut Vec<Complaint>) {
    let path = expand(settings.text("key_file"), &sources.env);
    if path.is_empty() {
        return;
    }
    let origin = settings.origin("key_file").clone();
    settings.set("key_file", Value::text(&path), origin.clone());
    let keys = private_text(&path, "key file others permissions must be set to 0")
        .and_then(|text| file::api_keys(&text).map_err(|error| format!("{path}:{}: {error}", error.line)));
    match keys {
        Ok((keys, _)) => settings.set("keys", keys, Origin::File(path)),
        Err(what) => complaints.push(Complaint::new(&origin, "key_file", what)),
    }
}

/// A file's text, if nobody but its owner and group may touch it.
fn private_text(path: &str, refusal: &str) -> Result<String, String> {
    let mode = std::fs::metadata(path).map_err(|error| format!("{path}: {error}"))?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!("{refusal}: chmod o= {path}"));
    }
    read_bounded(path).map_err(|error| format!("{path}: {error}"))
}

/// A leading `~`, and `$NAME` or `${NAME}` anywhere; unknown names vanish, as in a shell.
fn expand(path: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, tail) = variable(after);
        expanded.push_str(env.get(name).map_or("", String::as_str));
        rest = tail;
    }
    expanded.push_str(rest);
    match (expanded.strip_prefix('~'), env.get("HOME")) {
        (Some(tail), Some(home)) if tail.is_empty() || tail.starts_with('/') => format!("{home}{tail}"),
        _ => expanded,
    }
}

fn variable(text: &str) -> (&str, &str) {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return (name, tail);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// `secret_file` becomes `secret`; every server must end with credentials of one sort.
fn turn_secrets(settings: &mut Settings, complaints: &mut Vec<Complaint>, notices: &mut Vec<String>) {
    let origin = settings.origin("rtc.turn_servers").clone();
    for_turn_servers(settings, |host, server| {
        let mut complain = |what: String| complaints.push(Complaint::new(&origin, "rtc.turn_servers", what));
        match turn_secret(host, server, notices) {
            Ok(secret) => drop(server.insert("secret".into(), Value::Secret(Secret(secret)))),
            Err(what) => return complain(what),
        }
        let is_static = !text(server, "username").is_empty() && !text(server, "credential").is_empty();
        if text(server, "secret").is_empty() && !is_static {
            complain(format!(
                "turn server \"{host}\": turn server has no usable credentials: set a non-empty secret/secret_file for \
                 dynamic auth, or username and credential for static auth"
            ));
        }
    });
}

fn turn_secret(host: &str, server: &BTreeMap<String, Value>, notices: &mut Vec<String>) -> Result<String, String> {
    let inline = text(server, "secret").trim();
    let path = text(server, "secret_file");
    if !inline.is_empty() || path.is_empty() {
        if !path.is_empty() {
            notices.push(format!("rtc.turn_servers: {host} has both secret and secret_file, using secret"));
        }
        return Ok(inline.to_owned());
    }
    let secret = private_text(path, "turn secret file others permissions must be set to 0")?;
    let secret = secret.trim();
    if secret.is_empty() {
        return Err(format!("turn server \"{host}\" secret file \"{path}\": turn secret is empty"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_expand_like_a_shells() {
        let env: BTreeMap<String, String> =
            [("HOME", "/home/lk"), ("DIR", "/etc/lk")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let cases = [
            ("~/keys.yaml", "/home/lk/keys.yaml"),
            ("$DIR/keys.yaml", "/etc/lk/keys.yaml"),
            ("${DIR}/keys.yaml", "/etc/lk/keys.yaml"),
            ("/a/$NONE/b", "/a//b"),
            ("~other/keys", "~other/keys"),
            ("", ""),
        ];
        for (path, expanded) in cases {
            assert_eq!(expand(path, &env), expanded, "{path}");
        }
    }
}
