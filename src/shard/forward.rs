//! The packet path: a decrypted RTP packet in, one sealed copy for each leg that wants it staged in its subscriber's run.

use super::media::{MediaState, TrackEntry};
use super::peer::{Demux, Destination, PeerEntry, Section};
use super::sockets::{Path, Sockets};
use super::state::State;
use super::{Event, ExtensionIds, LegKey, congestion, outbox};
use crate::limits::{DATAGRAM_BYTES_MAX, SSRCS_LEARNT_MAX};
use crate::media::arrival::{Arrival, RED_BLOCKS_MAX};
use crate::media::down_track::Plan;
use crate::media::outgoing::Outgoing;
use crate::media::pace::PROBE_STEP;
use crate::metrics::ShardCounters;
use crate::transport::Proto;
use crate::transport::srtp::OVERHEAD_BYTES_MAX;
use crate::wire::ext;
use crate::wire::rtp::RtpHeader;
use slab::Slab;
use smallvec::SmallVec;
use std::time::Instant;

impl State {
    /// A packet of the peer `index`, decrypted.
    ///
    /// # Cost
    /// One copy into the history and one for each leg that forwards it; no allocation, no lock, no log.
    pub fn handle_rtp(&mut self, now: Instant, index: usize, packet: &[u8]) {
        self.counters.packets_in.add(1);
        self.counters.bytes_in.add(packet.len() as u64);
        let Some(header) = RtpHeader::parse(packet) else { return self.counters.datagrams_dropped.add(1) };
        self.note_for_feedback(now, index, &header, packet);
        let Some(to) = self.destination(now, index, &header, packet) else {
            return self.counters.datagrams_dropped.add(1);
        };
        let arrived = self.media.tracks[to.track].up.handle_rtp(now, &header, packet, to.stream);
        if let Ok(arrival) = arrived {
            self.forward(now, to.track, &arrival, packet);
            self.note_start(to.track);
        }
        if let Some(at) = self.media.tracks[to.track].up.deadline() {
            self.wake(index, at);
        }
    }

    fn note_for_feedback(&mut self, now: Instant, index: usize, header: &RtpHeader, packet: &[u8]) {
        let Some((id, feedback)) = self.peers[index].feedback.as_mut() else { return };
        let Some(sequence) = header.extension(packet, *id).and_then(ext::transport_sequence) else { return };
        feedback.note(now, sequence, header.marker);
        if let Some(at) = feedback.deadline() {
            self.wake(index, at);
        }
    }

    fn destination(&mut self, now: Instant, index: usize, header: &RtpHeader, packet: &[u8]) -> Option<Destination> {
        let demux = &mut self.peers[index].demux;
        if let Some(to) = demux.by_ssrc.get(&header.ssrc) {
            return Some(*to);
        }
        let to = demux.recognise(header, packet)?;
        if demux.by_ssrc.len() >= SSRCS_LEARNT_MAX {
            return None;
        }
        demux.by_ssrc.insert(header.ssrc, to);
        let up = &mut self.media.tracks[to.track].up;
        if to.rtx {
            up.set_rtx(to.stream, header.ssrc);
        } else {
            up.set_stream(now, to.stream, header.ssrc);
        }
        Some(to)
    }

    fn note_start(&mut self, track: usize) {
        let entry = &mut self.media.tracks[track];
        if !std::mem::replace(&mut entry.started, true) {
            let (peer, event) = (entry.peer, Event::TrackStarted { track: entry.key });
            self.tell(peer, event);
        }
    }

