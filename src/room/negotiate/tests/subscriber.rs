use super::*;
use crate::sdp::{Direction, Feedback};

/// Answers an offer as a client would that knows these codecs.
pub(super) fn answer_to(offer: &Description, setup: &str, codecs: &[&str]) -> String {
    let mut session = sdp::parse(&offer.sdp).unwrap();
    session.transport.ufrag = Some("peer".to_owned());
    session.transport.pwd = Some("peerpwd".to_owned());
    for section in &mut session.sections {
        section.transport = sdp::parse(&format!("v=0\r\na=setup:{setup}\r\n")).unwrap().transport;
        section.direction = section.direction.reversed();
        section.payloads = known(section, codecs);
        section.port = if section.payloads.is_empty() && section.media != sdp::Media::Application { 0 } else { 9 };
        (section.msid, section.ssrcs, section.ssrc_groups) = (None, Vec::new(), Vec::new());
    }
    session.to_string()
}

fn known(section: &Section, codecs: &[&str]) -> Vec<sdp::Payload> {
    let is_known = |p: &&sdp::Payload| codecs.iter().any(|c| c.eq_ignore_ascii_case(&p.name));
    let rtx = |p: &sdp::Payload| section.payloads.iter().find(|r| Some(r.pt) == section.rtx_of(p.pt)).cloned();
    section.payloads.iter().filter(is_known).flat_map(|p| [Some(p.clone()), rtx(p)]).flatten().collect()
}

const ALL: [&str; 6] = ["opus", "red", "VP8", "VP9", "H264", "AV1"];

fn negotiate(connection: &mut Connection) -> (Description, Vec<String>) {
    let offer = connection.offer(None);
    let outcomes = connection.accept_answer(&answer_to(&offer, "active", &ALL)).unwrap();
    (offer, told(&outcomes))
}

#[test]
fn the_first_offer_begins_with_the_data_channels() {
    let mut connection = connection(Role::Subscriber);
    assert!(connection.wants_offer());
    connection.add_sender(sender(7, Kind::Audio, &["red", "opus"]));
    let (offer, told) = negotiate(&mut connection);
    let session = sdp::parse(&offer.sdp).unwrap();
    assert_eq!(session.bundle, ["0", "1"]);
    assert_eq!(session.sections[0].media, sdp::Media::Application);
    assert_eq!(session.sections[0].max_message_size, Some(65_535));
    assert_eq!(offer.mid_to_track_id, HashMap::from([("1".to_owned(), "TR_7".to_owned())]));
    assert_eq!(told, ["ready 7 1 63,111"]);
    assert!(!connection.wants_offer());
}

#[test]
fn a_section_announces_its_sender() {
    let mut connection = connection(Role::Subscriber);
    connection.add_sender(sender(7, Kind::Video, &["VP9"]));
    let section = section(&connection.offer(None), "1");
    assert_eq!(section.direction, Direction::SendOnly);
    assert_eq!(pts(&section), [98, 99, 100, 101, 96, 97, 108, 109, 125, 126, 35, 36, 116, 117]);
    let msid = section.msid.unwrap();
    assert_eq!((msid.stream_id.as_str(), msid.track_id.as_deref()), ("PA_someone|TR_7", Some("TR_7")));
    assert_eq!(section.ssrc_groups[0].ssrcs, [1_007, 2_007]);
    let cnames: Vec<_> = section.ssrcs.iter().filter(|s| s.name == "cname").map(|s| s.value.as_str()).collect();
    assert_eq!(cnames, ["PA_someone|TR_7"; 2]);
}

#[test]
fn audio_depends_on_what_the_client_takes() {
    let cases = [
        (true, &["red", "opus"][..], vec![63, 111, 0, 8], vec![]),
        (true, &["opus"][..], vec![111, 63, 0, 8], vec![Feedback::Nack]),
        (false, &["red", "opus"][..], vec![111, 0, 8], vec![Feedback::Nack]),
    ];
    for (takes_red, codecs, order, feedback) in cases {
        let mut connection = Connection::new(ConnectionSetup { takes_red, ..setup(Role::Subscriber) });
        connection.add_sender(SenderSetup { stereo: true, ..sender(7, Kind::Audio, codecs) });
        let section = section(&connection.offer(None), "1");
        assert_eq!(pts(&section), order, "{codecs:?}");
        let opus = section.payloads.iter().find(|p| p.name == "opus").unwrap();
        assert_eq!(opus.feedback, feedback, "{codecs:?}");
        assert_eq!(opus.fmtp, "minptime=10;useinbandfec=1;sprop-stereo=1");
    }
}

#[test]
fn a_leg_is_told_once_and_again_when_its_parameters_change() {
    let mut connection = connection(Role::Subscriber);
    connection.add_sender(sender(7, Kind::Video, &["VP8", "VP9"]));
    assert_eq!(negotiate(&mut connection).1, ["ready 7 1 96,98,100"]);
    assert_eq!(negotiate(&mut connection).1, Vec::<String>::new());
    let offer = connection.offer(None);
    let outcomes = connection.accept_answer(&answer_to(&offer, "active", &["VP9"])).unwrap();
    assert_eq!(told(&outcomes), ["ready 7 1 98,100"]);
}

