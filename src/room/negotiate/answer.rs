//! Answers to clients' offers (WIRE.md §3.5): publisher connections, and single ones, where the client's receive sections
//! are given to senders.

use super::codecs::Matched;
use super::extensions::{self, Taken};
use super::wish::{self, Wish, wishes};
use super::write::{self, LIVE_PORT};
use super::{
    Connection, Description, Flow, Kind, NegotiateError, Outcome, PendingTrack, ReceivingSection, Role, SenderSetup,
    feedback, kind, receive, remote,
};
use crate::sdp::{Direction, Payload, Rid, Section, Session, Setup, Simulcast, fmtp};
use crate::shard::Codec;
use std::collections::BTreeMap;

/// One section on its way into an answer.
struct Media<'a> {
    offered: &'a Section,
    kind: Kind,
    flow: Flow,
    wish: Option<Wish<'a>>,
    /// Of a section we may send on.
    sender: Option<SenderSetup>,
    /// Accepted payload types, preferred first.
    matched: Vec<Matched>,
}

impl Connection {
    /// Publisher and single connections: answers the client's offer. `pending` are the tracks announced and not yet seen,
    /// and those already published (an offer repeats their sections), used for codec preference and fmtp rules.
    pub fn answer(
        &mut self,
        offer: &str,
        pending: &[PendingTrack],
    ) -> Result<(Description, Vec<Outcome>), NegotiateError> {
        let (offer, mut outcomes) = self.read(offer, |setup| setup != Some(Setup::Active))?;
        self.match_senders(&offer);
        let mut answered = Answered::default();
        for (offered, wish) in offer.sections.iter().zip(wishes(&offer, pending)) {
            self.answer_section(offered, wish, &mut answered);
        }
        outcomes.extend(self.note_receiving(answered.receiving));
        outcomes.extend(answered.sending);
        self.note_answered();
        Ok((self.answer_text(answered.sections, offer.extmap_allow_mixed), outcomes))
    }

    /// Single: (audio, video) receive sections the client must add for the senders waiting, not counting those asked for
    /// already; (0, 0) asks it for an offer only. `None` when no sender waits and no section changed, and until then when
    /// it was asked already.
    pub fn sections_wanted(&mut self) -> Option<(u32, u32)> {
        let changed = std::mem::take(&mut self.unasked) && self.senders.differ();
        if self.setup.role != Role::Single || !changed {
            return None;
        }
        let audio = self.lacking(Kind::Audio).saturating_sub(self.asked.0);
        let video = self.lacking(Kind::Video).saturating_sub(self.asked.1);
        self.asked = (self.asked.0 + audio, self.asked.1 + video);
        Some((audio, video))
    }

    fn lacking(&self, kind: Kind) -> u32 {
        u32::try_from(self.senders.lacking(kind, self.setup.reuse_sections)).unwrap_or(u32::MAX)
    }

    fn answer_text(&mut self, sections: Vec<Section>, allow_mixed: bool) -> Description {
        let setup = if self.dtls_active == Some(false) { Setup::Passive } else { Setup::Active };
        let sdp = self.describe(sections, allow_mixed, setup).to_string();
        Description { sdp, mid_to_track_id: self.senders.mid_to_track_id() }
    }

    /// Single: takes note of the client's receive sections and gives them to waiting senders.
    fn match_senders(&mut self, offer: &Session) {
        if self.setup.role != Role::Single {
            return;
        }
        self.senders.close_all();
        let open = |s: &&Section| !s.is_rejected() && s.direction == Direction::RecvOnly;
        for section in offer.sections.iter().filter(open) {
            kind(section).into_iter().for_each(|kind| self.senders.open(&section.mid, kind));
        }
        self.senders.leave_closed();
        self.senders.fill(self.setup.reuse_sections);
    }

    fn note_answered(&mut self) {
        for section in &mut self.senders.sections {
            section.described = section.leg();
            section.agreed = section.leg();
        }
        self.asked = (0, 0);
        self.unasked = self.senders.differ();
    }

    fn answer_section(&mut self, offered: &Section, wish: Option<Wish<'_>>, answered: &mut Answered) {
        let section = match kind(offered) {
            _ if offered.is_rejected() => rejected(offered),
            Some(kind) => {
                let media = self.media(offered, kind, wish);
                self.answer_media(&media, answered)
            }
            None if remote::is_data(offered) && !answered.has_data() => write::data(&offered.mid, &offered.protocol),
            None => rejected(offered),
        };
        answered.sections.push(section);
    }

