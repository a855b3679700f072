//! Which codecs a client may publish and be sent, and what it is told to leave alone (WIRE.md §2.12, §3.2).

use super::client::Client;
use super::negotiate::EnabledCodec;
use crate::config::model;
use crate::proto::{ClientConfigSetting, ClientConfiguration, Codec, DisabledCodecs};

/// The spelling of MIME types towards clients; matching never depends on it.
const SPELLINGS: [&str; 10] = [
    "audio/opus",
    "audio/red",
    "audio/PCMU",
    "audio/PCMA",
    "video/VP8",
    "video/VP9",
    "video/H264",
    "video/H265",
    "video/AV1",
    "video/rtx",
];

/// A MIME type in its usual spelling; one we do not know stays as it is.
pub fn spelling(mime: &str) -> String {
    let known = SPELLINGS.iter().find(|known| known.eq_ignore_ascii_case(mime));
    known.map_or_else(|| mime.to_owned(), |known| (*known).to_owned())
}

/// The codec's name in lower case: `vp8` of `video/VP8`.
pub fn name(mime: &str) -> String {
    mime.rsplit('/').next().unwrap_or_default().to_ascii_lowercase()
}

/// Spatial layers may travel in one stream (VP9, AV1).
pub fn is_svc(mime: &str) -> bool {
    matches!(name(mime).as_str(), "vp9" | "av1")
}

pub fn is_video(mime: &str) -> bool {
    mime.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("video/"))
}

fn is_rtx(mime: &str) -> bool {
    name(mime) == "rtx"
}

/// Codecs this client may publish.
pub fn publish_codecs(enabled: &[model::EnabledCodec], client: &Client) -> Vec<EnabledCodec> {
    let disabled = disabled_codecs(client);
    let kept = without(enabled, &disabled.codecs);
    with_rtx(without(&kept, &disabled.publish))
}

/// Codecs this client may be sent.
pub fn subscribe_codecs(enabled: &[model::EnabledCodec], client: &Client) -> Vec<EnabledCodec> {
    with_rtx(without(enabled, &disabled_codecs(client).codecs))
}

fn without(enabled: &[model::EnabledCodec], disabled: &[Codec]) -> Vec<model::EnabledCodec> {
    let is_disabled = |mime: &str| disabled.iter().any(|d| d.mime.eq_ignore_ascii_case(mime));
    enabled.iter().filter(|codec| !is_disabled(&codec.mime)).cloned().collect()
}

fn with_rtx(enabled: Vec<model::EnabledCodec>) -> Vec<EnabledCodec> {
    let mut codecs: Vec<_> =
        enabled.into_iter().map(|c| EnabledCodec { mime: spelling(&c.mime), fmtp: c.fmtp_line }).collect();
    if !codecs.iter().any(|c| is_rtx(&c.mime)) {
        codecs.push(EnabledCodec { mime: "video/rtx".to_owned(), fmtp: String::new() });
    }
    codecs
}

/// JoinResponse.enabled_publish_codecs: VP8, H264, other video, audio; what a client should try, in that order.
pub fn advertised(publish: &[EnabledCodec]) -> Vec<Codec> {
    let mut codecs: Vec<&EnabledCodec> = publish.iter().filter(|c| !is_rtx(&c.mime)).collect();
    codecs.sort_by_key(|c| rank(&c.mime));
    codecs.into_iter().map(|c| Codec { mime: c.mime.clone(), fmtp_line: c.fmtp.clone() }).collect()
}

fn rank(mime: &str) -> u8 {
    match name(mime).as_str() {
        "vp8" => 0,
        "h264" => 1,
        _ if is_video(mime) => 2,
        _ => 3,
    }
}

/// Room.enabled_codecs.
pub fn room_codecs(enabled: &[model::EnabledCodec]) -> Vec<Codec> {
    enabled.iter().map(|c| Codec { mime: spelling(&c.mime), fmtp_line: c.fmtp_line.clone() }).collect()
}

/// JoinResponse.client_configuration; `force_relay` when only TURN over TLS worked for this client before.
pub fn client_configuration(client: &Client, force_relay: bool) -> Option<ClientConfiguration> {
    let disabled = disabled_codecs(client);
    let mut configuration = ClientConfiguration::default();
    if disabled != DisabledCodecs::default() {
        configuration.disabled_codecs = Some(disabled);
    }
    if force_relay {
        configuration.force_relay = ClientConfigSetting::Enabled as i32;
    }
    (configuration != ClientConfiguration::default()).then_some(configuration)
}

fn disabled_codecs(client: &Client) -> DisabledCodecs {
    let mut disabled = DisabledCodecs::default();
    if encodes_h264_badly(client) {
        disabled.publish = vec![codec("video/H264")];
        return disabled;
    }
    if client.is_safari() {
        disabled.codecs = vec![codec("video/AV1")];
        if client.browser_is_newer_than([18, 3, 0]) {
            disabled.publish = vec![codec("video/VP9")];
        }
    }
    disabled
}

