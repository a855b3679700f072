//! TrackInfo: built from a client's AddTrackRequest, completed when its media is matched (WIRE.md §2.7, §4.1).

use super::client::Client;
use super::codecs;
use super::layers;
use super::negotiate::EnabledCodec;
use crate::limits::TRACK_CODECS_MAX;
use crate::proto::video_layer::Mode;
use crate::proto::{
    AddTrackRequest, AudioTrackFeature, BackupCodecPolicy, SimulcastCodec, SimulcastCodecInfo, TimedVersion, TrackInfo,
    TrackSource, TrackType, id,
};

/// What a track's codecs are checked against.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// From [`codecs::publish_codecs`].
    pub enabled: &'a [EnabledCodec],
    pub client: &'a Client,
}

/// A track as announced; everything but the version, the mids and MIME types the client left open.
#[allow(deprecated)]
pub fn announced(request: &AddTrackRequest, rules: Rules) -> TrackInfo {
    let codecs = codec_infos(request, rules);
    let layers = shared_layers(request, &codecs);
    let features = features(request);
    TrackInfo {
        sid: sid(request.r#type(), request.source()),
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: is_simulcast(&codecs, layers.len()),
        disable_dtx: has(&features, AudioTrackFeature::TfNoDtx),
        source: request.source,
        stereo: has(&features, AudioTrackFeature::TfStereo),
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: stream(request),
        audio_features: features,
        backup_codec_policy: backup_policy(request) as i32,
        packet_trailer_features: known_once(&request.packet_trailer_features),
        layers,
        codecs,
        ..TrackInfo::default()
    }
}

/// A published or pending track is to carry further codecs (AddTrackRequest with `sid`).
pub fn add_codecs(info: &mut TrackInfo, request: &AddTrackRequest, rules: Rules) {
    for codec in codec_infos(request, rules).into_iter().filter(|c| !c.mime_type.is_empty()) {
        let known = info.codecs.iter().position(|known| known.mime_type.eq_ignore_ascii_case(&codec.mime_type));
        match known.and_then(|index| info.codecs.get_mut(index)) {
            Some(known) => known.cid = codec.cid,
            None => push_bounded(&mut info.codecs, codec),
        }
    }
}

fn push_bounded(codecs: &mut Vec<SimulcastCodecInfo>, codec: SimulcastCodecInfo) {
    if codecs.len() < TRACK_CODECS_MAX {
        codecs.push(codec);
    }
}

/// Enters a section that carries the track: `cid` is its msid track id. Returns the index of the codec it carries, `None`
/// when the section's codec is none of the track's. Draw `version` anew for each call.
#[allow(deprecated)]
pub fn complete(info: &mut TrackInfo, cid: &str, mime: &str, mid: &str, version: TimedVersion) -> Option<usize> {
    let index = codec_index(info, cid, mime)?;
    let is_first = info.mid.is_empty();
    let codec = info.codecs.get_mut(index)?;
    codec.mime_type = codecs::spelling(mime);
    codec.mid = mid.to_owned();
    codec.sdp_cid = if codec.cid == cid { String::new() } else { cid.to_owned() };
    if codec.video_layer_mode() == Mode::Unused && codecs::is_video(mime) {
        codec.video_layer_mode = default_mode(mime, false) as i32;
    }
    if index == 0 || is_first {
        info.mime_type = codec.mime_type.clone();
        info.mid = mid.to_owned();
    }
    info.simulcast = is_simulcast(&info.codecs, info.layers.len());
    info.version = Some(version);
    Some(index)
}

/// The same codec announced for that section; else the same codec; else the first while it is open. An audio track has one
/// stream, whichever of opus and RED the client came to send.
fn codec_index(info: &TrackInfo, cid: &str, mime: &str) -> Option<usize> {
    if info.r#type() == TrackType::Audio {
        return Some(0);
    }
    let find = |wanted: &dyn Fn(&SimulcastCodecInfo) -> bool| info.codecs.iter().position(wanted);
    let same = |c: &SimulcastCodecInfo| c.mime_type.eq_ignore_ascii_case(mime);
    find(&|c| same(c) && c.cid == cid).or_else(|| find(&same)).or_else(|| find(&|c| c.mime_type.is_empty()))
}

/// How the track's spatial layers travel in that codec.
pub fn layer_mode(info: &TrackInfo, codec: usize) -> Mode {
    let known = info.codecs.get(codec).map(|c| c.video_layer_mode()).filter(|&mode| mode != Mode::Unused);
    known.unwrap_or_else(|| default_mode(&info.mime_type, false))
}

