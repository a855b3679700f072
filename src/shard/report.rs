//! What a peer is told and asked from time to time: RTCP towards publishers and subscribers, and towards the room who
//! speaks, which layers flow and how well things go.

use super::media::MediaState;
use super::state::State;
use super::{Event, Score, SpeakerLevel};
use crate::wire::codec::Codec;
use crate::wire::rtcp::{self, DlrrReport, Packet, SdesSource, XrBlock};
use std::time::{Duration, Instant};

/// How often quality is judged (WIRE.md §4.18).
pub const QUALITY_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is checked whether a leg still waits for a key frame.
const WISH_INTERVAL: Duration = Duration::from_millis(100);
/// Round trip to a publisher, which sends no reports that would tell: paces repeated NACKs only.
const PUBLISHER_RTT: Duration = Duration::from_millis(70);
/// Packets sent again for one NACK: what a lost burst of a key frame may need.
const RESEND_MAX: usize = 256;

impl State {
    /// Sends the RTCP that is due on a peer's connection, tells its room what is due, and sets its timer.
    pub fn report(&mut self, now: Instant, index: usize) {
        if self.peers.get(index).is_none_or(|p| p.tracks.is_empty() && p.legs.is_empty() && p.farewells.is_empty()) {
            return;
        }
        let mut compound = std::mem::take(&mut self.compound);
        compound.clear();
        self.report_as_publisher(now, index, &mut compound);
        self.report_as_subscriber(now, index, &mut compound);
        self.send_compound(index, &compound);
        self.compound = compound;
        self.mind_congestion(now, index);
        self.report_speakers(now, index);
        self.report_quality(now, index);
        self.wake_for_reports(now, index);
    }

    fn send_compound(&mut self, index: usize, compound: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.outbound().0.send_rtcp(index, compound, &mut scratch);
        self.scratch = scratch;
    }

    fn report_as_publisher(&mut self, now: Instant, index: usize, compound: &mut Vec<u8>) {
        for position in 0..self.peers[index].tracks.len() {
            let track = self.peers[index].tracks[position];
            self.pass_wishes(now, track);
            self.pass_losses(now, track);
            let sender = self.peers[index].sender_ssrc;
            self.media.tracks[track].up.poll_feedback(now, sender, PUBLISHER_RTT, compound);
            if let Some(waiting) = self.media.tracks[track].up.poll_waiting(now) {
                self.gather_waiting(track, waiting);
            }
            self.report_layers(track);
        }
        let entry = &mut self.peers[index];
        let media_ssrc = entry.demux.by_ssrc.keys().next().copied().unwrap_or_default();
        if let Some((_, feedback)) = &mut entry.feedback {
            feedback.poll(now, entry.sender_ssrc, media_ssrc, compound);
        }
    }

    /// Asks the publisher for the key frames its legs wait for.
    fn pass_wishes(&mut self, now: Instant, track: usize) {
        for position in 0..self.media.tracks[track].legs.len() {
            let MediaState { tracks, legs, .. } = &mut self.media;
            let entry = &tracks[track];
            if let Some(layer) = legs[entry.legs[position]].down.wants_key_frame(now, &entry.up) {
                self.wish(track, layer);
            }
        }
    }

    /// What the worst subscriber of an Opus track loses, for its publisher's encoder (WIRE.md §4.10).
    fn pass_losses(&mut self, now: Instant, track: usize) {
        let MediaState { config, tracks, legs, .. } = &self.media;
        let entry = &tracks[track];
        if config.audio_loss_proxying && matches!(entry.up.codec(), Codec::Opus | Codec::Red) {
            let worst = entry.legs.iter().map(|leg| legs[*leg].down.fraction_lost(now)).max();
            self.note_loss(track, worst.unwrap_or(0));
        }
    }

    fn report_as_subscriber(&mut self, now: Instant, index: usize, compound: &mut Vec<u8>) {
        let ntp = self.wall.ntp(now);
        for position in 0..self.peers[index].legs.len() {
            let leg = self.peers[index].legs[position];
            let MediaState { tracks, legs, .. } = &mut self.media;
            let leg = &mut legs[leg];
            if let Some(info) = leg.down.poll_sender_report(now, ntp, &tracks[leg.track].up) {
                rtcp::write_sender_report(compound, leg.ssrc, &info, &[]);
                let source = SdesSource { ssrc: leg.ssrc, cname: &leg.cname, mid: Some(&leg.mid) };
                rtcp::write_sdes(compound, &[source]);
            }
        }
        self.inject(now, index);
    }

