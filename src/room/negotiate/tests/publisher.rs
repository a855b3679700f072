use super::*;
use crate::sdp::{Direction, Feedback};

#[test]
fn a_sent_section_is_received_with_the_payload_types_of_the_client() {
    let offer = described("actpass", &[audio("a", "a=sendonly\r\na=msid:s t"), data("d")]);
    let (answer, outcomes) = connection(Role::Publisher).answer(&offer, &[]).unwrap();
    let section = section(&answer, "a");
    assert_eq!(pts(&section), [109, 63, 0]);
    assert_eq!(section.direction, Direction::RecvOnly);
    assert_eq!(section.payloads[0].feedback, [Feedback::Nack]);
    assert_eq!(fmtp(&section, 109), "minptime=10", "only announced tracks change the encoding");
    assert_eq!(told(&outcomes), ["receiving a t"]);
    let remote = remote_of(&outcomes);
    assert_eq!(remote.creds, IceCredentials { ufrag: "peer".to_owned(), pwd: "peerpwd".to_owned() });
    assert_eq!(remote.sctp, Some(crate::shard::RemoteSctp { port: 5000, max_message_bytes: 65_536 }));
    assert_eq!(
        remote.fingerprints,
        [("sha-256".to_owned(), sdp::fingerprint(&format!("x {FINGERPRINT}")).unwrap().digest)]
    );
}

#[test]
fn announced_audio_decides_redundancy_and_encoding() {
    let track = |stereo, disable_dtx, disable_red, codecs: &[&str]| PendingTrack {
        stereo,
        disable_dtx,
        disable_red,
        ..pending(Kind::Audio, "t", codecs)
    };
    let cases = [
        (track(false, false, false, &[]), vec![63, 109, 0], "minptime=10;usedtx=1"),
        (track(false, true, true, &[]), vec![109, 0, 63], "minptime=10"),
        (track(true, true, true, &["red"]), vec![63, 109, 0], "minptime=10;stereo=1;maxaveragebitrate=510000"),
        (
            track(true, false, true, &["opus"]),
            vec![109, 0, 63],
            "minptime=10;usedtx=1;stereo=1;maxaveragebitrate=510000",
        ),
    ];
    for (track, order, line) in cases {
        let offer = described("actpass", &[audio("a", "a=msid:s t")]);
        let (answer, _) = connection(Role::Publisher).answer(&offer, std::slice::from_ref(&track)).unwrap();
        let section = section(&answer, "a");
        assert_eq!((pts(&section), fmtp(&section, 109)), (order, line), "{track:?}");
    }
}

#[test]
fn the_announced_codec_comes_first_or_alone() {
    let track = pending(Kind::Video, "t", &["VP9"]);
    let backup =
        PendingTrack { cids: vec!["x".into(), "x".into(), "t".into()], ..pending(Kind::Video, "", &["vp9", "vp8"]) };
    let unknown = pending(Kind::Video, "t", &["H264"]);
    let cases = [
        (&track, false, vec![121, 125, 120, 124]),
        (&track, true, vec![121, 125]),
        (&backup, false, vec![120, 124, 121, 125]),
        (&unknown, true, vec![120, 124, 121, 125]),
    ];
    for (track, one_video_codec, want) in cases {
        let mut connection = Connection::new(ConnectionSetup { one_video_codec, ..setup(Role::Publisher) });
        let offer = described("actpass", &[video("v", "a=msid:s t")]);
        let (answer, _) = connection.answer(&offer, std::slice::from_ref(track)).unwrap();
        assert_eq!(pts(&section(&answer, "v")), want, "{track:?}");
    }
}

#[test]
fn a_renamed_track_takes_what_is_left_of_its_kind() {
    let tracks = [pending(Kind::Video, "one", &["vp9"]), pending(Kind::Video, "two", &["vp8"])];
    let sections = [video("0", "a=msid:s renamed"), video("1", "a=msid:s one"), video("2", "a=sendonly")];
    let (answer, _) = connection(Role::Publisher).answer(&described("actpass", &sections), &tracks).unwrap();
    let first: Vec<u8> = ["0", "1", "2"].iter().map(|mid| pts(&section(&answer, mid))[0]).collect();
    assert_eq!(first, [120, 121, 120]);
}

#[test]
fn sections_without_a_shared_codec_or_of_unknown_kind_are_rejected() {
    let strange = "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:t\r\na=rtpmap:98 t140/1000\r\n".to_owned();
    let other = "m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:v\r\na=rtpmap:97 theora/90000\r\na=msid:s t\r\n".to_owned();
    let gone = "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=inactive\r\n".to_owned();
    let offer = described("actpass", &[strange, other, gone, data("d"), data("e")]);
    let (answer, outcomes) = connection(Role::Publisher).answer(&offer, &[]).unwrap();
    let answer = sdp::parse(&answer.sdp).unwrap();
    let ports: Vec<u16> = answer.sections.iter().map(|s| s.port).collect();
    assert_eq!(ports, [0, 0, 0, 9, 0]);
    assert_eq!(answer.bundle, ["d"]);
    assert_eq!(told(&outcomes), Vec::<String>::new());
}

