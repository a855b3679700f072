use super::*;
use crate::limits::{SDP_BYTES_MAX, SDP_SECTION_ITEMS_MAX, SDP_SECTIONS_MAX};
use proptest::prelude::*;

const RECORDED: [&str; 6] = [
    include_str!("../../fixtures/sdp/chromium-publisher-simulcast.sdp"),
    include_str!("../../fixtures/sdp/chromium-publisher-svc.sdp"),
    include_str!("../../fixtures/sdp/chromium-single-join.sdp"),
    include_str!("../../fixtures/sdp/chromium-single-publish.sdp"),
    include_str!("../../fixtures/sdp/chromium-data-only.sdp"),
    include_str!("../../fixtures/sdp/chromium-subscriber-answer.sdp"),
];

#[test]
fn a_recorded_offer_is_read_whole() {
    let session = parse(RECORDED[0]).unwrap();
    assert_eq!(session.bundle, ["0", "1", "2"]);
    assert!(session.extmap_allow_mixed && !session.ice_lite);
    let [audio, video, data] = &session.sections[..] else { panic!("not three sections") };
    let opus = &audio.payloads[0];
    assert_eq!((opus.pt, opus.name.as_str(), opus.clock_rate, opus.channels), (111, "opus", 48_000, Some(2)));
    assert_eq!((opus.fmtp.as_str(), &opus.feedback[..]), ("minptime=10;useinbandfec=1", &[Feedback::TransportCc][..]));
    assert!(audio.rtcp_mux && audio.rtcp_rsize);
    assert_eq!(audio.transport.setup, Some(Setup::ActPass));
    assert_eq!(audio.transport.fingerprints[0].digest.len(), 32);
    assert_eq!((audio.direction, audio.ssrcs.len()), (Direction::SendOnly, 2));
    assert_eq!(video.simulcast.send, ["q", "h", "f"]);
    assert_eq!(video.rids.len(), 3);
    assert_eq!(video.rtx_of(96), Some(97));
    assert_eq!(video.extensions[0].uri, "urn:ietf:params:rtp-hdrext:toffset");
    assert_eq!((data.sctp_port, data.max_message_size), (Some(5_000), Some(262_144)));
    assert_eq!(data.formats, ["webrtc-datachannel"]);
}

#[test]
fn recorded_descriptions_survive_writing() {
    for text in RECORDED {
        let session = parse(text).unwrap();
        assert_eq!(parse(&session.to_string()).unwrap(), session);
        assert_eq!(credentials(text).map(|(ufrag, _)| ufrag), session.sections[0].transport.ufrag.as_deref());
    }
}

#[test]
fn credentials_are_those_of_the_first_living_section() {
    let creds = |ufrag: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}pwd\r\n");
    let (s, a, b) = (creds("s"), creds("a"), creds("b"));
    let cases = [
        (format!("v=0\r\n{s}m=audio 9 X 0\r\n"), Some("s")),
        (format!("v=0\r\n{s}m=audio 9 X 0\r\n{a}m=video 9 X 0\r\n{b}"), Some("a")),
        (format!("v=0\r\nm=audio 0 X 0\r\n{a}m=video 9 X 0\r\n{b}"), Some("b")),
        (format!("v=0\r\nm=audio 0 X 0\r\na=bundle-only\r\n{a}m=video 9 X 0\r\n{b}"), Some("a")),
        ("v=0\r\nm=audio 9 X 0\r\na=ice-ufrag:x\r\n".to_owned(), None),
    ];
    for (text, want) in cases {
        assert_eq!(credentials(&text).map(|(ufrag, _)| ufrag), want, "{text}");
    }
}

#[test]
fn odd_lines_are_passed_over() {
    let text = "v=0\nm=audio 9/2 UDP/TLS/RTP/SAVPF 0 0 200 x 8 96\na=rtpmap:96\na=rtpmap:300 a/1\na=extmap:0 u\n\
                a=extmap:7/sendonly u p\na=ssrc:x cname:y\na=rid:1 both\na=fingerprint:sha-256 ZZ\na=rtcp-fb:* nack\n\
                a=max-message-size:99999999999\na=rtcp-fb:8 nack\nnonsense\n\na=setup:holdconn\na=msid:one\n";
    let section = parse(text).unwrap().sections.remove(0);
    let names: Vec<_> = section.payloads.iter().map(|p| (p.pt, p.name.as_str(), p.feedback.len())).collect();
    assert_eq!(names, [(0, "PCMU", 1), (8, "PCMA", 1), (96, "", 1)]);
    assert_eq!(section.extensions.len(), 1);
    assert_eq!(section.extensions[0].direction, Some(Direction::SendOnly));
    assert_eq!((section.ssrcs.len(), section.rids.len(), section.transport.fingerprints.len()), (0, 0, 0));
    assert_eq!(section.max_message_size, Some(u32::MAX));
    assert_eq!(section.transport.setup, None);
    assert_eq!(section.msid, Some(Msid { stream_id: "one".to_owned(), track_id: None }));
}