    /// Offers an arrival to every leg of its track.
    fn forward(&mut self, now: Instant, track: usize, arrival: &Arrival, packet: &[u8]) {
        let moment = self.moment(now);
        let State { media, peers, sockets, staged, counters, .. } = self;
        let MediaState { tracks, legs, .. } = media;
        let TrackEntry { up, legs: track_legs, .. } = &tracks[track];
        let mut out = Outbound { peers, sockets, staged, counters };
        let mut started = SmallVec::<[(usize, LegKey); 4]>::new();
        let (is_video, mut held) = (up.is_video(), SmallVec::<[usize; 4]>::new());
        for leg in track_legs {
            let leg = &mut legs[*leg];
            let Plan::Forward(outgoing) = leg.down.plan(now, up, arrival) else { continue };
            if !std::mem::replace(&mut leg.started, true) {
                started.push((leg.peer, leg.key));
            }
            if arrival.key_frame {
                out.note_burst(leg.peer, now);
            }
            if is_video && !out.admits(leg.peer, now) {
                out.hold(leg.peer, leg.key, outgoing.header.sequence, packet.len());
                held.push(leg.peer);
                continue;
            }
            out.stage(leg.peer, &leg.extensions, &moment, &outgoing, packet);
            for back in 1..=arrival.missing_before.min(RED_BLOCKS_MAX as u8) {
                if let Some(recovered) = leg.down.plan_recovered(now, up, arrival, back) {
                    out.stage(leg.peer, &leg.extensions, &moment, &recovered, packet);
                }
            }
        }
        started.into_iter().for_each(|(peer, leg)| self.tell(peer, Event::LegStarted { leg }));
        held.into_iter().for_each(|peer| self.wake(peer, now + PROBE_STEP));
    }

    /// Now, as packets tell it.
    pub fn moment(&self, now: Instant) -> Moment {
        Moment { now, abs_send_time: self.wall.abs_send_time(now) }
    }

    /// What sending needs of the state, borrowed apart from tracks and legs.
    pub fn outbound(&mut self) -> (Outbound<'_>, &mut MediaState) {
        let State { media, peers, sockets, staged, counters, .. } = self;
        (Outbound { peers, sockets, staged, counters }, media)
    }

    /// Sends every staged run.
    pub fn flush_staged(&mut self) {
        while let Some(index) = self.staged.pop() {
            self.flush_peer(index);
        }
    }

    pub fn flush_peer(&mut self, index: usize) {
        let (mut out, _) = self.outbound();
        out.flush(index);
    }
}

/// The time of a batch of packets.
pub struct Moment {
    pub now: Instant,
    pub abs_send_time: [u8; 3],
}

/// Peers and sockets as the packet path needs them.
pub struct Outbound<'a> {
    peers: &'a mut Slab<PeerEntry>,
    sockets: &'a mut Sockets,
    staged: &'a mut Vec<usize>,
    counters: &'a ShardCounters,
}

