//! The session descriptions a participant writes and what it reads out of the server's (RFC 8829, WIRE.md §3). Called by
//! `session`. Templates, not negotiation: we offer what we can send and take all we are offered.

use super::incoming::IncomingSetup;
use super::media::{RIDS, VideoCodec};
use super::outgoing::{ExtensionIds, OutgoingSetup, Source};
use crate::limits::DATA_MESSAGE_BYTES_MAX;
use crate::sdp::{
    self, Direction, Extension, Feedback, Fingerprint, Media, Msid, Origin, Payload, Rid, Section, Session, Setup,
    SsrcAttribute, SsrcGroup, Transport,
};
use crate::transport::{Proto, RemoteParams, RemoteSctp};
use crate::wire::ext;
use std::collections::HashMap;
use std::net::SocketAddr;

/// The server's description is of no use; its fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    #[error("the server's description is unreadable: {0}")]
    Parse(#[from] sdp::ParseError),
    #[error("the server's description lacks {0}")]
    Lacks(&'static str),
}

/// Our side of a transport, as descriptions tell it.
#[derive(Clone, Debug)]
pub struct Local {
    /// Username fragment and password.
    pub creds: (String, String),
    pub fingerprint: Fingerprint,
}

/// The other side's transport.
#[derive(Debug, PartialEq, Eq)]
pub struct Remote {
    pub params: RemoteParams,
    pub candidates: Vec<String>,
}

/// Sections of a connection on which we offer, in their order.
#[derive(Debug)]
pub struct Offerer {
    origin: Origin,
    slots: Vec<Slot>,
}

#[derive(Debug)]
enum Slot {
    Data,
    Receiver(Media),
    Sender { cid: String, source: Source, ssrcs: Vec<(u32, u32)>, ended: bool },
}

const AUDIO_LEVEL: u8 = 1;
const TRANSPORT_CC: u8 = 3;
const MID: u8 = 4;
const RID: u8 = 10;
const REPAIRED_RID: u8 = 11;

impl Offerer {
    /// Begins with a section for data channels.
    pub fn new() -> Offerer {
        // The id has 63 bits (RFC 8829 §5.2.1).
        let origin = Origin { session_id: rand::random::<u64>() >> 1, version: 0 };
        Offerer { origin, slots: vec![Slot::Data] }
    }

    /// Adds sections on which the server may send.
    pub fn add_receivers(&mut self, audios: u32, videos: u32) {
        for (count, media) in [(audios, Media::Audio), (videos, Media::Video)] {
            self.slots.extend((0..count).map(|_| Slot::Receiver(media.clone())));
        }
    }

    /// Adds a section on which we send.
    pub fn add_sender(&mut self, cid: String, source: Source) {
        let ssrcs = (0..source.encodings()).map(|_| (rand::random(), rand::random())).collect();
        self.slots.push(Slot::Sender { cid, source, ssrcs, ended: false });
    }

    pub fn end_sender(&mut self, wanted: &str) {
        for slot in &mut self.slots {
            if let Slot::Sender { cid, ended, .. } = slot {
                *ended |= cid == wanted;
            }
        }
    }

    pub fn offer(&mut self, local: &Local) -> String {
        self.origin.version += 1;
        let transport = transport(local, Setup::ActPass);
        let sections: Vec<Section> =
            self.slots.iter().enumerate().map(|(mid, slot)| slot.section(mid, &transport)).collect();
        session(self.origin, sections).to_string()
    }

    /// The tracks the server is ready to take.
    pub fn accepted(&self, answer: &Session) -> Vec<OutgoingSetup> {
        let sections = self.slots.iter().enumerate().filter_map(|(mid, slot)| {
            let mid = mid.to_string();
            Some((slot, answer.sections.iter().find(|s| s.mid == mid && !s.is_rejected() && s.direction.receives())?))
        });
        sections.filter_map(|(slot, section)| slot.accepted(section)).collect()
    }
}

impl Slot {
    fn section(&self, mid: usize, transport: &Transport) -> Section {
        let base = Section { mid: mid.to_string(), port: 9, transport: transport.clone(), ..Section::default() };
        match self {
            Slot::Data => data_section(base),
            Slot::Receiver(media) => {
                let (payloads, extensions) = if *media == Media::Audio { audio() } else { video(None) };
                rtp_section(base, media.clone(), Direction::RecvOnly, payloads, extensions)
            }
            Slot::Sender { cid, source, ssrcs, ended } => sender_section(base, cid, source, ssrcs, *ended),
        }
    }

    fn accepted(&self, section: &Section) -> Option<OutgoingSetup> {
        let Slot::Sender { cid, source, ssrcs, ended: false } = self else { return None };
        let wanted = match source {
            Source::Audio(_) => "opus",
            Source::Video(video) => video.codec.name(),
        };
        let payload = section.payloads.iter().find(|p| p.name.eq_ignore_ascii_case(wanted))?;
        Some(OutgoingSetup {
            cid: cid.clone(),
            mid: section.mid.clone(),
            source: source.clone(),
            payload_type: payload.pt,
            rtx_payload_type: section.rtx_of(payload.pt),
            ssrcs: ssrcs.clone(),
            extensions: extension_ids(section),
        })
    }
}

fn extension_ids(section: &Section) -> ExtensionIds {
    ExtensionIds {
        mid: extension_id(section, ext::MID_URI),
        rid: extension_id(section, ext::RID_URI),
        repaired_rid: extension_id(section, ext::REPAIRED_RID_URI),
        audio_level: extension_id(section, ext::AUDIO_LEVEL_URI),
        transport_cc: extension_id(section, ext::TRANSPORT_CC_URI),
    }
}

/// Ids above 14 would need two-byte headers, which nobody negotiates here.
fn extension_id(section: &Section, uri: &str) -> Option<u8> {
    section.extensions.iter().find(|e| e.uri == uri).map(|e| e.id).filter(|id| (1..=14).contains(id))
}

fn session(origin: Origin, sections: Vec<Section>) -> Session {
    let bundle = sections.iter().filter(|s| !s.is_rejected()).map(|s| s.mid.clone()).collect();
    Session { origin, bundle, extmap_allow_mixed: true, sections, ..Session::default() }
}

fn transport(local: &Local, setup: Setup) -> Transport {
    Transport {
        ufrag: Some(local.creds.0.clone()),
        pwd: Some(local.creds.1.clone()),
        ice_options: Some("trickle".to_owned()),
        fingerprints: vec![local.fingerprint.clone()],
        setup: Some(setup),
        ..Transport::default()
    }
}

fn data_section(base: Section) -> Section {
    Section {
        media: Media::Application,
        protocol: "UDP/DTLS/SCTP".to_owned(),
        formats: vec!["webrtc-datachannel".to_owned()],
        sctp_port: Some(5000),
        max_message_size: Some(DATA_MESSAGE_BYTES_MAX),
        ..base
    }
}

fn rtp_section(
    base: Section,
    media: Media,
    direction: Direction,
    payloads: Vec<Payload>,
    extensions: Vec<Extension>,
) -> Section {
    let protocol = "UDP/TLS/RTP/SAVPF".to_owned();
    Section { media, protocol, direction, payloads, extensions, rtcp_mux: true, rtcp_rsize: true, ..base }
}

fn sender_section(base: Section, cid: &str, source: &Source, ssrcs: &[(u32, u32)], ended: bool) -> Section {
    let direction = if ended { Direction::Inactive } else { Direction::SendOnly };
    let (media, (payloads, extensions)) = match source {
        Source::Audio(_) => (Media::Audio, audio()),
        Source::Video(sent) => (Media::Video, video(Some(sent.codec))),
    };
    let is_video = media == Media::Video;
    let mut section = rtp_section(base, media, direction, payloads, extensions);
    section.msid = Some(Msid { stream_id: "lkops".to_owned(), track_id: Some(cid.to_owned()) });
    if ssrcs.len() > 1 {
        let rids = &RIDS[..ssrcs.len().min(RIDS.len())];
        section.rids = rids.iter().map(|id| Rid { id: (*id).to_owned(), sends: true }).collect();
        section.simulcast.send = rids.iter().map(|id| (*id).to_owned()).collect();
    } else if let Some((ssrc, rtx)) = ssrcs.first() {
        name_ssrcs(&mut section, *ssrc, is_video.then_some(*rtx));
    }
    section
}

fn name_ssrcs(section: &mut Section, ssrc: u32, rtx: Option<u32>) {
    let named = |ssrc| SsrcAttribute { ssrc, name: "cname".to_owned(), value: "lkops".to_owned() };
    section.ssrcs = [Some(ssrc), rtx].into_iter().flatten().map(named).collect();
    if let Some(rtx) = rtx {
        section.ssrc_groups = vec![SsrcGroup { semantics: "FID".to_owned(), ssrcs: vec![ssrc, rtx] }];
    }
}

fn audio() -> (Vec<Payload>, Vec<Extension>) {
    let opus = Payload {
        pt: 111,
        name: "opus".to_owned(),
        clock_rate: 48_000,
        channels: Some(2),
        fmtp: "minptime=10;useinbandfec=1".to_owned(),
        feedback: vec![Feedback::TransportCc],
    };
    (vec![opus], extensions(&[(AUDIO_LEVEL, ext::AUDIO_LEVEL_URI), (MID, ext::MID_URI)]))
}

/// Codecs we take from others; what we send is one of them.
const VIDEO_CODECS: [(u8, &str, &str); 4] = [
    (96, "VP8", ""),
    (98, "VP9", "profile-id=0"),
    (108, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    (45, "AV1", "level-idx=5;profile=0;tier=0"),
];

/// `sent` is the codec of a section on which we send; on others we take all.
fn video(sent: Option<VideoCodec>) -> (Vec<Payload>, Vec<Extension>) {
    let codecs = VIDEO_CODECS.iter().filter(|(_, name, _)| sent.is_none_or(|codec| codec.name() == *name));
    let payloads = codecs.flat_map(|(pt, name, fmtp)| video_codec(*pt, name, fmtp)).collect();
    let wanted = [
        (TRANSPORT_CC, ext::TRANSPORT_CC_URI),
        (MID, ext::MID_URI),
        (RID, ext::RID_URI),
        (REPAIRED_RID, ext::REPAIRED_RID_URI),
    ];
    (payloads, extensions(&wanted))
}

/// A codec and its retransmissions.
fn video_codec(pt: u8, name: &str, fmtp: &str) -> [Payload; 2] {
    let feedback = vec![Feedback::GoogRemb, Feedback::TransportCc, Feedback::CcmFir, Feedback::Nack, Feedback::NackPli];
    let codec = Payload {
        pt,
        name: name.to_owned(),
        clock_rate: 90_000,
        fmtp: fmtp.to_owned(),
        feedback,
        ..Payload::default()
    };
    let fmtp = format!("apt={pt}");
    [codec, Payload { pt: pt + 1, name: "rtx".to_owned(), clock_rate: 90_000, fmtp, ..Payload::default() }]
}

fn extensions(wanted: &[(u8, &str)]) -> Vec<Extension> {
    wanted.iter().map(|(id, uri)| Extension { id: *id, uri: (*uri).to_owned(), direction: None }).collect()
}

/// Extensions of received packets we read.
const TAKEN_EXTENSIONS: [&str; 3] = [ext::TRANSPORT_CC_URI, ext::ABS_SEND_TIME_URI, ext::ABS_CAPTURE_TIME_URI];

/// Accepts all the server offers to send, but no RED.
pub fn answer(offer: &Session, local: &Local) -> String {
    let transport = transport(local, Setup::Active);
    let sections: Vec<Section> = offer.sections.iter().map(|s| answered(s, &transport)).collect();
    session(Origin { session_id: offer.origin.session_id, version: offer.origin.version }, sections).to_string()
}

fn answered(offered: &Section, transport: &Transport) -> Section {
    let port = if offered.is_rejected() { 0 } else { 9 };
    let base = Section { mid: offered.mid.clone(), port, transport: transport.clone(), ..Section::default() };
    if offered.media == Media::Application {
        return data_section(base);
    }
    let direction = if offered.direction.sends() { Direction::RecvOnly } else { Direction::Inactive };
    let payloads = offered.payloads.iter().filter(|p| !p.name.eq_ignore_ascii_case("red")).cloned().collect();
    let taken = |e: &&Extension| TAKEN_EXTENSIONS.contains(&e.uri.as_str());
    let extensions = offered.extensions.iter().filter(taken).cloned().collect();
    rtp_section(base, offered.media.clone(), direction, payloads, extensions)
}

/// Our candidate as a line (RFC 8839 §5.1): over UDP the socket's address, or that at a relay; over TCP we only connect
/// (RFC 6544 §4.5).
pub fn candidate(address: SocketAddr, proto: Proto, relayed: bool) -> String {
    let ip = address.ip();
    match proto {
        _ if relayed => format!("candidate:1 1 udp 16777215 {ip} {} typ relay raddr 0.0.0.0 rport 0", address.port()),
        Proto::Udp => format!("candidate:1 1 udp 2130706431 {ip} {} typ host", address.port()),
        Proto::Tcp => format!("candidate:1 1 tcp 1518280447 {ip} 9 typ host tcptype active"),
    }
}

/// The server's side of the transport. `we_answer` decides the DTLS role where the server leaves it to us.
pub fn remote(session: &Session, we_answer: bool) -> Result<Remote, DescriptionError> {
    let section = session.sections.iter().find(|s| !s.is_rejected()).ok_or(DescriptionError::Lacks("sections"))?;
    let (own, all) = (&section.transport, &session.transport);
    let credential = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
    let fingerprints = if own.fingerprints.is_empty() { &all.fingerprints } else { &own.fingerprints };
    let params = RemoteParams {
        ufrag: credential(&own.ufrag, &all.ufrag).ok_or(DescriptionError::Lacks("ice-ufrag"))?,
        pwd: credential(&own.pwd, &all.pwd).ok_or(DescriptionError::Lacks("ice-pwd"))?,
        ice_lite: session.ice_lite,
        fingerprints: fingerprints.iter().map(|f| (f.hash.clone(), f.digest.clone())).collect(),
        dtls_active: match own.setup.or(all.setup) {
            Some(Setup::Active) => false,
            Some(Setup::Passive) => true,
            _ => we_answer,
        },
        sctp: sctp(session),
    };
    Ok(Remote { params, candidates: own.candidates.iter().chain(&all.candidates).cloned().collect() })
}

fn sctp(session: &Session) -> Option<RemoteSctp> {
    let data = session.sections.iter().find(|s| s.media == Media::Application && !s.is_rejected())?;
    // RFC 8841 §6: without the attribute it is 64 KiB.
    let max_message_bytes = data.max_message_size.unwrap_or(65_536);
    Some(RemoteSctp { port: data.sctp_port.unwrap_or(5000), max_message_bytes })
}

/// The tracks the server sends by that description.
pub fn incoming(session: &Session, track_of_mid: &HashMap<String, String>) -> Vec<IncomingSetup> {
    let sends = |s: &&Section| !s.is_rejected() && s.direction.sends() && s.media != Media::Application;
    session.sections.iter().filter(sends).filter_map(|s| incoming_of(s, track_of_mid)).collect()
}

fn incoming_of(section: &Section, track_of_mid: &HashMap<String, String>) -> Option<IncomingSetup> {
    let by_msid = || section.msid.as_ref()?.track_id.clone();
    let pair = section.ssrc_groups.iter().find(|g| g.semantics == "FID").map(|g| &g.ssrcs[..]);
    let (ssrc, rtx_ssrc) = match pair {
        Some([ssrc, rtx, ..]) => (*ssrc, Some(*rtx)),
        _ => (section.ssrcs.first()?.ssrc, None),
    };
    let payload = section.payloads.first()?;
    let is_video = section.media == Media::Video;
    let uses = |feedback| payload.feedback.contains(&feedback);
    Some(IncomingSetup {
        mid: section.mid.clone(),
        track_sid: track_of_mid.get(&section.mid).cloned().or_else(by_msid)?,
        is_video,
        ssrc,
        rtx: rtx_ssrc.zip(section.rtx_of(payload.pt)),
        // As browsers do: lost audio is concealed.
        nack: is_video && uses(Feedback::Nack),
        remb: uses(Feedback::GoogRemb),
        transport_cc: extension_id(section, ext::TRANSPORT_CC_URI).filter(|_| uses(Feedback::TransportCc)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::media::{AudioSource, Video, VideoSource};

    const SUBSCRIBER_OFFER: &str = include_str!("../../fixtures/sdp/subscriber-offer.sdp");
    const SINGLE_ANSWER: &str = include_str!("../../fixtures/sdp/chromium-single-join.answer.sdp");

    fn local() -> Local {
        let fingerprint = sdp::fingerprint("sha-256 AB:CD").unwrap();
        Local { creds: ("frag".into(), "pass".into()), fingerprint }
    }

    #[test]
    fn an_offer_names_simulcast_by_rid_and_single_streams_by_ssrc() {
        let mut offerer = Offerer::new();
        offerer.add_sender("mic".into(), Source::Audio(AudioSource::default()));
        offerer.add_sender("cam".into(), Source::Video(VideoSource::simulcast().into()));
        offerer.add_sender("screen".into(), Source::Video(VideoSource::p360(1).into()));
        let read = sdp::parse(&offerer.offer(&local())).unwrap();
        assert_eq!(read.bundle, ["0", "1", "2", "3"]);
        assert_eq!(read.sections[1].ssrcs.len(), 1);
        assert_eq!(
            (read.sections[2].ssrcs.len(), &read.sections[2].simulcast.send[..]),
            (0, &RIDS.map(String::from)[..])
        );
        assert_eq!(read.sections[3].ssrc_groups[0].ssrcs.len(), 2);
        assert_eq!(read.sections[2].msid.as_ref().unwrap().track_id.as_deref(), Some("cam"));
        assert_eq!(read.origin.version, 1);
    }

    #[test]
    fn an_accepted_sender_uses_the_servers_numbers() {
        let mut offerer = Offerer::new();
        offerer.add_sender("cam".into(), Source::Video(VideoSource::p360(1).into()));
        let mut reply = sdp::parse(&offerer.offer(&local())).unwrap();
        reply.sections[1].direction = Direction::RecvOnly;
        reply.sections[1].extensions.retain(|e| e.uri != ext::TRANSPORT_CC_URI);
        let [setup] = &offerer.accepted(&reply)[..] else { panic!() };
        assert_eq!((setup.payload_type, setup.rtx_payload_type, setup.mid.as_str()), (96, Some(97), "1"));
        assert_eq!((setup.extensions.mid, setup.extensions.transport_cc), (Some(MID), None));
        offerer.end_sender("cam");
        assert_eq!(offerer.accepted(&reply), []);
        reply.sections[1].direction = Direction::Inactive;
        assert_eq!(offerer.accepted(&reply), []);
    }

    #[test]
    fn every_codec_is_offered_alone_and_found_in_the_answer() {
        for codec in VideoCodec::ALL {
            let mut offerer = Offerer::new();
            let video = Video { codec, ..VideoSource::p360(1).into() };
            offerer.add_sender("cam".into(), Source::Video(video));
            let mut reply = sdp::parse(&offerer.offer(&local())).unwrap();
            let names: Vec<_> = reply.sections[1].payloads.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(names, [codec.name(), "rtx"]);
            reply.sections[1].direction = Direction::RecvOnly;
            assert_eq!(offerer.accepted(&reply)[0].payload_type, reply.sections[1].payloads[0].pt);
        }
    }

    #[test]
    fn a_subscribers_answer_takes_all_but_red() {
        let offer = sdp::parse(SUBSCRIBER_OFFER).unwrap();
        let read = sdp::parse(&answer(&offer, &local())).unwrap();
        let directions: Vec<_> = read.sections[1..].iter().map(|s| s.direction).collect();
        assert_eq!(directions, [Direction::RecvOnly; 3]);
        assert_eq!(read.sections[1].payloads[0].name, "opus");
        assert_eq!(read.sections[0].transport.setup, Some(Setup::Active));
    }

    #[test]
    fn tracks_are_found_in_what_the_server_sends() {
        let offer = sdp::parse(SUBSCRIBER_OFFER).unwrap();
        let tracks = incoming(&offer, &HashMap::from([("2".to_owned(), "TR_named".to_owned())]));
        let told: Vec<_> = tracks.iter().map(|t| (t.track_sid.as_str(), t.is_video, t.ssrc, t.nack)).collect();
        assert_eq!(told, [("TR_1", false, 1001, false), ("TR_named", true, 1002, true), ("TR_3", true, 1003, true)]);
        assert_eq!(tracks[1].rtx, Some((2002, 97)));
        assert!(tracks[1].remb);
    }

    #[test]
    fn inactive_sections_carry_no_track() {
        let answer = sdp::parse(SINGLE_ANSWER).unwrap();
        let sids: Vec<_> = incoming(&answer, &HashMap::new()).into_iter().map(|t| t.track_sid).collect();
        assert_eq!(sids, ["TR_1", "TR_2"]);
        let remote = remote(&answer, false).unwrap();
        assert!(!remote.params.dtls_active && remote.params.sctp.is_some());
        assert_eq!(remote.params.ufrag, "serverufrag1");
    }

    #[test]
    fn a_description_without_credentials_is_refused() {
        let empty = sdp::parse("v=0\r\nm=audio 9 X 111\r\na=mid:0\r\n").unwrap();
        assert_eq!(remote(&empty, true), Err(DescriptionError::Lacks("ice-ufrag")));
        assert_eq!(remote(&Session::default(), true), Err(DescriptionError::Lacks("sections")));
    }
}