#[test]
fn simulcast_lines_lose_their_pause_marks() {
    let of = |line: &str| parse(&format!("v=0\nm=video 9 RTP/ 96\na=simulcast:{line}\n")).unwrap().sections.remove(0);
    let cases = [
        ("send q;~h;f", &["q", "h", "f"][..], &[][..]),
        ("recv a,~b;c send x", &["x"], &["a", "b", "c"]),
        (" send rid=q;h", &["q", "h"], &[]),
        ("sideways q", &[], &[]),
    ];
    for (line, send, recv) in cases {
        let simulcast = of(line).simulcast;
        assert_eq!(
            (&simulcast.send[..], &simulcast.recv[..]),
            (&send.map_owned()[..], &recv.map_owned()[..]),
            "{line}"
        );
    }
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|s| (*s).to_owned()).collect()
    }
}

#[test]
fn what_is_too_much_or_no_description_is_refused() {
    let many = |n: usize, line: &str| format!("v=0\nm=audio 9 RTP/ 96\n{}", line.repeat(n));
    let cases = [
        (String::new(), ParseError::NotSdp),
        ("m=audio 9 RTP/ 96\n".to_owned(), ParseError::NotSdp),
        ("v=0\nm=audio\n".to_owned(), ParseError::Media(2)),
        ("v=0\nm=audio 70000 RTP/ 96\n".to_owned(), ParseError::Media(2)),
        (format!("v=0{}", " ".repeat(SDP_BYTES_MAX)), ParseError::TooLong(SDP_BYTES_MAX + 3)),
        (many(SDP_SECTIONS_MAX, "m=audio 9 RTP/ 96\n"), ParseError::TooManySections),
        (many(SDP_SECTION_ITEMS_MAX + 1, "a=ssrc:1 cname:x\n"), ParseError::TooMany(0, "ssrc")),
        (many(SDP_SECTION_ITEMS_MAX + 1, "a=candidate:x\n"), ParseError::TooMany(0, "candidate")),
    ];
    for (text, want) in cases {
        assert_eq!(parse(&text), Err(want));
    }
    assert!(parse(&many(SDP_SECTION_ITEMS_MAX, "a=ssrc:1 cname:x\n")).is_ok());
}

/// Lines that mean something, with numbers and words put in at random.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "m=audio 9 UDP/TLS/RTP/SAVPF 96 97",
        "m=application 0 UDP/DTLS/SCTP",
        "m=video",
        "a=mid:",
        "a=rtpmap:96 ",
        "a=fmtp:96 ",
        "a=rtcp-fb:96 ",
        "a=rtcp-fb:* ",
        "a=extmap:",
        "a=ssrc:1 ",
        "a=ssrc-group:",
        "a=rid:",
        "a=simulcast:",
        "a=msid:",
        "a=fingerprint:",
        "a=setup:",
        "a=candidate:",
        "a=ice-ufrag:",
        "a=ice-options:",
        "a=group:BUNDLE",
        "a=sctp-port:",
        "a=max-message-size:",
        "a=sendonly",
        "a=bundle-only",
        "o=- ",
        "",
    ]);
    let value = prop_oneof![
        "\\PC{0,12}",
        prop::sample::select(vec!["96", "send q;~h", "apt=96", "FID 1 2", "nack pli", "sha-256 AB:01", "1/sendonly u"])
            .prop_map(str::to_owned),
    ];
    (key, value).prop_map(|(key, value)| format!("{key}{value}"))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = (parse(&text), parse(&format!("v=0\n{text}")), credentials(&text));
    }

    /// Reading may drop what makes no sense, but then nothing more is lost.
    #[test]
    fn what_was_written_once_is_read_back(lines in prop::collection::vec(line(), 0..40)) {
        let Ok(read) = parse(&format!("v=0\n{}", lines.join("\n"))) else { return Ok(()) };
        let written = parse(&read.to_string()).unwrap();
        prop_assert_eq!(parse(&written.to_string()).unwrap(), written);
    }
}
