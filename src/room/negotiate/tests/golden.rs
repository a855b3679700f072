//! Recorded descriptions in, the same text out. Chromium takes answers and offers of these shapes.

use super::*;

/// The ids Chromium gave the tracks of an offer.
fn cids(offer: &str) -> Vec<String> {
    let msids = offer.lines().filter_map(|l| l.strip_prefix("a=msid:"));
    msids.filter_map(|msid| msid.split(' ').nth(1)).map(str::to_owned).collect()
}

fn answered(connection: &mut Connection, offer: &str, tracks: &[(Kind, &[&str])]) -> (String, Vec<String>) {
    let pending: Vec<PendingTrack> =
        cids(offer).iter().zip(tracks).map(|(cid, (kind, codecs))| pending(*kind, cid, codecs)).collect();
    assert_eq!(pending.len(), tracks.len());
    let (answer, outcomes) = connection.answer(offer, &pending).unwrap();
    (answer.sdp, told(&outcomes))
}

#[test]
fn a_publisher_with_simulcast() {
    let offer = include_str!("../../../../fixtures/sdp/chromium-publisher-simulcast.sdp");
    let candidates = vec!["candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host".to_owned()];
    let mut connection = Connection::new(ConnectionSetup { ice_lite: true, candidates, ..setup(Role::Publisher) });
    let (answer, told) = answered(&mut connection, offer, &[(Kind::Audio, &[]), (Kind::Video, &["vp8"])]);
    assert_eq!(answer, include_str!("../../../../fixtures/sdp/chromium-publisher-simulcast.answer.sdp"));
    let cids = cids(offer);
    assert_eq!(told, [format!("receiving 0 {}", cids[0]), format!("receiving 1 {}", cids[1])]);
    let layers: Vec<_> = connection.receiving["1"].encodings.iter().map(|e| (e.rid.as_deref(), e.spatial)).collect();
    assert_eq!(layers, [(Some("q"), 0), (Some("h"), 1), (Some("f"), 2)]);
}

#[test]
fn a_publisher_with_one_svc_codec() {
    let offer = include_str!("../../../../fixtures/sdp/chromium-publisher-svc.sdp");
    let mut connection = Connection::new(ConnectionSetup { one_video_codec: true, ..setup(Role::Publisher) });
    let (answer, _) = answered(&mut connection, offer, &[(Kind::Video, &["av1", "vp8"])]);
    assert_eq!(answer, include_str!("../../../../fixtures/sdp/chromium-publisher-svc.answer.sdp"));
    let encodings = &connection.receiving["0"].encodings;
    assert!(matches!(encodings[..], [Encoding { rid: None, ssrc: Some(_), rtx_ssrc: Some(_), spatial: 0 }]));
}

#[test]
fn a_join_with_one_connection() {
    let offer = include_str!("../../../../fixtures/sdp/chromium-single-join.sdp");
    let mut connection = connection(Role::Single);
    connection.add_sender(sender(1, Kind::Audio, &["red", "opus"]));
    connection.add_sender(sender(2, Kind::Video, &["H264"]));
    let (answer, told) = answered(&mut connection, offer, &[]);
    assert_eq!(answer, include_str!("../../../../fixtures/sdp/chromium-single-join.answer.sdp"));
    assert_eq!(told, ["ready 1 0 63,111", "ready 2 3 102,104,108,114"]);
}

#[test]
fn one_connection_that_also_publishes() {
    let offer = include_str!("../../../../fixtures/sdp/chromium-single-publish.sdp");
    let mut connection = connection(Role::Single);
    connection.add_sender(sender(1, Kind::Video, &["VP8"]));
    let (answer, told) = answered(&mut connection, offer, &[(Kind::Audio, &["red"]), (Kind::Video, &["vp9"])]);
    assert_eq!(answer, include_str!("../../../../fixtures/sdp/chromium-single-publish.answer.sdp"));
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn data_channels_only() {
    let offer = include_str!("../../../../fixtures/sdp/chromium-data-only.sdp");
    let (answer, told) = answered(&mut connection(Role::Publisher), offer, &[]);
    assert_eq!(answer, include_str!("../../../../fixtures/sdp/chromium-data-only.answer.sdp"));
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_subscriber_offer_and_the_answer_to_it() {
    let mut connection = connection(Role::Subscriber);
    connection.add_sender(SenderSetup { stereo: true, ..sender(1, Kind::Audio, &["red", "opus"]) });
    connection.add_sender(sender(2, Kind::Video, &["VP8"]));
    connection.add_sender(sender(3, Kind::Video, &["H265"]));
    let offer = connection.offer(None);
    assert_eq!(offer.sdp, include_str!("../../../../fixtures/sdp/subscriber-offer.sdp"));
    let answer = include_str!("../../../../fixtures/sdp/chromium-subscriber-answer.sdp");
    let outcomes = connection.accept_answer(answer).unwrap();
    assert_eq!(told(&outcomes), ["ready 1 1 63,111", "ready 2 2 96", "refused 3"]);
    assert!(!remote_of(&outcomes).dtls_active);
}