/// UpdateLocalAudioTrack; true when that changed anything.
#[allow(deprecated)]
pub fn update_audio(info: &mut TrackInfo, features: &[i32]) -> bool {
    let features = known_features(features);
    let changed = features != info.audio_features;
    info.stereo = has(&features, AudioTrackFeature::TfStereo);
    info.disable_dtx = has(&features, AudioTrackFeature::TfNoDtx);
    info.audio_features = features;
    changed
}

/// UpdateLocalVideoTrack; true when that changed anything.
pub fn update_video(info: &mut TrackInfo, width: u32, height: u32) -> bool {
    let changed = (info.width, info.height) != (width, height);
    (info.width, info.height) = (width, height);
    changed
}

/// `TR_`, a letter of the type, one of the source, 12 random characters.
fn sid(kind: TrackType, source: TrackSource) -> String {
    let kind = if kind == TrackType::Video { "V" } else { "A" };
    let source = match source {
        TrackSource::Camera => "C",
        TrackSource::Microphone => "M",
        TrackSource::ScreenShare => "S",
        TrackSource::ScreenShareAudio => "s",
        TrackSource::Unknown => "",
    };
    id::random(&format!("TR_{kind}{source}"))
}

fn stream(request: &AddTrackRequest) -> String {
    if !request.stream.is_empty() {
        return request.stream.clone();
    }
    let stream = match request.source() {
        TrackSource::Camera | TrackSource::Microphone => "camera",
        TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen",
        TrackSource::Unknown => "unknown",
    };
    stream.to_owned()
}

fn backup_policy(request: &AddTrackRequest) -> BackupCodecPolicy {
    let policy = request.backup_codec_policy();
    let is_audio = request.r#type() == TrackType::Audio;
    if is_audio && policy != BackupCodecPolicy::Regression { BackupCodecPolicy::Simulcast } else { policy }
}

/// Old clients set flags where new ones list features; both kinds read both.
#[allow(deprecated)]
fn features(request: &AddTrackRequest) -> Vec<i32> {
    let flags = [(request.stereo, AudioTrackFeature::TfStereo), (request.disable_dtx, AudioTrackFeature::TfNoDtx)];
    let legacy = flags.into_iter().filter(|(set, _)| *set).map(|(_, feature)| feature as i32);
    known_features(&request.audio_features.iter().copied().chain(legacy).collect::<Vec<_>>())
}

fn known_features(features: &[i32]) -> Vec<i32> {
    known_once(features).into_iter().filter(|&f| AudioTrackFeature::try_from(f).is_ok()).collect()
}

/// Each value once: a client may send a list of any length.
fn known_once(values: &[i32]) -> Vec<i32> {
    let mut kept = values.to_vec();
    kept.sort_unstable();
    kept.dedup();
    kept.retain(|v| (0..=i32::from(u8::MAX)).contains(v));
    kept
}

fn has(features: &[i32], feature: AudioTrackFeature) -> bool {
    features.contains(&(feature as i32))
}