    /// Silence and padding that legs make up.
    fn inject(&mut self, now: Instant, index: usize) {
        for position in 0..self.peers[index].legs.len() {
            let leg = self.peers[index].legs[position];
            let (mut out, MediaState { tracks, legs, .. }) = self.outbound();
            let leg = &mut legs[leg];
            while let Some(injected) = leg.down.poll_injected(now, &tracks[leg.track].up) {
                out.stage_with(index, |slot| injected.write(&[], slot));
            }
        }
        self.say_farewells(now, index);
    }

    /// Blank frames of legs that end.
    fn say_farewells(&mut self, now: Instant, index: usize) {
        let mut farewells = std::mem::take(&mut self.peers[index].farewells);
        for leg in &mut farewells {
            let (mut out, _) = self.outbound();
            while let Some(injected) = leg.down.poll_farewell(now) {
                out.stage_with(index, |slot| injected.write(&[], slot));
            }
        }
        farewells.retain(|leg| leg.down.farewell_deadline().is_some());
        self.peers[index].farewells = farewells;
    }

    fn report_speakers(&mut self, now: Instant, index: usize) {
        let interval = self.media.config.audio.update_interval;
        let entry = &mut self.peers[index];
        if interval.is_zero() || now < entry.report.speakers {
            return;
        }
        entry.report.speakers = now + interval;
        let tracks = &mut self.media.tracks;
        let mut levels = Vec::new();
        for track in &entry.tracks {
            let track = &mut tracks[*track];
            if let Some(loudness) = track.up.poll_loudness(now).filter(|l| l.level > 0.0 && !track.muted) {
                levels.push(SpeakerLevel { track: track.key, level: loudness.level, active: loudness.active });
            }
        }
        let was_loud = std::mem::replace(&mut entry.report.was_loud, !levels.is_empty());
        if was_loud || !levels.is_empty() {
            let event = Event::Speakers { peer: entry.key, levels };
            self.tell(index, event);
        }
    }

    fn report_quality(&mut self, now: Instant, index: usize) {
        let entry = &mut self.peers[index];
        if now < entry.report.quality {
            return;
        }
        entry.report.quality = now + QUALITY_INTERVAL;
        let MediaState { tracks, legs, .. } = &mut self.media;
        // A track nothing has come of yet is neither good nor bad.
        let started: Vec<usize> = entry.tracks.iter().copied().filter(|t| tracks[*t].started).collect();
        let track_score = |track: &usize| {
            let track = &mut tracks[*track];
            (track.key, Score(track.up.poll_score(now, PUBLISHER_RTT, 0)))
        };
        let scored_tracks = started.iter().map(track_score).collect();
        let leg_score = |leg: &usize| {
            let leg = &mut legs[*leg];
            (leg.key, Score(leg.down.poll_score(now, &tracks[leg.track].up)))
        };
        let scored_legs = entry.legs.iter().map(leg_score).collect();
        let event = Event::Quality { peer: entry.key, tracks: scored_tracks, legs: scored_legs };
        self.tell(index, event);
    }

    fn wake_for_reports(&mut self, now: Instant, index: usize) {
        let entry = &self.peers[index];
        let media = &self.media;
        let ups = entry.tracks.iter().filter_map(|t| media.tracks[*t].up.deadline());
        let downs = entry.legs.iter().filter_map(|l| media.legs[*l].down.deadline(now));
        let farewells = entry.farewells.iter().filter_map(|l| l.down.farewell_deadline());
        let feedback = entry.feedback.as_ref().and_then(|(_, f)| f.deadline());
        let watched = entry.tracks.iter().any(|t| !media.tracks[*t].legs.is_empty());
        let wishes = watched.then_some(now + WISH_INTERVAL);
        let congestion = entry.congestion.as_ref().and_then(|c| c.deadline(now));
        let own = [entry.report.speakers, entry.report.quality];
        let next = ups.chain(downs).chain(farewells).chain(feedback).chain(wishes).chain(congestion).chain(own).min();
        if let Some(at) = next {
            self.wake(index, at.max(now + Duration::from_millis(1)));
        }
    }

    /// A compound from a peer, decrypted.
    pub fn handle_rtcp(&mut self, now: Instant, index: usize, compound: &[u8]) {
        for packet in rtcp::packets(compound) {
            self.handle_rtcp_packet(now, index, packet);
        }
        self.wake(index, now);
    }

