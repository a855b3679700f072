//! Whole negotiations, against offers recorded from browsers and short ones written here.

mod golden;
mod model;
mod publisher;
mod single;
mod subscriber;

use super::*;

const FINGERPRINT: &str =
    "0F:1E:2D:3C:4B:5A:69:78:87:96:A5:B4:C3:D2:E1:F0:0F:1E:2D:3C:4B:5A:69:78:87:96:A5:B4:C3:D2:E1:F0";

fn enabled() -> Vec<EnabledCodec> {
    let names = ["audio/opus", "audio/red", "audio/PCMU", "audio/PCMA", "video/VP8", "video/H264", "video/VP9"];
    let codec = |mime: &str| EnabledCodec { mime: mime.to_owned(), fmtp: String::new() };
    names.into_iter().chain(["video/AV1", "video/H265", "video/rtx"]).map(codec).collect()
}

fn setup(role: Role) -> ConnectionSetup {
    ConnectionSetup {
        role,
        creds: IceCredentials { ufrag: "serverufrag1".to_owned(), pwd: "serverpwdserverpwdserver".to_owned() },
        ice_lite: false,
        fingerprint: FINGERPRINT.to_owned(),
        candidates: Vec::new(),
        publish_codecs: enabled(),
        subscribe_codecs: enabled(),
        one_video_codec: false,
        reuse_sections: true,
        takes_red: true,
        playout_delay: false,
        data_channels: role == Role::Subscriber,
    }
}

fn connection(role: Role) -> Connection {
    Connection::new(setup(role))
}

fn pending(kind: Kind, cid: &str, codecs: &[&str]) -> PendingTrack {
    PendingTrack {
        cids: vec![cid.to_owned()],
        kind,
        codecs: codecs.iter().map(|c| (*c).to_owned()).collect(),
        stereo: false,
        disable_dtx: false,
        disable_red: false,
    }
}

fn sender(leg: u64, kind: Kind, codecs: &[&str]) -> SenderSetup {
    let ssrc = 1_000 + u32::try_from(leg).unwrap();
    SenderSetup {
        leg: LegKey(leg),
        kind,
        track_sid: format!("TR_{leg}"),
        stream_id: format!("PA_someone|TR_{leg}"),
        codecs: codecs.iter().map(|c| (*c).to_owned()).collect(),
        stereo: false,
        ssrc,
        rtx_ssrc: if kind == Kind::Video { ssrc + 1_000 } else { 0 },
    }
}

/// A browser's description in small: the session lines and these sections.
fn described(setup: &str, sections: &[String]) -> String {
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:peer\r\na=ice-pwd:peerpwd\r\n";
    format!("{head}a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:{setup}\r\n{}", sections.concat())
}

fn audio(mid: &str, lines: &str) -> String {
    format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 109 63 0\r\na=mid:{mid}\r\na=rtpmap:109 opus/48000/2\r\n\
         a=fmtp:109 minptime=10\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 109/109\r\n{lines}\r\n"
    )
}

fn video(mid: &str, lines: &str) -> String {
    format!(
        "m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125\r\na=mid:{mid}\r\na=rtpmap:120 VP8/90000\r\n\
         a=rtpmap:121 VP9/90000\r\na=rtpmap:124 rtx/90000\r\na=fmtp:124 apt=120\r\na=rtpmap:125 rtx/90000\r\n\
         a=fmtp:125 apt=121\r\n{lines}\r\n"
    )
}

fn data(mid: &str) -> String {
    format!("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:{mid}\r\na=sctp-port:5000\r\n")
}

/// The sections of a description by mid, for looking things up.
fn section(description: &Description, mid: &str) -> Section {
    let sections = sdp::parse(&description.sdp).unwrap().sections;
    sections.into_iter().find(|s| s.mid == mid).unwrap_or_else(|| panic!("no section {mid} in {}", description.sdp))
}

fn pts(section: &Section) -> Vec<u8> {
    section.payloads.iter().map(|p| p.pt).collect()
}

fn fmtp(section: &Section, pt: u8) -> &str {
    &section.payloads.iter().find(|p| p.pt == pt).unwrap().fmtp
}

/// The outcomes without the transport, in short.
fn told(outcomes: &[Outcome]) -> Vec<String> {
    let short = |outcome: &Outcome| match outcome {
        Outcome::Remote(_) => None,
        Outcome::Receiving(s) => Some(format!("receiving {} {}", s.mid, s.track_id)),
        Outcome::ReceivingEnded { mid } => Some(format!("ended {mid}")),
        Outcome::SenderReady { leg, mid, payloads, .. } => {
            let pts: Vec<String> = payloads.iter().map(|p| p.pt.to_string()).collect();
            Some(format!("ready {} {mid} {}", leg.0, pts.join(",")))
        }
        Outcome::SenderRefused { leg } => Some(format!("refused {}", leg.0)),
    };
    outcomes.iter().filter_map(short).collect()
}

fn remote_of(outcomes: &[Outcome]) -> &RemoteTransport {
    match outcomes.first() {
        Some(Outcome::Remote(remote)) => remote,
        other => panic!("not the transport first but {other:?}"),
    }
}