    fn media<'a>(&self, offered: &'a Section, kind: Kind, wish: Option<Wish<'a>>) -> Media<'a> {
        let single = self.setup.role == Role::Single;
        let flow = if single && !offered.direction.sends() { Flow::Send } else { Flow::Receive };
        let enabled = if flow == Flow::Send { &self.subscribe } else { &self.publish };
        let matched = enabled.matching(offered);
        let sender = self.senders.sender(&offered.mid).cloned();
        let mut media = Media { offered, kind, flow, wish, sender, matched };
        media.order(self.setup.one_video_codec);
        media.matched.retain(|m| flow == Flow::Receive || self.setup.takes_red || m.codec != Codec::Red);
        media
    }

    fn answer_media(&mut self, media: &Media<'_>, answered: &mut Answered) -> Section {
        let sender = self.tell_sender(media, answered);
        if media.matched.is_empty() {
            return rejected(media.offered);
        }
        let mut section = media.section(self.setup.role, self.taken(media.kind, Flow::Receive));
        match media.flow {
            Flow::Send => sender.iter().for_each(|s| write::announce(&mut section, s)),
            Flow::Receive if media.offered.direction.sends() => {
                media.take_layers(&mut section);
                answered.receiving.insert(section.mid.clone(), media.receiving(&section));
            }
            Flow::Receive => {}
        }
        section
    }

    /// Answers take the extensions of a section that is received, whatever the section is for: Chromium does not offer an
    /// extension again that an answer left out, not even in new sections, and then cannot send simulcast there.
    fn taken(&self, kind: Kind, flow: Flow) -> Taken {
        Taken { role: self.setup.role, flow, kind, playout_delay: self.setup.playout_delay }
    }

    /// Tells what becomes of the section's sender, and gives it back if it may send.
    fn tell_sender(&mut self, media: &Media<'_>, answered: &mut Answered) -> Option<SenderSetup> {
        let sender = media.sender.clone()?;
        let (leg, mid) = (sender.leg, media.offered.mid.clone());
        let payloads = write::payloads_of(&sender, &media.matched);
        let extensions = extensions::ids(&self.taken(media.kind, Flow::Send).answered(&media.offered.extensions));
        let section = self.senders.section(&mid)?;
        if payloads.is_empty() {
            section.take();
            answered.sending.push(Outcome::SenderRefused { leg });
            return None;
        }
        answered.sending.extend(section.tell(Outcome::SenderReady { leg, mid, payloads, extensions }));
        Some(sender)
    }

    /// Tells what changed in what the client sends.
    fn note_receiving(&mut self, now: BTreeMap<String, ReceivingSection>) -> Vec<Outcome> {
        let before = std::mem::replace(&mut self.receiving, now);
        let goes_on = |(mid, old): &(&String, &ReceivingSection)| {
            self.receiving.get(*mid).is_some_and(|new| is_same_track(old, new))
        };
        let ended = before.iter().filter(|section| !goes_on(section));
        let ended = ended.map(|(mid, _)| Outcome::ReceivingEnded { mid: mid.clone() });
        let news = self.receiving.iter().filter(|(mid, new)| before.get(*mid) != Some(*new));
        ended.chain(news.map(|(_, new)| Outcome::Receiving(new.clone()))).collect()
    }
}

/// What the sections of an offer led to.
#[derive(Default)]
struct Answered {
    sections: Vec<Section>,
    receiving: BTreeMap<String, ReceivingSection>,
    sending: Vec<Outcome>,
}

impl Answered {
    fn has_data(&self) -> bool {
        self.sections.iter().any(remote::is_data)
    }
}

/// A track may be renamed while its streams go on, as far as the description shows them.
fn is_same_track(old: &ReceivingSection, new: &ReceivingSection) -> bool {
    let shown = |e: &crate::shard::Encoding| (e.rid.clone(), e.ssrc);
    old.track_id == new.track_id || old.encodings.iter().any(|o| new.encodings.iter().any(|n| shown(o) == shown(n)))
}