    fn handle_rtcp_packet(&mut self, now: Instant, index: usize, packet: Packet<'_>) {
        match packet {
            Packet::SenderReport { ssrc, info, blocks } => {
                self.handle_sender_report(now, index, ssrc, &info);
                self.handle_blocks(now, index, blocks);
            }
            Packet::ReceiverReport { blocks, .. } => self.handle_blocks(now, index, blocks),
            Packet::Nack { media_ssrc, lost, .. } => self.handle_nack(now, index, media_ssrc, lost),
            Packet::Pli { media_ssrc, .. } => self.handle_picture_loss(now, index, media_ssrc),
            Packet::Fir { entries, .. } => entries.for_each(|e| self.handle_picture_loss(now, index, e.ssrc)),
            Packet::Xr { ssrc, blocks } => self.answer_reference_times(index, ssrc, blocks),
            Packet::Remb { bitrate_bps, .. } => self.handle_remb(now, index, bitrate_bps),
            Packet::TransportCc(feedback) => self.handle_transport_cc(now, index, &feedback),
            Packet::Sdes { .. } | Packet::Bye { .. } | Packet::Unknown { .. } => {}
        }
    }

    fn handle_sender_report(&mut self, now: Instant, index: usize, ssrc: u32, info: &rtcp::SenderInfo) {
        let ours = self.wall.ntp(now);
        let Some(to) = self.peers[index].demux.by_ssrc.get(&ssrc) else { return };
        let track = to.track;
        self.media.tracks[track].up.handle_sender_report(now, ours, ssrc, info);
        self.pass_on_report(track, ssrc, *info);
    }

    fn handle_blocks(&mut self, now: Instant, index: usize, blocks: rtcp::ReportBlocks<'_>) {
        let (ours, mut worst) = (self.wall.ntp(now), None);
        for block in blocks {
            if let Some(&leg) = self.peers[index].leg_of_ssrc.get(&block.ssrc) {
                self.media.legs[leg].down.handle_report_block(now, ours, &block);
                self.handle_leg_loss(now, index, leg, &block);
                worst = worst.max(Some(block.fraction_lost));
            }
        }
        if worst.is_some_and(|worst| self.peers[index].losses.observe(worst)) {
            let event = Event::Unstable { peer: self.peers[index].key };
            self.tell(index, event);
        }
    }

    fn handle_nack(&mut self, now: Instant, index: usize, media_ssrc: u32, lost: rtcp::LostSequences<'_>) {
        self.counters.nacks_in.add(1);
        let moment = self.moment(now);
        let Some(&leg) = self.peers[index].leg_of_ssrc.get(&media_ssrc) else { return };
        let (mut out, media) = self.outbound();
        let MediaState { tracks, legs, .. } = media;
        let leg = &mut legs[leg];
        for sequence in lost.take(RESEND_MAX) {
            if !out.may_resend(leg.peer, now) {
                return leg.down.refuse_resend(now);
            }
            if let Ok((outgoing, packet)) = leg.down.resend(now, &tracks[leg.track].up, sequence) {
                out.note_resent(leg.peer, packet.len());
                out.stage_of(leg.peer, &leg.extensions, &moment, &tracks[leg.track].up, &outgoing, packet);
            }
        }
    }

    fn handle_picture_loss(&mut self, now: Instant, index: usize, media_ssrc: u32) {
        self.counters.plis_in.add(1);
        let Some(leg) = self.peers[index].leg_of_ssrc.get(&media_ssrc) else { return };
        let MediaState { tracks, legs, .. } = &mut self.media;
        let leg = &mut legs[*leg];
        let track = leg.track;
        if let Some(layer) = leg.down.handle_picture_loss(now, &tracks[track].up) {
            self.wish(track, layer);
        }
        self.wake(self.media.tracks[track].peer, now);
    }

    /// RFC 3611 §4.4-4.5: a receiver that sends no media learns its round trip this way.
    fn answer_reference_times(&mut self, index: usize, ssrc: u32, blocks: rtcp::XrBlocks<'_>) {
        let middle = |ntp: u64| (ntp >> 16) as u32;
        let answer = |block| match block {
            XrBlock::ReferenceTime { ntp } => Some(DlrrReport { ssrc, last_rr: middle(ntp), delay_since_last_rr: 0 }),
            _ => None,
        };
        let reports: Vec<DlrrReport> = blocks.filter_map(answer).take(1).collect();
        if !reports.is_empty() {
            let mut compound = Vec::new();
            rtcp::write_xr_dlrr(&mut compound, self.peers[index].sender_ssrc, &reports);
            self.send_compound(index, &compound);
        }
    }
}
