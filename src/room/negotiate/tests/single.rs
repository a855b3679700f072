use super::*;
use crate::sdp::Direction;

pub(super) fn receive(mid: &str, kind: Kind) -> String {
    if kind == Kind::Audio { audio(mid, "a=recvonly") } else { video(mid, "a=recvonly") }
}

fn answer(connection: &mut Connection, sections: &[String]) -> (Description, Vec<String>) {
    let (answer, outcomes) = connection.answer(&described("actpass", sections), &[]).unwrap();
    let told = told(&outcomes);
    (answer, told)
}

const NOTHING: [&str; 0] = [];

#[test]
fn senders_take_receive_sections_of_their_kind_in_order() {
    let mut connection = connection(Role::Single);
    for (leg, kind) in [(1, Kind::Video), (2, Kind::Audio), (3, Kind::Video)] {
        connection.add_sender(sender(leg, kind, &["VP8", "red", "opus"]));
    }
    let sent = audio("a0", "a=sendrecv\r\na=msid:s t");
    let sections = [sent, receive("v1", Kind::Video), receive("a2", Kind::Audio), data("d")];
    let (description, outcomes) = answer(&mut connection, &sections);
    assert_eq!(outcomes, ["receiving a0 t", "ready 1 v1 120", "ready 2 a2 63,109"]);
    let directions: Vec<Direction> = ["a0", "v1", "a2"].iter().map(|m| section(&description, m).direction).collect();
    assert_eq!(directions, [Direction::RecvOnly, Direction::SendOnly, Direction::SendOnly]);
    let want = HashMap::from([("v1".to_owned(), "TR_1".to_owned()), ("a2".to_owned(), "TR_2".to_owned())]);
    assert_eq!(description.mid_to_track_id, want);
    assert_eq!(section(&description, "v1").ssrc_groups[0].ssrcs, [1_001, 2_001]);
    assert_eq!(connection.sections_wanted(), Some((0, 1)), "leg 3 found none");
}

#[test]
fn sections_are_asked_for_once() {
    let mut connection = connection(Role::Single);
    answer(&mut connection, &[receive("0", Kind::Audio)]);
    assert_eq!(connection.sections_wanted(), None);
    for (leg, kind) in [(1, Kind::Audio), (2, Kind::Audio), (3, Kind::Video)] {
        connection.add_sender(sender(leg, kind, &["opus", "VP8"]));
    }
    assert_eq!(connection.sections_wanted(), Some((1, 1)));
    assert_eq!(connection.sections_wanted(), None);
    connection.add_sender(sender(4, Kind::Video, &["VP8"]));
    assert_eq!(connection.sections_wanted(), Some((0, 1)));
    let sections = [receive("0", Kind::Audio), receive("1", Kind::Audio), receive("2", Kind::Video)];
    assert_eq!(answer(&mut connection, &sections).1, ["ready 1 0 109", "ready 2 1 109", "ready 3 2 120"]);
    assert_eq!(connection.sections_wanted(), Some((0, 1)), "an answer begins a new count");
}

#[test]
fn a_free_section_needs_only_a_new_offer() {
    let mut connection = connection(Role::Single);
    answer(&mut connection, &[receive("0", Kind::Audio)]);
    connection.add_sender(sender(1, Kind::Audio, &["opus"]));
    assert_eq!(connection.sections_wanted(), Some((0, 0)));
    assert_eq!(answer(&mut connection, &[receive("0", Kind::Audio)]).1, ["ready 1 0 109"]);
    connection.add_sender(sender(2, Kind::Audio, &["opus"]));
    connection.remove_sender(LegKey(2));
    assert_eq!(connection.sections_wanted(), None, "nothing is left to do");
}