fn rejected(offered: &Section) -> Section {
    let first = || offered.payloads.first().map(|p| p.pt.to_string());
    let formats = if offered.formats.is_empty() { first().into_iter().collect() } else { offered.formats.clone() };
    Section {
        media: offered.media.clone(),
        port: 0,
        protocol: offered.protocol.clone(),
        formats: if formats.is_empty() { vec!["0".to_owned()] } else { formats },
        mid: offered.mid.clone(),
        direction: Direction::Inactive,
        ..Section::default()
    }
}

impl Media<'_> {
    /// Preferred codecs first; a browser sends the first one.
    fn order(&mut self, one_video_codec: bool) {
        match (&self.sender, &self.wish) {
            (Some(sender), _) => self.matched.sort_by_key(|m| write::rank(sender, m.codec).unwrap_or(usize::MAX)),
            (None, Some(wish)) => self.matched.sort_by_key(|m| wish.rank(m.codec)),
            (None, None) => {}
        }
        let wanted = self.wish.and_then(|w| w.codec).filter(|_| one_video_codec && self.kind == Kind::Video);
        if let Some(codec) = wanted.filter(|codec| self.matched.iter().any(|m| m.codec == *codec)) {
            self.matched.retain(|m| m.codec == codec);
        }
    }

    fn section(&self, role: Role, taken: Taken) -> Section {
        let offered = self.offered;
        let receives = self.flow == Flow::Receive && offered.direction.sends();
        Section {
            media: offered.media.clone(),
            port: LIVE_PORT,
            protocol: offered.protocol.clone(),
            mid: offered.mid.clone(),
            direction: if receives { Direction::RecvOnly } else { Direction::Inactive },
            payloads: self.matched.iter().flat_map(|m| self.payloads(m, role)).collect(),
            extensions: taken.answered(&offered.extensions),
            rtcp_mux: true,
            rtcp_rsize: offered.rtcp_rsize,
            ..Section::default()
        }
    }

    /// A payload type as the client offered it, followed by its retransmission.
    fn payloads(&self, matched: &Matched, role: Role) -> Vec<Payload> {
        let find = |pt: u8| self.offered.payloads.iter().find(|p| p.pt == pt);
        let media = find(matched.pt).map(|p| Payload {
            feedback: feedback::answered(role, self.flow, matched.codec, &p.feedback),
            fmtp: self.fmtp(matched.codec, &p.fmtp),
            ..p.clone()
        });
        let rtx = matched.rtx_pt.and_then(find).map(|p| Payload { feedback: Vec::new(), ..p.clone() });
        media.into_iter().chain(rtx).collect()
    }

    fn fmtp(&self, codec: Codec, offered: &str) -> String {
        match (self.flow, self.wish) {
            (Flow::Send, _) => write::sent_fmtp(codec, offered, self.sender.as_ref().is_some_and(|s| s.stereo)),
            (Flow::Receive, Some(wish)) if codec == Codec::Opus => received_opus(offered, wish.track),
            _ => offered.to_owned(),
        }
    }

    fn take_layers(&self, section: &mut Section) {
        let rids = receive::rids(self.offered);
        // The client's order is kept: it is its order of preference.
        let listed = self.offered.simulcast.send.iter().filter(|id| rids.contains(&id.as_str())).cloned();
        section.simulcast = Simulcast { send: Vec::new(), recv: listed.collect() };
        section.rids = rids.into_iter().map(|id| Rid { id: id.to_owned(), sends: false }).collect();
    }

    fn receiving(&self, section: &Section) -> ReceivingSection {
        let (stream_id, track_id) = wish::sent_ids(self.offered).unwrap_or_default();
        ReceivingSection {
            mid: section.mid.clone(),
            kind: self.kind,
            stream_id,
            track_id,
            payloads: self.matched.iter().map(write::payload_type).collect(),
            extensions: extensions::ids(&section.extensions),
            encodings: receive::encodings(self.offered),
        }
    }
}

/// Tells a browser how to encode what it sends (RFC 7587 §7).
fn received_opus(offered: &str, track: &PendingTrack) -> String {
    let line = match track.disable_dtx {
        true => fmtp::without(offered, "usedtx"),
        false => fmtp::with(offered, "usedtx", "1"),
    };
    match track.stereo {
        true => fmtp::with(&fmtp::with(&line, "stereo", "1"), "maxaveragebitrate", "510000"),
        false => fmtp::without(&line, "stereo"),
    }
}