impl Outbound<'_> {
    /// Writes and seals a leg's copy of a packet into its subscriber's run.
    ///
    /// # Cost
    /// One copy, one pass of the cipher; a system call when the run is full.
    pub fn stage(
        &mut self,
        subscriber: usize,
        extensions: &ExtensionIds,
        moment: &Moment,
        outgoing: &Outgoing,
        packet: &[u8],
    ) {
        self.stage_extended(subscriber, extensions, moment, |extra, slot| outgoing.write(packet, extra, slot));
    }

    /// As [`Outbound::stage`], for a packet that `write` puts at the front of the slot with the connection's extension
    /// elements.
    pub fn stage_extended(
        &mut self,
        subscriber: usize,
        extensions: &ExtensionIds,
        moment: &Moment,
        write: impl FnOnce(&[(u8, &[u8])], &mut [u8]) -> Option<usize>,
    ) {
        let number = self.peers[subscriber].congestion.as_ref().map(|congestion| congestion.next_number());
        let number = extensions.transport_cc.zip(number.as_ref());
        let mut extra: SmallVec<[(u8, &[u8]); 2]> = SmallVec::new();
        extra.extend(extensions.abs_send_time.map(|id| (id, &moment.abs_send_time[..])));
        extra.extend(number.map(|(id, number)| (id, &number[..])));
        let numbered = number.is_some();
        let staged = self.stage_with(subscriber, |slot| write(&extra, slot));
        let counted = staged.filter(|_| congestion::is_counted(extensions));
        if let Some((length, congestion)) = counted.zip(self.peers[subscriber].congestion.as_mut()) {
            congestion.note_sent(moment.now, numbered, length);
        }
    }

    /// A key frame begins, which makes a queue of its own.
    fn note_burst(&mut self, subscriber: usize, now: Instant) {
        if let Some(congestion) = &mut self.peers[subscriber].congestion {
            congestion.note_burst(now);
        }
    }

    /// Whether a packet of video may go now on a connection that may be limited.
    fn admits(&mut self, subscriber: usize, now: Instant) -> bool {
        self.peers[subscriber].congestion.as_mut().is_none_or(|congestion| congestion.admits(now))
    }

    fn hold(&mut self, subscriber: usize, leg: LegKey, sequence: u16, bytes: usize) {
        if let Some(congestion) = &mut self.peers[subscriber].congestion {
            congestion.hold(leg, sequence, bytes);
        }
    }

    /// Whether a packet may be sent again on a connection that may be limited.
    pub fn may_resend(&mut self, subscriber: usize, now: Instant) -> bool {
        self.peers[subscriber].congestion.as_mut().is_none_or(|congestion| congestion.may_resend(now))
    }

    pub fn note_resent(&mut self, subscriber: usize, bytes: usize) {
        if let Some(congestion) = &mut self.peers[subscriber].congestion {
            congestion.note_resent(bytes);
        }
    }

    /// As [`Outbound::stage`], for a packet without elements of the connection. Answers its sealed length.
    pub fn stage_with(&mut self, subscriber: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        let segments_max = self.sockets.segments_max();
        if self.peers[subscriber].run.is_full(segments_max) {
            self.flush(subscriber);
        }
        let peer = &mut self.peers[subscriber];
        let (bytes, start) = peer.run.begin();
        bytes.resize(start + DATAGRAM_BYTES_MAX + OVERHEAD_BYTES_MAX, 0);
        let sealed = write(&mut bytes[start..start + DATAGRAM_BYTES_MAX]).and_then(|length| {
            let header = RtpHeader::parse(&bytes[start..start + length])?;
            peer.transport.seal_rtp(&mut bytes[start..], usize::from(header.payload_offset), length)
        });
        let Some(length) = sealed else {
            peer.run.abandon(start);
            return None;
        };
        bytes.truncate(start + length);
        self.commit(subscriber, start, length);
        Some(length)
    }

    fn commit(&mut self, subscriber: usize, start: usize, length: usize) {
        let run = &mut self.peers[subscriber].run;
        if run.is_empty() {
            self.staged.push(subscriber);
        }
        if run.commit(start) == outbox::Staged::TooLarge {
            self.send(subscriber, start);
            self.peers[subscriber].run.restart(start);
        }
        self.counters.packets_out.add(1);
        self.counters.bytes_out.add(length as u64);
    }

    /// Sends the peer's run.
    pub fn flush(&mut self, index: usize) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        let end = peer.run.len_bytes();
        if end > 0 {
            self.send(index, end);
            self.peers[index].run.restart(end);
        }
    }

    fn send(&mut self, index: usize, end: usize) {
        let peer = &self.peers[index];
        let Some(pair) = peer.transport.send_pair() else { return };
        let connection =
            (pair.proto == Proto::Tcp).then(|| self.sockets.connection_to(&peer.connections, pair.remote)).flatten();
        let path = Path { local: pair.local, remote: pair.remote, connection };
        let (contents, segment) = peer.run.contents(end);
        let lost = self.sockets.send(path, contents, segment);
        self.counters.sends_lost.add(lost as u64);
    }

    /// Seals and sends RTCP: whole packets, as many to a datagram as fit.
    pub fn send_rtcp(&mut self, index: usize, compound: &[u8], scratch: &mut Vec<u8>) {
        let mut rest = compound;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(leading_packets(rest));
            rest = later;
            scratch.clear();
            scratch.extend_from_slice(now);
            scratch.resize(now.len() + OVERHEAD_BYTES_MAX, 0);
            let Some(length) = self.peers[index].transport.seal_rtcp(scratch, now.len()) else { return };
            self.flush(index);
            let Some(pair) = self.peers[index].transport.send_pair() else { return };
            let connection = self.sockets.connection_to(&self.peers[index].connections, pair.remote);
            let connection = connection.filter(|_| pair.proto == Proto::Tcp);
            let path = Path { local: pair.local, remote: pair.remote, connection };
            self.sockets.send(path, &scratch[..length], length);
        }
    }
}