#[test]
fn a_removed_section_is_inactive_before_it_is_taken_again() {
    let mut connection = connection(Role::Single);
    let sections = [receive("0", Kind::Audio)];
    connection.add_sender(sender(1, Kind::Audio, &["opus"]));
    answer(&mut connection, &sections);
    connection.remove_sender(LegKey(1));
    connection.add_sender(sender(2, Kind::Audio, &["opus"]));
    assert_eq!(connection.sections_wanted(), Some((1, 0)));
    let (description, outcomes) = answer(&mut connection, &sections);
    assert_eq!((section(&description, "0").direction, outcomes), (Direction::Inactive, vec![]));
    assert_eq!(connection.sections_wanted(), Some((0, 0)));
    assert_eq!(answer(&mut connection, &sections).1, ["ready 2 0 109"]);
}

#[test]
fn a_sender_moves_when_the_client_withdraws_its_section() {
    let mut connection = connection(Role::Single);
    connection.add_sender(sender(1, Kind::Audio, &["opus"]));
    answer(&mut connection, &[receive("0", Kind::Audio)]);
    assert_eq!(answer(&mut connection, &[audio("0", "a=inactive")]).1, NOTHING);
    assert_eq!(connection.sections_wanted(), Some((1, 0)));
    let sections = [audio("0", "a=inactive"), receive("1", Kind::Audio)];
    assert_eq!(answer(&mut connection, &sections).1, ["ready 1 1 109"]);
    assert_eq!(answer(&mut connection, &sections).1, NOTHING);
}

#[test]
fn a_track_without_a_shared_codec_is_refused_and_leaves_its_section() {
    let mut connection = connection(Role::Single);
    connection.add_sender(sender(1, Kind::Video, &["AV1"]));
    connection.add_sender(sender(2, Kind::Video, &["VP9"]));
    let sections = [receive("0", Kind::Video)];
    let (description, outcomes) = answer(&mut connection, &sections);
    assert_eq!(outcomes, ["refused 1"]);
    assert_eq!(section(&description, "0").direction, Direction::Inactive);
    assert_eq!(description.mid_to_track_id, HashMap::new());
    assert_eq!(answer(&mut connection, &sections).1, ["ready 2 0 121"]);
}

#[test]
fn the_lists_of_codecs_differ_by_direction() {
    let only = |mime: &str| vec![EnabledCodec { mime: mime.to_owned(), fmtp: String::new() }];
    let limited = ConnectionSetup {
        publish_codecs: only("video/vp8"),
        subscribe_codecs: only("video/vp9"),
        ..setup(Role::Single)
    };
    let mut connection = Connection::new(limited);
    let (description, _) = answer(&mut connection, &[video("0", "a=sendonly"), receive("1", Kind::Video)]);
    assert_eq!(pts(&section(&description, "0")), [120, 124]);
    assert_eq!(pts(&section(&description, "1")), [121, 125]);
}

#[test]
fn clients_without_redundant_audio_get_none() {
    let mut connection = Connection::new(ConnectionSetup { takes_red: false, ..setup(Role::Single) });
    connection.add_sender(SenderSetup { stereo: true, ..sender(1, Kind::Audio, &["red", "opus"]) });
    let (description, outcomes) = answer(&mut connection, &[receive("0", Kind::Audio)]);
    assert_eq!(outcomes, ["ready 1 0 109"]);
    assert_eq!(pts(&section(&description, "0")), [109, 0]);
    assert_eq!(fmtp(&section(&description, "0"), 109), "minptime=10;sprop-stereo=1");
}

#[test]
fn legs_write_no_extension_meant_for_the_other_direction() {
    let mut connection = connection(Role::Single);
    connection.add_sender(sender(1, Kind::Video, &["VP8"]));
    let offer = include_str!("../../../../fixtures/sdp/chromium-single-join.sdp");
    let (description, outcomes) = connection.answer(offer, &[]).unwrap();
    let Some(Outcome::SenderReady { mid, extensions, .. }) = outcomes.get(1) else {
        panic!("the sender is not ready: {outcomes:?}")
    };
    assert_eq!((extensions.mid, extensions.transport_cc, extensions.abs_send_time), (None, Some(3), Some(2)));
    let offered = |what: &str| section(&description, mid).extensions.iter().any(|e| e.uri.ends_with(what));
    assert!(offered("sdes:mid") && offered("rtp-stream-id"));
}
