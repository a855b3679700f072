//! Session descriptions: reading never panics, what was written once is read back unchanged, and whatever a client says
//! in reply to whatever, the descriptions of ours can be read and every leg told ready is one that was wanted.
#![no_main]

use lkops::room::negotiate::{
    Connection, ConnectionSetup, EnabledCodec, Kind, Outcome, PendingTrack, Role, SenderSetup,
};
use lkops::sdp;
use lkops::shard::{IceCredentials, LegKey};
use std::collections::HashSet;

/// What the sections of an offer of ours are replaced by in a client's answer.
const OFFER_MARK: &str = "OFFER";

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = sdp::credentials(text);
    read(text);
    for (index, role) in [Role::Publisher, Role::Single, Role::Subscriber].into_iter().enumerate() {
        negotiate(text, role, index % 2 == 0);
    }
});

fn read(text: &str) {
    let Ok(read) = sdp::parse(text) else { return };
    let Ok(written) = sdp::parse(&read.to_string()) else { return };
    assert_eq!(sdp::parse(&written.to_string()).as_ref(), Ok(&written));
}

/// Any number of descriptions in one text, one after the other, with legs coming and going between them.
fn negotiate(text: &str, role: Role, reuse_sections: bool) {
    let mut client = Client { connection: Connection::new(setup(role, reuse_sections)), legs: HashSet::new() };
    for (leg, said) in text.split_inclusive("\nv=0").take(6).enumerate() {
        client.add(leg as u64);
        let said = if said.starts_with("v=0") { said.to_owned() } else { format!("v=0{said}") };
        match role {
            Role::Subscriber => client.offered(&said),
            Role::Publisher | Role::Single => client.offers(&said),
        }
        if leg % 3 == 2 {
            client.remove(leg as u64 - 1);
        }
    }
}

struct Client {
    connection: Connection,
    legs: HashSet<LegKey>,
}

impl Client {
    fn add(&mut self, leg: u64) {
        let kind = if leg.is_multiple_of(2) { Kind::Video } else { Kind::Audio };
        self.connection.add_sender(sender(leg, kind));
        self.legs.insert(LegKey(leg));
    }

    fn remove(&mut self, leg: u64) {
        self.connection.remove_sender(LegKey(leg));
        self.legs.remove(&LegKey(leg));
    }

    fn offers(&mut self, text: &str) {
        self.connection.offer_restarts_ice(text);
        let Ok((answer, outcomes)) = self.connection.answer(text, &pending()) else { return };
        let offer = sdp::parse(text).expect("an offer that was answered");
        let read = sdp::parse(&answer.sdp).expect("our own answer");
        assert_eq!(read.sections.len(), offer.sections.len(), "an answer has the offer's sections");
        self.check(&outcomes);
        self.connection.sections_wanted();
    }

    fn offered(&mut self, text: &str) {
        if self.connection.wants_offer() {
            let offer = self.connection.offer(None);
            sdp::parse(&offer.sdp).expect("our own offer");
            let answer = text.replace(OFFER_MARK, &offer.sdp);
            self.connection.accept_answer(&answer).map(|outcomes| self.check(&outcomes)).unwrap_or_default();
        } else if let Ok(outcomes) = self.connection.accept_answer(text) {
            self.check(&outcomes);
        }
    }

    fn check(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome {
                Outcome::SenderReady { leg, payloads, .. } => {
                    assert!(self.legs.contains(leg) && !payloads.is_empty());
                }
                Outcome::SenderRefused { leg } => assert!(self.legs.contains(leg)),
                Outcome::Receiving(section) => assert!(!section.mid.is_empty()),
                Outcome::Remote(_) | Outcome::ReceivingEnded { .. } => {}
            }
        }
    }
}

fn setup(role: Role, reuse_sections: bool) -> ConnectionSetup {
    let codec = |mime: &str| EnabledCodec { mime: mime.to_owned(), fmtp: String::new() };
    let mimes = ["audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/AV1", "video/rtx"];
    let codecs: Vec<EnabledCodec> = mimes.map(codec).into();
    ConnectionSetup {
        role,
        creds: IceCredentials { ufrag: "ufrag".to_owned(), pwd: "password".to_owned() },
        ice_lite: false,
        fingerprint: "00:11".to_owned(),
        candidates: Vec::new(),
        publish_codecs: codecs.clone(),
        subscribe_codecs: codecs,
        one_video_codec: false,
        reuse_sections,
        takes_red: true,
        playout_delay: true,
        data_channels: true,
    }
}

fn sender(leg: u64, kind: Kind) -> SenderSetup {
    let codecs = match kind {
        Kind::Audio => vec!["red".to_owned(), "opus".to_owned()],
        Kind::Video => vec!["VP8".to_owned()],
    };
    let (track_sid, stream_id) = (format!("TR_{leg}"), format!("PA_1|TR_{leg}"));
    let (ssrc, rtx_ssrc) = (2 * leg as u32 + 1, 2 * leg as u32 + 2);
    SenderSetup { leg: LegKey(leg), kind, track_sid, stream_id, codecs, stereo: true, ssrc, rtx_ssrc }
}

fn pending() -> [PendingTrack; 2] {
    let track = |kind, codecs: &[&str]| PendingTrack {
        cids: vec!["cid".to_owned(), "other".to_owned()],
        kind,
        codecs: codecs.iter().map(|name| (*name).to_owned()).collect(),
        stereo: true,
        disable_dtx: true,
        disable_red: false,
    };
    [track(Kind::Audio, &[]), track(Kind::Video, &["vp9"])]
}
