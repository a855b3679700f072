//! A connect URL with plain parameters, v0 (WIRE.md §1.8).

use super::client_info;
use super::params::Params;
use super::refusal::Refusal;
use super::wish::Wish;
use crate::room::session::SessionStart;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use std::collections::BTreeMap;

/// `strict` refuses attributes that cannot be decoded.
pub fn read(params: &Params, strict: bool) -> Result<Wish, Refusal> {
    let attributes = match attributes(params.text("attributes")) {
        None if strict => return Err(Refusal::bad_request("cannot decode attributes")),
        decoded => decoded.unwrap_or_default(),
    };
    Ok(Wish { start: start(params), attributes, publish: params.string("publish"), ..Wish::default() })
}

fn start(params: &Params) -> SessionStart {
    let reconnect = params.flag("reconnect");
    SessionStart {
        client: client_info::from_params(params),
        auto_subscribe: params.optional_flag("auto_subscribe").unwrap_or(true),
        auto_subscribe_data_track: params.flag("auto_subscribe_data_track"),
        adaptive_stream: params.flag("adaptive_stream"),
        disable_ice_lite: params.flag("disable_ice_lite"),
        subscriber_allow_pause: params.optional_flag("subscriber_allow_pause"),
        reconnect,
        reconnect_reason: params.number("reconnect_reason"),
        participant_sid: if reconnect { params.string("sid") } else { String::new() },
        ..SessionStart::default()
    }
}

/// URL-safe base64 of a JSON object of strings; `None` if it is none.
fn attributes(encoded: &str) -> Option<BTreeMap<String, String>> {
    if encoded.is_empty() {
        return Some(BTreeMap::new());
    }
    serde_json::from_slice(&URL_SAFE.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    fn wish(query: &str, strict: bool) -> Result<Wish, Refusal> {
        read(&Params::of(&format!("/rtc?{query}").parse().unwrap()), strict)
    }

    #[test]
    fn defaults() {
        let start = wish("", true).unwrap().start;
        assert!(start.auto_subscribe && !start.auto_subscribe_data_track && !start.adaptive_stream);
        assert!(!start.single_peer_connection && !start.reconnect && !start.disable_ice_lite);
        assert_eq!((start.subscriber_allow_pause, start.client.protocol), (None, 0));
    }

    #[test]
    fn sid_counts_only_when_resuming() {
        assert_eq!(wish("sid=PA_x", true).unwrap().start.participant_sid, "");
        let start = wish("sid=PA_x&reconnect=1&reconnect_reason=2", true).unwrap().start;
        assert_eq!((start.participant_sid.as_str(), start.reconnect, start.reconnect_reason), ("PA_x", true, 2));
    }

    #[test]
    fn settings_are_read() {
        let start = wish("auto_subscribe=0&adaptive_stream=1&subscriber_allow_pause=0&disable_ice_lite=true", true);
        let start = start.unwrap().start;
        assert!(!start.auto_subscribe && start.adaptive_stream && start.disable_ice_lite);
        assert_eq!(start.subscriber_allow_pause, Some(false));
    }

    #[test]
    fn attributes_are_base64_of_a_json_map() {
        let encoded = URL_SAFE.encode(r#"{"a":"1"}"#);
        assert_eq!(wish(&format!("attributes={encoded}"), true).unwrap().attributes["a"], "1");
        for bad in ["***", &URL_SAFE.encode("[1]")] {
            let query = format!("attributes={bad}");
            let refusal = wish(&query, true).unwrap_err();
            assert_eq!((refusal.status, refusal.text.as_str()), (StatusCode::BAD_REQUEST, "cannot decode attributes"));
            assert!(wish(&query, false).unwrap().attributes.is_empty());
        }
    }
}
