//! Parts of the descriptions this server writes, alike in offers and answers.

use super::codecs::Matched;
use super::{Connection, ConnectionSetup, SenderSetup};
use crate::sdp::{Direction, Fingerprint, Msid, Section, Session, Setup, SsrcAttribute, SsrcGroup, Transport, fmtp};
use crate::shard::{Codec, IceCredentials, PayloadType};

/// Largest message taken on a data channel, in bytes (WIRE.md §3.11).
const MESSAGE_BYTES_MAX: u32 = 65_535;
const SCTP_PORT: u16 = 5_000;

/// A number that tells this connection's descriptions from others': the credentials are random already. FNV-1a, without
/// its top bit, since the field is signed in some parsers (RFC 8829 §5.2.1).
pub(super) fn session_id(creds: &IceCredentials) -> u64 {
    let bytes = creds.ufrag.bytes().chain(creds.pwd.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)) >> 1
}

impl Connection {
    /// Puts sections into a description, which counts as the next version.
    pub(super) fn describe(&mut self, mut sections: Vec<Section>, allow_mixed: bool, setup: Setup) -> Session {
        self.origin.version += 1;
        let mut live = sections.iter_mut().filter(|s| !s.is_rejected()).peekable();
        if let Some(first) = live.peek_mut() {
            first.transport.candidates = candidates(&self.setup);
            first.transport.end_of_candidates = !first.transport.candidates.is_empty();
        }
        let bundle: Vec<String> = live.map(|s| self.give_transport(s, setup)).collect();
        self.first_mid = bundle.first().cloned().unwrap_or_default();
        Session {
            origin: self.origin,
            bundle,
            ice_lite: self.setup.ice_lite,
            extmap_allow_mixed: allow_mixed,
            transport: Transport { fingerprints: fingerprint(&self.setup), ..Transport::default() },
            sections,
        }
    }

    /// Answers the section's mid.
    fn give_transport(&self, section: &mut Section, setup: Setup) -> String {
        let transport = &mut section.transport;
        transport.ufrag = Some(self.setup.creds.ufrag.clone());
        transport.pwd = Some(self.setup.creds.pwd.clone());
        transport.ice_options = Some("trickle".to_owned());
        transport.setup = Some(setup);
        section.mid.clone()
    }
}

fn fingerprint(setup: &ConnectionSetup) -> Vec<Fingerprint> {
    crate::sdp::fingerprint(&format!("sha-256 {}", setup.fingerprint)).into_iter().collect()
}

fn candidates(setup: &ConnectionSetup) -> Vec<String> {
    let line = |c: &String| format!("candidate:{}", c.strip_prefix("candidate:").unwrap_or(c));
    setup.candidates.iter().map(line).collect()
}

/// Port 9 stands for a port that ICE decides (RFC 8840 §4.1.1).
pub(super) const LIVE_PORT: u16 = 9;

pub(super) fn data(mid: &str, protocol: &str) -> Section {
    Section {
        media: crate::sdp::Media::Application,
        port: LIVE_PORT,
        protocol: protocol.to_owned(),
        formats: vec!["webrtc-datachannel".to_owned()],
        mid: mid.to_owned(),
        sctp_port: Some(SCTP_PORT),
        max_message_size: Some(MESSAGE_BYTES_MAX),
        ..Section::default()
    }
}

/// Writes the lines that announce a sender into its section.
pub(super) fn announce(section: &mut Section, sender: &SenderSetup) {
    let stream_id = token(&sender.stream_id);
    let msid = format!("{stream_id} {}", token(&sender.track_sid));
    let rtx = Some(sender.rtx_ssrc).filter(|rtx| *rtx != 0 && section.payloads.iter().any(|p| p.name == "rtx"));
    section.direction = Direction::SendOnly;
    section.msid = Some(Msid { stream_id: stream_id.clone(), track_id: Some(token(&sender.track_sid)) });
    section.ssrc_groups =
        rtx.map(|rtx| SsrcGroup { semantics: "FID".to_owned(), ssrcs: vec![sender.ssrc, rtx] }).into_iter().collect();
    let lines = |ssrc| [line(ssrc, "cname", &stream_id), line(ssrc, "msid", &msid)];
    section.ssrcs = [Some(sender.ssrc), rtx].into_iter().flatten().flat_map(lines).collect();
}

fn line(ssrc: u32, name: &str, value: &str) -> SsrcAttribute {
    SsrcAttribute { ssrc, name: name.to_owned(), value: value.to_owned() }
}

/// Stream names may come from another client, which must not be able to write lines of its own.
fn token(text: &str) -> String {
    let bad = |c: char| c.is_control() || c.is_whitespace();
    text.replace(bad, "_")
}

/// Opus of a stereo track says so (RFC 7587 §6.1).
pub(super) fn sent_fmtp(codec: Codec, line: &str, stereo: bool) -> String {
    match (codec, stereo) {
        (Codec::Opus, true) => fmtp::with(line, "sprop-stereo", "1"),
        _ => line.to_owned(),
    }
}

/// Payload types of a track's codecs, in the section's order.
pub(super) fn payloads_of(sender: &SenderSetup, matched: &[Matched]) -> Vec<PayloadType> {
    let of_track = |m: &&Matched| rank(sender, m.codec).is_some();
    matched.iter().filter(of_track).map(payload_type).collect()
}

pub(super) fn payload_type(matched: &Matched) -> PayloadType {
    PayloadType { codec: matched.codec, pt: matched.pt, rtx_pt: matched.rtx_pt }
}

/// The place of a codec among those of the sender's track.
pub(super) fn rank(sender: &SenderSetup, codec: Codec) -> Option<usize> {
    sender.codecs.iter().position(|name| Codec::from_name(name) == Some(codec))
}
