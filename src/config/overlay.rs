//! Flags and environment over settings: first those generated from key paths, then the named ones (WIRE.md §7.1, §7.2).
//!
//! A flag wins over its variable. An empty variable counts as unset, so that `docker run -e NAME=` changes nothing.

use super::complaint::{Complaint, Origin};
use super::file;
use super::keys;
use super::load::Sources;
use super::settings::Settings;
use super::value::Value;

/// A flag with a name of its own.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub flag: &'static str,
    /// Empty when only the flag exists.
    pub env: &'static str,
    /// Key path it sets.
    pub path: &'static str,
    pub doc: &'static str,
    pub value_name: &'static str,
}

/// WIRE.md §7.2, without `--bind`, `--dev` and the flags that set no key.
pub const NAMED: [Named; 9] = [
    named("key-file", "", "key_file", "PATH", "File of API keys and secrets"),
    named("keys", "LIVEKIT_KEYS", "keys", "KEYS", "API keys, as lines of `key: secret`"),
    named("region", "LIVEKIT_REGION", "region", "NAME", "Region of this node, for the regionaware node selector"),
    named("node-ip", "NODE_IP", "rtc.node_ip", "IP", "Address told to clients; found by itself when not given"),
    named("udp-port", "UDP_PORT", "rtc.udp_port", "PORTS", "UDP port, or range of ports, for media"),
    named("redis-host", "REDIS_HOST", "redis.address", "HOST:PORT", "Redis server"),
    named("redis-password", "REDIS_PASSWORD", "redis.password", "PASSWORD", "Password of the Redis server"),
    named("turn-cert", "LIVEKIT_TURN_CERT", "turn.cert_file", "PATH", "Certificate of the TURN server"),
    named("turn-key", "LIVEKIT_TURN_KEY", "turn.key_file", "PATH", "Key of that certificate"),
];

const fn named(
    flag: &'static str,
    env: &'static str,
    path: &'static str,
    value_name: &'static str,
    doc: &'static str,
) -> Named {
    Named { flag, env, path, doc, value_name }
}

/// The environment variable that holds a whole configuration.
pub const BODY_ENV: &str = "LIVEKIT_CONFIG";

/// LiveKit's text for `--keys` that cannot be read.
const BAD_KEYS: &str = "Could not parse keys, it needs to be exactly, \"key: secret\", including the space";

pub(super) fn apply(
    sources: &Sources,
    settings: &mut Settings,
    complaints: &mut Vec<Complaint>,
    notices: &mut Vec<String>,
) {
    for key in keys::all().iter().filter(|key| key.kind.has_flag()) {
        let Some((text, origin)) = given(sources, &key.path, &key.env()) else { continue };
        match key.kind.read_text(text) {
            Ok(value) => settings.set(&key.path, value, origin),
            Err(what) => complaints.push(Complaint::new(&origin, &key.path, with_hint(text, what))),
        }
    }
    for named in &NAMED {
        if let Some((text, origin)) = given(sources, named.flag, named.env) {
            apply_named(named, text, origin, settings, complaints, notices);
        }
    }
    if !sources.bind.is_empty() {
        let addresses = sources.bind.iter().map(|address| Value::text(address)).collect();
        settings.set("bind_addresses", Value::List(addresses), Origin::Flag("bind".into()));
    }
    if sources.dev {
        settings.set("development", Value::Bool(true), Origin::Flag("dev".into()));
    }
}

fn given<'a>(sources: &'a Sources, flag: &str, env: &str) -> Option<(&'a str, Origin)> {
    if let Some(text) = sources.flags.get(flag) {
        return Some((text, Origin::Flag(flag.to_owned())));
    }
    let text = sources.env.get(env).filter(|text| !text.is_empty())?;
    Some((text, Origin::Env(env.to_owned())))
}

fn apply_named(
    named: &Named,
    text: &str,
    origin: Origin,
    settings: &mut Settings,
    complaints: &mut Vec<Complaint>,
    notices: &mut Vec<String>,
) {
    if named.path == "keys" {
        match file::api_keys(text) {
            Ok((keys, left_out)) => {
                notices.extend(
                    left_out.iter().map(|key| format!("{origin}: the secret of `{key}` is not text, key left out")),
                );
                settings.set("keys", keys, origin);
            }
            Err(_) => complaints.push(Complaint::new(&origin, "keys", BAD_KEYS)),
        }
        return;
    }
    let Some(key) = keys::find(named.path) else { return };
    match key.kind.read_text(text) {
        Ok(value) => settings.set(named.path, value, origin),
        Err(what) => complaints.push(Complaint::new(&origin, named.path, what)),
    }
}

/// Kubernetes sets `LIVEKIT_PORT=tcp://…` beside a service called `livekit`; nobody guesses that from the plain refusal.
fn with_hint(text: &str, what: String) -> String {
    if text.starts_with("tcp://") {
        format!("{what}; kubernetes sets it for a service of that name: set enableServiceLinks: false on the pod")
    } else {
        what
    }
}