#[test]
fn what_is_received_is_told_when_it_changes() {
    let mut connection = connection(Role::Publisher);
    let mut tell = |sections: &[String]| {
        let (_, outcomes) = connection.answer(&described("actpass", sections), &[]).unwrap();
        told(&outcomes)
    };
    let nothing: [&str; 0] = [];
    let one = |track: &str, ssrc: u32| audio("a", &format!("a=msid:s {track}\r\na=ssrc:{ssrc} cname:c"));
    assert_eq!(tell(&[one("t", 1)]), ["receiving a t"]);
    assert_eq!(tell(&[one("t", 1)]), nothing);
    assert_eq!(tell(&[one("t", 2), video("v", "a=msid:s u")]), ["receiving a t", "receiving v u"]);
    assert_eq!(tell(&[one("t", 2), video("v", "a=inactive")]), ["ended v"]);
    assert_eq!(tell(&[one("renamed", 2)]), ["receiving a renamed"]);
    assert_eq!(tell(&[one("another", 3)]), ["ended a", "receiving a another"]);
    assert_eq!(tell(&[audio("a", "a=recvonly")]), ["ended a"]);
}

#[test]
fn the_dtls_role_of_the_first_answer_stays() {
    for (offered, answered, active) in
        [("actpass", "active", true), ("passive", "active", true), ("active", "passive", false)]
    {
        let mut connection = connection(Role::Publisher);
        for setup in [offered, "actpass"] {
            let (answer, outcomes) = connection.answer(&described(setup, &[data("d")]), &[]).unwrap();
            assert!(answer.sdp.contains(&format!("a=setup:{answered}\r\n")), "{offered}");
            assert_eq!(remote_of(&outcomes).dtls_active, active, "{offered}");
        }
    }
}

#[test]
fn a_restart_is_noticed_and_answered_with_new_credentials() {
    let mut connection = connection(Role::Publisher);
    let offer = described("actpass", &[data("d")]);
    assert!(!connection.offer_restarts_ice(&offer), "there is nothing to restart yet");
    let (before, _) = connection.answer(&offer, &[]).unwrap();
    assert!(!connection.offer_restarts_ice(&offer));
    let restart = offer.replace("a=ice-ufrag:peer", "a=ice-ufrag:other");
    assert!(connection.offer_restarts_ice(&restart));
    connection.set_creds(IceCredentials { ufrag: "fresh".to_owned(), pwd: "freshpwd".to_owned() });
    let (after, outcomes) = connection.answer(&restart, &[]).unwrap();
    assert_eq!(remote_of(&outcomes).creds.ufrag, "other");
    assert!(after.sdp.contains("a=ice-ufrag:fresh\r\na=ice-pwd:freshpwd\r\n"));
    let origin = |d: &Description| sdp::parse(&d.sdp).unwrap().origin;
    assert_eq!(origin(&before).session_id, origin(&after).session_id);
    assert_eq!(origin(&before).version + 1, origin(&after).version);
}

#[test]
fn candidates_stand_in_the_first_living_section_only() {
    let candidates =
        vec!["1 1 udp 1 10.0.0.1 7882 typ host".to_owned(), "candidate:2 1 tcp 1 10.0.0.1 7881 typ host".to_owned()];
    let mut connection = Connection::new(ConnectionSetup { candidates, ice_lite: true, ..setup(Role::Publisher) });
    let gone = "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:g\r\n".to_owned();
    let offer = described("actpass", &[gone, audio("a", "a=sendonly"), data("d")]);
    let (answer, _) = connection.answer(&offer, &[]).unwrap();
    let counts: Vec<usize> = ["g", "a", "d"].iter().map(|m| section(&answer, m).transport.candidates.len()).collect();
    assert_eq!(counts, [0, 2, 0]);
    assert_eq!(connection.first_mid(), "a");
    assert!(sdp::parse(&answer.sdp).unwrap().ice_lite);
}

#[test]
fn descriptions_that_cannot_work_are_refused_and_change_nothing() {
    let good = described("actpass", &[audio("a", "a=msid:s t")]);
    let cases = [
        "hello".to_owned(),
        good.replace("a=mid:a", "a=nomid"),
        described("actpass", &[data("d"), data("d")]),
        good.replace("a=ice-pwd", "a=x"),
        good.replace("a=fingerprint", "a=x"),
    ];
    let mut connection = connection(Role::Publisher);
    for case in cases {
        let refused = connection.answer(&case, &[]);
        assert!(matches!(refused, Err(NegotiateError::Unreadable(_))), "{case}");
    }
    let (answer, outcomes) = connection.answer(&good, &[]).unwrap();
    assert_eq!(told(&outcomes), ["receiving a t"]);
    assert_eq!(sdp::parse(&answer.sdp).unwrap().origin.version, 1);
}

#[test]
fn an_offer_without_sections_is_answered_without_a_transport() {
    let (answer, outcomes) = connection(Role::Publisher).answer("v=0\r\n", &[]).unwrap();
    assert_eq!(outcomes, []);
    assert_eq!(sdp::parse(&answer.sdp).unwrap().sections, []);
}