#[test]
fn a_track_without_a_shared_codec_is_refused() {
    let mut connection = connection(Role::Subscriber);
    connection.add_sender(sender(7, Kind::Video, &["H265"]));
    connection.add_sender(sender(8, Kind::Audio, &["opus"]));
    let offer = connection.offer(None);
    let outcomes = connection.accept_answer(&answer_to(&offer, "active", &["VP8"])).unwrap();
    assert_eq!(told(&outcomes), ["refused 7", "refused 8"]);
}

#[test]
fn a_removed_section_is_inactive_before_it_is_taken_again() {
    let mut connection = connection(Role::Subscriber);
    connection.add_sender(sender(1, Kind::Video, &["VP8"]));
    negotiate(&mut connection);
    connection.remove_sender(LegKey(1));
    assert!(connection.wants_offer());
    connection.add_sender(sender(2, Kind::Video, &["VP8"]));
    let (offer, outcomes) = negotiate(&mut connection);
    assert_eq!(outcomes, ["ready 2 2 96"]);
    let left = section(&offer, "1");
    assert_eq!((left.direction, left.msid, left.ssrcs.len()), (Direction::Inactive, None, 0));
    assert!(!offer.mid_to_track_id.contains_key("1"));
    connection.add_sender(sender(3, Kind::Audio, &["opus"]));
    connection.add_sender(sender(4, Kind::Video, &["VP8"]));
    assert_eq!(negotiate(&mut connection).1, ["ready 4 1 96", "ready 3 3 111"]);
}

#[test]
fn clients_that_cannot_reuse_sections_get_new_ones() {
    let mut connection = Connection::new(ConnectionSetup { reuse_sections: false, ..setup(Role::Subscriber) });
    connection.add_sender(sender(1, Kind::Video, &["VP8"]));
    negotiate(&mut connection);
    connection.remove_sender(LegKey(1));
    negotiate(&mut connection);
    connection.add_sender(sender(2, Kind::Video, &["VP8"]));
    assert_eq!(negotiate(&mut connection).1, ["ready 2 2 96"]);
}

#[test]
fn changes_while_an_offer_is_out_wait_for_the_next() {
    let mut connection = connection(Role::Subscriber);
    connection.add_sender(sender(1, Kind::Audio, &["opus"]));
    let offer = connection.offer(None);
    connection.remove_sender(LegKey(1));
    connection.add_sender(sender(2, Kind::Audio, &["opus"]));
    let outcomes = connection.accept_answer(&answer_to(&offer, "active", &ALL)).unwrap();
    assert_eq!(told(&outcomes), Vec::<String>::new());
    assert!(connection.wants_offer());
    assert_eq!(negotiate(&mut connection).1, ["ready 2 2 111"]);
    connection.add_sender(sender(3, Kind::Audio, &["opus"]));
    connection.remove_sender(LegKey(3));
    assert!(!connection.wants_offer());
}

#[test]
fn answers_need_an_offer_and_tell_the_dtls_role() {
    let mut connection = connection(Role::Subscriber);
    assert_eq!(connection.accept_answer("v=0\r\n"), Err(NegotiateError::Unexpected));
    for (setup, active) in [("passive", true), ("active", true)] {
        let offer = connection.offer(None);
        let outcomes = connection.accept_answer(&answer_to(&offer, setup, &ALL)).unwrap();
        assert_eq!(remote_of(&outcomes).dtls_active, active, "the first role stays");
    }
    let offer = connection.offer(None);
    assert!(matches!(connection.accept_answer("nonsense"), Err(NegotiateError::Unreadable(_))));
    assert!(connection.accept_answer(&answer_to(&offer, "passive", &ALL)).is_ok(), "the offer still stands");
}

#[test]
fn a_restart_brings_new_credentials() {
    let mut connection = connection(Role::Subscriber);
    negotiate(&mut connection);
    let creds = IceCredentials { ufrag: "fresh".to_owned(), pwd: "freshpwd".to_owned() };
    let offer = connection.offer(Some(creds.clone()));
    assert_eq!(sdp::credentials(&offer.sdp), Some(("fresh", "freshpwd")));
    assert_eq!(sdp::credentials(&connection.offer(None).sdp), Some(("fresh", "freshpwd")));
}

#[test]
fn names_from_other_clients_cannot_write_lines() {
    let mut connection = connection(Role::Subscriber);
    let stream_id = "PA_x|evil\r\na=ice-lite\r\n name".to_owned();
    connection.add_sender(SenderSetup { stream_id, ..sender(1, Kind::Audio, &["opus"]) });
    let offer = connection.offer(None);
    assert!(!sdp::parse(&offer.sdp).unwrap().ice_lite);
    assert_eq!(section(&offer, "1").msid.unwrap().stream_id, "PA_x|evil__a=ice-lite___name");
}

#[test]
fn the_number_of_sections_has_an_end() {
    let mut connection = connection(Role::Subscriber);
    for leg in 0..1_030 {
        connection.add_sender(sender(leg, Kind::Audio, &["opus"]));
    }
    assert_eq!(sdp::parse(&connection.offer(None).sdp).unwrap().sections.len(), crate::limits::SDP_SECTIONS_MAX);
}