/// This rule replaces the others instead of adding to them.
fn encodes_h264_badly(client: &Client) -> bool {
    let model = client.0.device_model.to_ascii_lowercase();
    let broken_encoder = model.ends_with("2201117ti") && client.os_is(&["android"]);
    broken_encoder || (client.is_firefox() && client.os_is(&["linux", "android"]))
}

fn codec(mime: &str) -> Codec {
    Codec { mime: mime.to_owned(), fmtp_line: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ClientInfo;

    fn enabled(mimes: &[&str]) -> Vec<model::EnabledCodec> {
        mimes.iter().map(|m| model::EnabledCodec { mime: m.to_string(), fmtp_line: String::new() }).collect()
    }

    fn client(browser: &str, version: &str, os: &str, model: &str) -> Client {
        Client(ClientInfo {
            browser: browser.into(),
            browser_version: version.into(),
            os: os.into(),
            device_model: model.into(),
            ..Default::default()
        })
    }

    fn mimes(codecs: &[EnabledCodec]) -> Vec<&str> {
        codecs.iter().map(|c| c.mime.as_str()).collect()
    }

    #[test]
    fn removals_by_client() {
        let all = enabled(&["audio/opus", "video/vp8", "video/H264", "video/VP9", "video/AV1"]);
        let everything = ["audio/opus", "video/VP8", "video/H264", "video/VP9", "video/AV1", "video/rtx"];
        let lacking =
            |gone: &[&str]| -> Vec<&str> { everything.iter().filter(|m| !gone.contains(m)).copied().collect() };
        let cases = [
            (client("Chrome", "120", "Windows", ""), lacking(&[]), lacking(&[])),
            (client("Safari", "17.0", "Mac OS X", ""), lacking(&["video/AV1"]), lacking(&["video/AV1"])),
            (client("Safari", "18.3", "iOS", ""), lacking(&["video/AV1"]), lacking(&["video/AV1"])),
            (client("Safari", "18.3.1", "iOS", ""), lacking(&["video/AV1", "video/VP9"]), lacking(&["video/AV1"])),
            (client("Firefox", "120", "Linux", ""), lacking(&["video/H264"]), lacking(&[])),
            (client("Firefox", "120", "Windows", ""), lacking(&[]), lacking(&[])),
            (client("Chrome", "120", "Android", "Xiaomi 2201117TI"), lacking(&["video/H264"]), lacking(&[])),
            (client("Chrome", "120", "Windows", "2201117TI"), lacking(&[]), lacking(&[])),
        ];
        for (client, publish, subscribe) in cases {
            assert_eq!(mimes(&publish_codecs(&all, &client)), publish, "publish {client:?}");
            assert_eq!(mimes(&subscribe_codecs(&all, &client)), subscribe, "subscribe {client:?}");
        }
    }

    #[test]
    fn rtx_is_there_once_and_never_advertised() {
        let client = Client::default();
        let codecs =
            publish_codecs(&enabled(&["video/rtx", "video/VP9", "audio/red", "video/h264", "video/VP8"]), &client);
        assert_eq!(codecs.iter().filter(|c| is_rtx(&c.mime)).count(), 1);
        let order: Vec<_> = advertised(&codecs).into_iter().map(|c| c.mime).collect();
        assert_eq!(order, ["video/VP8", "video/H264", "video/VP9", "audio/red"]);
    }

    #[test]
    fn fmtp_lines_are_kept() {
        let h264 = model::EnabledCodec { mime: "video/H264".into(), fmtp_line: "profile-level-id=42001f".into() };
        let codecs = subscribe_codecs(&[h264], &Client::default());
        assert_eq!(codecs[0].fmtp, "profile-level-id=42001f");
    }

    #[test]
    fn configuration_is_absent_when_nothing_applies() {
        assert_eq!(client_configuration(&client("Chrome", "120", "Linux", ""), false), None);
        let relay = client_configuration(&Client::default(), true).unwrap();
        assert_eq!(relay.force_relay(), ClientConfigSetting::Enabled);
        assert_eq!(relay.disabled_codecs, None);
        let safari =
            client_configuration(&client("Safari", "18.4", "iOS", ""), false).unwrap().disabled_codecs.unwrap();
        assert_eq!((safari.codecs[0].mime.as_str(), safari.publish[0].mime.as_str()), ("video/AV1", "video/VP9"));
    }

    #[test]
    fn names_and_spellings() {
        assert_eq!(name("video/VP8"), "vp8");
        assert_eq!(name("opus"), "opus");
        assert_eq!(spelling("VIDEO/h264"), "video/H264");
        assert_eq!(spelling("audio/g722"), "audio/g722");
        assert!(is_svc("video/av1") && !is_svc("video/H265"));
    }
}
