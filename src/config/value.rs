//! One setting's value, between the text it was written in and the field of `Config` it ends in.
//!
//! Secrets are a variant of their own, so that printing cannot show them. Called by `kind`, `settings` and `--print-config`.

use super::duration;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// What stands where a secret would.
pub const REDACTED: &str = "<redacted>";

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A key that may be absent and is.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Secret(Secret),
    Duration(Duration),
    /// First and last port, both included.
    Ports(u16, u16),
    NodeIp(Option<Ipv4Addr>, Option<Ipv6Addr>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    /// A protobuf message in its JSON form.
    Message(Json),
}

/// Text that never shows itself, in `Debug` neither.
#[derive(Clone, PartialEq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    pub fn texts(texts: &[&str]) -> Value {
        Value::List(texts.iter().map(|text| Value::text(text)).collect())
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null | Value::NodeIp(None, None) => true,
            Value::Text(text) | Value::Secret(Secret(text)) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// The form `Config` deserializes from, secrets in clear: `std::time::Duration` as serde writes it, ports as a pair.
    pub(super) fn for_model(&self) -> Json {
        match self {
            Value::Duration(duration) => json!({"secs": duration.as_secs(), "nanos": duration.subsec_nanos()}),
            Value::Ports(first, last) => json!([first, last]),
            Value::NodeIp(v4, v6) => json!({"v4": v4, "v6": v6}),
            Value::Secret(Secret(text)) => json!(text),
            Value::Message(message) => message.clone(),
            Value::List(items) => items.iter().map(Value::for_model).collect(),
            Value::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.for_model())).collect(),
            plain => plain.for_reader(),
        }
    }

    /// The form people and scripts are shown: durations and ports as they are written in YAML, secrets redacted.
    pub fn for_reader(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(bool) => json!(bool),
            Value::Int(int) => json!(int),
            Value::Float(float) => json!(float),
            Value::Text(text) => json!(without_password(text)),
            Value::Secret(Secret(text)) => json!(if text.is_empty() { "" } else { REDACTED }),
            Value::Duration(value) => json!(duration::format(*value)),
            Value::Ports(first, last) if first == last => json!(first),
            Value::Ports(first, last) => json!(format!("{first}-{last}")),
            Value::NodeIp(v4, v6) => json!(addresses(*v4, *v6)),
            Value::List(items) => items.iter().map(Value::for_reader).collect(),
            Value::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.for_reader())).collect(),
            Value::Message(message) => redacted_message(message),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.for_reader() {
            Json::String(text) if !text.is_empty() => f.write_str(&text),
            other => write!(f, "{other}"),
        }
    }
}

/// As `node_ip` is written.
fn addresses(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> String {
    let all = [v4.map(|address| address.to_string()), v6.map(|address| address.to_string())];
    all.into_iter().flatten().collect::<Vec<_>>().join(",")
}

/// `scheme://user:password@host` without the password.
fn without_password(text: &str) -> String {
    let hidden = (|| {
        let (scheme, rest) = text.split_once("://")?;
        let (userinfo, host) = rest.rsplit_once('@')?;
        let (user, _) = userinfo.split_once(':')?;
        Some(format!("{scheme}://{user}:{REDACTED}@{host}"))
    })();
    hidden.unwrap_or_else(|| text.to_owned())
}

/// Upload credentials of an egress preset stand deep inside; a name that smells of one hides its text.
fn redacted_message(message: &Json) -> Json {
    match message {
        Json::Object(fields) => {
            let shown = |(name, value): (&String, &Json)| match value {
                Json::String(text) if is_secret_name(name) && !text.is_empty() => (name.clone(), json!(REDACTED)),
                other => (name.clone(), redacted_message(other)),
            };
            fields.iter().map(shown).collect()
        }
        Json::Array(items) => items.iter().map(redacted_message).collect(),
        other => other.clone(),
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "password", "credential", "token", "key"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_show() {
        let secret = Value::Secret(Secret("hunter2".into()));
        let keys = Value::Map([("APIabc".to_owned(), secret.clone())].into());
        let message = Value::Message(json!({"egress": {"s3": {"secret": "hunter2", "accessKey": "hunter2"}}}));
        let url = Value::text("https://user:hunter2@host/hook");
        for value in [secret, keys, message, url] {
            assert!(!value.to_string().contains("hunter2"), "{value}");
            assert!(value.to_string().contains(REDACTED), "{value}");
        }
        assert!(!format!("{:?}", Secret("hunter2".into())).contains("hunter2"));
    }

    #[test]
    fn readers_see_what_yaml_would_say() {
        let cases = [
            (Value::Duration(Duration::from_millis(7500)), "7.5s"),
            (Value::Ports(7882, 7882), "7882"),
            (Value::Ports(7882, 7892), "7882-7892"),
            (Value::texts(&["a", "b"]), r#"["a","b"]"#),
            (Value::text(""), r#""""#),
            (Value::NodeIp(Some(Ipv4Addr::LOCALHOST), Some(Ipv6Addr::LOCALHOST)), "127.0.0.1,::1"),
            (Value::NodeIp(None, Some(Ipv6Addr::LOCALHOST)), "::1"),
            (Value::Null, "null"),
        ];
        for (value, shown) in cases {
            assert_eq!(value.to_string(), shown);
        }
    }
}