fn codec_infos(request: &AddTrackRequest, rules: Rules) -> Vec<SimulcastCodecInfo> {
    let mut infos: Vec<SimulcastCodecInfo> = Vec::new();
    for codec in request.simulcast_codecs.iter().filter(|c| !c.codec.is_empty()) {
        let mime = mime(request.r#type(), &codec.codec, rules.enabled);
        let is_new = infos.iter().all(|info| !info.mime_type.eq_ignore_ascii_case(&mime));
        if is_new && infos.len() < TRACK_CODECS_MAX {
            infos.push(codec_info(request, codec, mime, rules.client));
        }
    }
    if infos.is_empty() {
        infos.push(open_codec(request, rules.client));
    }
    infos
}

fn codec_info(request: &AddTrackRequest, codec: &SimulcastCodec, mime: String, client: &Client) -> SimulcastCodecInfo {
    let own = if codec.layers.is_empty() { &request.layers } else { &codec.layers };
    let mode = match codec.video_layer_mode() {
        Mode::Unused if codecs::is_video(&mime) => default_mode(&mime, client.is_obs()),
        asked => asked,
    };
    SimulcastCodecInfo {
        mime_type: mime,
        cid: codec.cid.clone(),
        layers: layers::tidy(own),
        video_layer_mode: mode as i32,
        ..SimulcastCodecInfo::default()
    }
}

/// The client leaves the codec to the negotiation.
fn open_codec(request: &AddTrackRequest, client: &Client) -> SimulcastCodecInfo {
    let is_obs_video = client.is_obs() && request.r#type() == TrackType::Video;
    let mode = if is_obs_video { Mode::OneSpatialLayerPerStreamIncompleteRtcpSr } else { Mode::Unused };
    SimulcastCodecInfo {
        cid: request.cid.clone(),
        layers: layers::tidy(&request.layers),
        video_layer_mode: mode as i32,
        ..SimulcastCodecInfo::default()
    }
}

/// The codec's MIME type. A video codec that is not enabled becomes the first that is, VP8 if there is none.
fn mime(kind: TrackType, codec: &str, enabled: &[EnabledCodec]) -> String {
    let prefix = if kind == TrackType::Video { "video" } else { "audio" };
    let mime = codecs::spelling(&format!("{prefix}/{}", codec.rsplit('/').next().unwrap_or_default()));
    if kind != TrackType::Video || enabled.iter().any(|e| e.mime.eq_ignore_ascii_case(&mime)) {
        return mime;
    }
    let first = enabled.iter().find(|e| codecs::is_video(&e.mime) && codecs::name(&e.mime) != "rtx");
    first.map_or_else(|| "video/VP8".to_owned(), |e| e.mime.clone())
}

fn default_mode(mime: &str, is_obs: bool) -> Mode {
    match (codecs::is_svc(mime), is_obs) {
        (true, _) => Mode::MultipleSpatialLayersPerStream,
        (false, true) => Mode::OneSpatialLayerPerStreamIncompleteRtcpSr,
        (false, false) => Mode::OneSpatialLayerPerStream,
    }
}

/// The layers of the track as a whole: as requested, or those of its primary codec.
fn shared_layers(request: &AddTrackRequest, codecs: &[SimulcastCodecInfo]) -> Vec<crate::proto::VideoLayer> {
    let requested = layers::tidy(&request.layers);
    if requested.is_empty() { codecs.first().map(|c| c.layers.clone()).unwrap_or_default() } else { requested }
}

fn is_simulcast(codecs: &[SimulcastCodecInfo], layers: usize) -> bool {
    let is_svc = codecs.first().is_some_and(|c| c.video_layer_mode() == Mode::MultipleSpatialLayersPerStream);
    layers > 1 && !is_svc
}

#[cfg(test)]
#[allow(deprecated)]
mod tests {
    use super::*;
    use crate::proto::{ClientInfo, VideoLayer, VideoQuality};

    fn enabled(mimes: &[&str]) -> Vec<EnabledCodec> {
        mimes.iter().map(|m| EnabledCodec { mime: m.to_string(), fmtp: String::new() }).collect()
    }

    fn build(request: &AddTrackRequest) -> TrackInfo {
        build_for(request, &Client::default())
    }

    fn build_for(request: &AddTrackRequest, client: &Client) -> TrackInfo {
        let enabled = enabled(&["audio/opus", "video/rtx", "video/VP8", "video/VP9", "video/AV1"]);
        announced(request, Rules { enabled: &enabled, client })
    }

    fn camera(codecs: &[&str]) -> AddTrackRequest {
        let codec = |c: &&str| SimulcastCodec { codec: c.to_string(), cid: format!("cid-{c}"), ..Default::default() };
        AddTrackRequest {
            cid: "cam".into(),
            r#type: TrackType::Video as i32,
            source: TrackSource::Camera as i32,
            width: 1280,
            height: 720,
            layers: [VideoQuality::Low, VideoQuality::High]
                .map(|q| VideoLayer { quality: q as i32, ..Default::default() })
                .into(),
            simulcast_codecs: codecs.iter().map(codec).collect(),
            ..Default::default()
        }
    }

    fn microphone() -> AddTrackRequest {
        AddTrackRequest { cid: "mic".into(), source: TrackSource::Microphone as i32, ..Default::default() }
    }

    fn mimes(info: &TrackInfo) -> Vec<&str> {
        info.codecs.iter().map(|c| c.mime_type.as_str()).collect()
    }

    #[test]
    fn sids_and_streams_by_source() {
        use TrackSource::*;
        let cases = [
            (TrackType::Video, Camera, "TR_VC", "camera"),
            (TrackType::Audio, Microphone, "TR_AM", "camera"),
            (TrackType::Video, ScreenShare, "TR_VS", "screen"),
            (TrackType::Audio, ScreenShareAudio, "TR_As", "screen"),
            (TrackType::Video, Unknown, "TR_V", "unknown"),
        ];
        for (kind, source, prefix, stream) in cases {
            let request = AddTrackRequest { r#type: kind as i32, source: source as i32, ..Default::default() };
            let info = build(&request);
            assert!(info.sid.starts_with(prefix), "{}", info.sid);
            assert_eq!(info.sid.len(), prefix.len() + 12);
            assert_eq!(info.stream, stream);
        }
        assert_eq!(build(&AddTrackRequest { stream: "own".into(), ..microphone() }).stream, "own");
    }

    #[test]
    fn codecs_are_named_replaced_and_unique() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["vp8"], &["video/VP8"]),
            (&["video/vp9", "VP8"], &["video/VP9", "video/VP8"]),
            (&["h264"], &["video/VP8"]),
            (&["h264", "h265", "vp8"], &["video/VP8"]),
            (&["", "av1"], &["video/AV1"]),
            (&[], &[""]),
        ];
        for (asked, expected) in cases {
            assert_eq!(mimes(&build(&camera(asked))), expected, "{asked:?}");
        }
    }

    #[test]
    fn without_any_video_codec_vp8_is_named() {
        let enabled = enabled(&["audio/opus", "video/rtx"]);
        let info = announced(&camera(&["av1"]), Rules { enabled: &enabled, client: &Client::default() });
        assert_eq!(mimes(&info), ["video/VP8"]);
    }

    #[test]
    fn a_flood_of_codecs_is_cut() {
        let names: Vec<String> = (0..1000).map(|i| format!("codec{i}")).collect();
        let mut request = microphone();
        request.simulcast_codecs = camera(&names.iter().map(String::as_str).collect::<Vec<_>>()).simulcast_codecs;
        assert_eq!(build(&request).codecs.len(), TRACK_CODECS_MAX);
    }

    #[test]
    fn layer_modes_and_simulcast() {
        use Mode::*;
        let obs = Client(ClientInfo { browser: "OBS-Browser".into(), ..Default::default() });
        let plain = Client::default();
        let mut explicit = camera(&["vp9"]);
        explicit.simulcast_codecs[0].video_layer_mode = OneSpatialLayerPerStream as i32;
        let cases = [
            (camera(&["vp8"]), &plain, OneSpatialLayerPerStream, true),
            (camera(&["vp9"]), &plain, MultipleSpatialLayersPerStream, false),
            (camera(&["av1"]), &plain, MultipleSpatialLayersPerStream, false),
            (camera(&["vp8"]), &obs, OneSpatialLayerPerStreamIncompleteRtcpSr, true),
            (explicit, &plain, OneSpatialLayerPerStream, true),
        ];
        for (request, client, mode, simulcast) in cases {
            let info = build_for(&request, client);
            assert_eq!((layer_mode(&info, 0), info.simulcast), (mode, simulcast), "{:?}", request.simulcast_codecs);
        }
        let single = AddTrackRequest { layers: vec![VideoLayer::default()], ..camera(&["vp8"]) };
        assert!(!build(&single).simulcast);
    }

    #[test]
    fn layers_come_from_the_request_or_the_codec() {
        let mut request = camera(&["vp8"]);
        assert_eq!(build(&request).layers.iter().map(|l| l.rid.as_str()).collect::<Vec<_>>(), ["q", "h"]);
        request.simulcast_codecs[0].layers = vec![VideoLayer { quality: 2, ..Default::default() }];
        assert_eq!(build(&request).codecs[0].layers.len(), 1);
        request.layers.clear();
        assert_eq!(build(&request).layers.len(), 1);
    }

    #[test]
    fn flags_and_features_agree() {
        let by_flag = AddTrackRequest { stereo: true, disable_dtx: true, ..microphone() };
        let by_feature = AddTrackRequest { audio_features: vec![1, 0, 0, 99], ..microphone() };
        for request in [by_flag, by_feature] {
            let info = build(&request);
            assert_eq!((info.stereo, info.disable_dtx), (true, true));
            assert_eq!(info.audio_features, [AudioTrackFeature::TfStereo as i32, AudioTrackFeature::TfNoDtx as i32]);
        }
        assert!(build(&microphone()).audio_features.is_empty());
    }

    #[test]
    fn backup_policy_of_audio() {
        use BackupCodecPolicy::*;
        let cases = [
            (microphone(), PreferRegression, Simulcast),
            (microphone(), Regression, Regression),
            (camera(&[]), PreferRegression, PreferRegression),
            (camera(&[]), Simulcast, Simulcast),
        ];
        for (request, asked, expected) in cases {
            let request = AddTrackRequest { backup_codec_policy: asked as i32, ..request };
            assert_eq!(build(&request).backup_codec_policy(), expected, "{asked:?}");
        }
    }

    #[test]
    fn media_completes_the_codec_it_carries() {
        let version = TimedVersion { unix_micro: 7, ticks: 0 };
        // codecs announced; section's cid and codec; expected index, primary mime afterwards
        type Case = (&'static [&'static str], &'static str, &'static str, Option<usize>, &'static str);
        let cases: [Case; 7] = [
            (&[], "cam", "video/VP8", Some(0), "video/VP8"),
            (&[], "changed by the browser", "video/vp8", Some(0), "video/VP8"),
            (&["vp9", "vp8"], "cid-vp9", "video/VP9", Some(0), "video/VP9"),
            (&["vp9", "vp8"], "cid-vp8", "video/VP8", Some(1), "video/VP8"),
            (&["vp9", "vp8"], "cid-vp9", "video/VP8", Some(1), "video/VP8"),
            (&["vp9"], "changed", "video/VP9", Some(0), "video/VP9"),
            (&["vp9"], "cid-vp9", "video/H264", None, ""),
        ];
        for (announced, cid, mime, index, primary) in cases {
            let mut info = build(&camera(announced));
            assert_eq!(complete(&mut info, cid, mime, "3", version), index, "{announced:?} {cid} {mime}");
            assert_eq!(info.mime_type, primary, "{announced:?} {cid} {mime}");
            assert_eq!(info.version.is_some(), index.is_some());
            assert_eq!(info.mid, if index.is_some() { "3" } else { "" });
        }
    }

    #[test]
    fn a_codec_left_open_may_turn_out_scalable() {
        let mut info = build(&camera(&[]));
        assert!(info.simulcast);
        complete(&mut info, "cam", "video/VP9", "1", TimedVersion::default());
        assert_eq!((info.simulcast, layer_mode(&info, 0)), (false, Mode::MultipleSpatialLayersPerStream));
    }

    #[test]
    fn a_backup_codec_leaves_the_primary_alone() {
        let mut info = build(&camera(&["vp9", "vp8"]));
        complete(&mut info, "cid-vp9", "video/VP9", "1", TimedVersion::default());
        complete(&mut info, "cid-vp8", "video/VP8", "2", TimedVersion::default());
        assert_eq!((info.mime_type.as_str(), info.mid.as_str()), ("video/VP9", "1"));
        assert_eq!((info.codecs[1].mid.as_str(), layer_mode(&info, 1)), ("2", Mode::OneSpatialLayerPerStream));
    }

    #[test]
    fn audio_may_turn_out_to_be_red() {
        let mut request = microphone();
        request.simulcast_codecs =
            vec![SimulcastCodec { codec: "opus".into(), cid: "mic".into(), ..Default::default() }];
        let mut info = build(&request);
        assert_eq!(complete(&mut info, "mic", "audio/red", "0", TimedVersion::default()), Some(0));
        assert_eq!((info.mime_type.as_str(), info.codecs[0].video_layer_mode()), ("audio/red", Mode::Unused));
    }

    #[test]
    fn codecs_added_later() {
        let mut info = build(&camera(&["vp9"]));
        let enabled = enabled(&["video/VP8", "video/VP9"]);
        let mut more = camera(&["vp8", "vp9"]);
        more.simulcast_codecs[1].cid = "new".into();
        add_codecs(&mut info, &more, Rules { enabled: &enabled, client: &Client::default() });
        let cids: Vec<_> = info.codecs.iter().map(|c| (c.mime_type.as_str(), c.cid.as_str())).collect();
        assert_eq!(cids, [("video/VP9", "new"), ("video/VP8", "cid-vp8")]);
    }

    #[test]
    fn local_updates_report_change() {
        let mut info = build(&microphone());
        assert!(update_audio(&mut info, &[0, 3]));
        assert!(!update_audio(&mut info, &[3, 0, 3]));
        assert!(info.stereo);
        assert!(update_video(&mut info, 640, 360));
        assert!(!update_video(&mut info, 640, 360));
    }
}
