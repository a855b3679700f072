//! Offers to clients on subscriber connections (WIRE.md §3.6), and their answers.

use super::codecs::Registered;
use super::extensions::{self, Taken};
use super::senders::SendSection;
use super::write::{self, LIVE_PORT};
use super::{Connection, Description, Flow, Kind, NegotiateError, Outcome, Role, SenderSetup, feedback};
use crate::limits::SDP_SECTIONS_MAX;
use crate::sdp::{Direction, Media, Payload, Section, Setup};
use crate::shard::{Codec, IceCredentials};
use std::collections::HashMap;

const RTP: &str = "UDP/TLS/RTP/SAVPF";
const DATA: &str = "UDP/DTLS/SCTP";

impl Connection {
    /// Subscriber: whether the next description would differ from the last.
    pub fn wants_offer(&self) -> bool {
        let first = self.origin.version == 0 && self.setup.data_channels;
        self.setup.role == Role::Subscriber && (first || self.senders.differ())
    }

    /// Subscriber: the next offer; `restart` carries new local credentials.
    pub fn offer(&mut self, restart: Option<IceCredentials>) -> Description {
        if let Some(creds) = restart {
            self.set_creds(creds);
        }
        self.place_senders();
        let data = self.data_mid().map(|mid| write::data(mid, DATA));
        let sections = data.into_iter().chain(self.senders.sections.iter().map(|s| self.offered_section(s))).collect();
        self.senders.sections.iter_mut().for_each(|s| s.described = s.leg());
        self.outstanding = true;
        let sdp = self.describe(sections, true, Setup::ActPass).to_string();
        Description { sdp, mid_to_track_id: self.senders.mid_to_track_id() }
    }

    /// Subscriber: applies the client's answer to the outstanding offer.
    pub fn accept_answer(&mut self, answer: &str) -> Result<Vec<Outcome>, NegotiateError> {
        if !self.outstanding {
            return Err(NegotiateError::Unexpected);
        }
        let (answer, mut outcomes) = self.read(answer, |setup| setup == Some(Setup::Passive))?;
        self.outstanding = false;
        let by_mid: HashMap<&str, &Section> = answer.sections.iter().map(|s| (s.mid.as_str(), s)).collect();
        for index in 0..self.senders.sections.len() {
            outcomes.extend(self.settle(index, &by_mid));
        }
        Ok(outcomes)
    }

    fn data_mid(&self) -> Option<&'static str> {
        self.setup.data_channels.then_some("0")
    }

    fn place_senders(&mut self) {
        self.senders.fill(self.setup.reuse_sections);
        let before = usize::from(self.setup.data_channels);
        while before + self.senders.sections.len() < SDP_SECTIONS_MAX {
            let Some(sender) = self.senders.waiting.pop_front() else { break };
            let mid = (before + self.senders.sections.len()).to_string();
            self.senders.open(&mid, sender.kind);
            if let Some(section) = self.senders.section(&mid) {
                section.place(sender);
            }
        }
    }

    fn offered_section(&self, planned: &SendSection) -> Section {
        let taken = Taken {
            role: Role::Subscriber,
            flow: Flow::Send,
            kind: planned.kind,
            playout_delay: self.setup.playout_delay,
        };
        let mut section = Section {
            media: if planned.kind == Kind::Audio { Media::Audio } else { Media::Video },
            port: LIVE_PORT,
            protocol: RTP.to_owned(),
            mid: planned.mid.clone(),
            direction: Direction::Inactive,
            payloads: self.offered_payloads(planned),
            extensions: taken.offered(),
            rtcp_mux: true,
            rtcp_rsize: true,
            ..Section::default()
        };
        planned.sender.iter().for_each(|s| write::announce(&mut section, s));
        section
    }

    /// The track's codecs first, then all others, so that the client always finds one it knows.
    fn offered_payloads(&self, planned: &SendSection) -> Vec<Payload> {
        let sender = planned.sender.as_ref();
        let rank = |codec| sender.and_then(|s| write::rank(s, codec)).unwrap_or(usize::MAX);
        let known = self.subscribe.offered(planned.kind).filter(|r| self.setup.takes_red || r.codec != Codec::Red);
        let mut codecs: Vec<&Registered> = known.collect();
        codecs.sort_by_key(|r| rank(r.codec));
        let redundant = self.setup.takes_red && rank(Codec::Red) != usize::MAX;
        codecs.into_iter().flat_map(|r| payloads(r, sender, redundant)).collect()
    }

    /// Takes in what the answer says of one section.
    fn settle(&mut self, index: usize, by_mid: &HashMap<&str, &Section>) -> Option<Outcome> {
        let section = self.senders.sections.get_mut(index)?;
        section.agreed = section.described;
        let sender = section.sender.as_ref().filter(|s| section.described == Some(s.leg))?;
        let answered = by_mid.get(section.mid.as_str()).filter(|s| !s.is_rejected() && s.direction.receives());
        let matched = answered.map(|s| self.subscribe.matching(s)).unwrap_or_default();
        let payloads = write::payloads_of(sender, &matched);
        let (leg, mid) = (sender.leg, section.mid.clone());
        let outcome = match answered.filter(|_| !payloads.is_empty()) {
            Some(s) => Outcome::SenderReady { leg, mid, payloads, extensions: extensions::ids(&s.extensions) },
            None => Outcome::SenderRefused { leg },
        };
        section.tell(outcome)
    }
}

fn payloads(registered: &Registered, sender: Option<&SenderSetup>, redundant: bool) -> Vec<Payload> {
    let codec = registered.codec;
    let media = Payload {
        pt: registered.pt,
        name: codec.name().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: (codec.clock_rate() == 48_000).then_some(2),
        fmtp: write::sent_fmtp(codec, registered.fmtp, sender.is_some_and(|s| s.stereo)),
        feedback: feedback::offered(codec, redundant),
    };
    let rtx = registered.rtx_pt().map(|pt| Payload {
        pt,
        name: "rtx".to_owned(),
        clock_rate: codec.clock_rate(),
        fmtp: format!("apt={}", registered.pt),
        ..Payload::default()
    });
    std::iter::once(media).chain(rtx).collect()
}