/// Largest compound we send, in bytes: room for SRTCP and TURN within 1280.
const RTCP_BYTES_MAX: usize = 1_150;

/// Bytes of the whole packets at the front that fit a datagram; at least one packet.
fn leading_packets(compound: &[u8]) -> usize {
    let mut end = 0;
    while let Some(&[high, low]) = compound.get(end + 2..end + 4) {
        let next = end + (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        if next > compound.len() || (end > 0 && next > RTCP_BYTES_MAX) {
            break;
        }
        end = next;
    }
    if end == 0 { compound.len() } else { end }
}

impl Demux {
    /// Finds the section and encoding of an SSRC that no description named: by MID and RID, else by a payload type that
    /// only one section has (RFC 8843 §9.2).
    fn recognise(&self, header: &RtpHeader, packet: &[u8]) -> Option<Destination> {
        let by_mid = self.sections.iter().find(|s| s.mid_of(header, packet) == Some(s.mid.as_str()));
        let section = by_mid.or_else(|| self.only_section_with(header.payload_type))?;
        let rtx = section.payload_types.iter().any(|(_, rtx)| *rtx == Some(header.payload_type));
        let known = rtx || section.payload_types.iter().any(|(pt, _)| *pt == header.payload_type);
        let stream = section.stream_of(header, packet, rtx)?;
        known.then_some(Destination { track: section.track, stream, rtx })
    }

    fn only_section_with(&self, payload_type: u8) -> Option<&Section> {
        let has =
            |s: &&Section| s.payload_types.iter().any(|(pt, rtx)| *pt == payload_type || *rtx == Some(payload_type));
        let mut with = self.sections.iter().filter(has);
        with.next().filter(|_| with.next().is_none())
    }
}

impl Section {
    fn mid_of<'a>(&self, header: &RtpHeader, packet: &'a [u8]) -> Option<&'a str> {
        ext::mid(header.extension(packet, self.extensions.mid?)?)
    }

    /// The encoding by RID; a track without simulcast has one.
    fn stream_of(&self, header: &RtpHeader, packet: &[u8], rtx: bool) -> Option<usize> {
        if self.rids.is_empty() {
            return Some(0);
        }
        let repaired = self.extensions.repaired_rid.filter(|_| rtx).and_then(|id| header.extension(packet, id));
        let value = repaired.or_else(|| header.extension(packet, self.extensions.rid?))?;
        let rid = ext::rid(value)?;
        self.rids.iter().find(|(name, _)| name == rid).map(|(_, stream)| *stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{write_pli, write_sdes};

    #[test]
    fn compounds_are_cut_between_packets() {
        let mut compound = Vec::new();
        (0..200).for_each(|n| write_pli(&mut compound, 1, n));
        let (mut rest, mut datagrams) = (&compound[..], 0);
        while !rest.is_empty() {
            let end = leading_packets(rest);
            assert!(end <= RTCP_BYTES_MAX && end.is_multiple_of(12));
            rest = &rest[end..];
            datagrams += 1;
        }
        assert_eq!(datagrams, 200_usize.div_ceil(RTCP_BYTES_MAX / 12));
    }

    #[test]
    fn a_packet_larger_than_the_limit_still_goes() {
        let mut compound = Vec::new();
        let name = "x".repeat(250);
        let source = crate::wire::rtcp::SdesSource { ssrc: 1, cname: &name, mid: None };
        write_sdes(&mut compound, &[source; 10]);
        assert_eq!(leading_packets(&compound), compound.len());
    }
}
