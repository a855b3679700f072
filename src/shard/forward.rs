//! The packet path: a decrypted RTP packet in, one sealed copy for each leg that wants it staged in its subscriber's run.

use super::demux::Destination;
use super::gather::{Gathered, even_out};
use super::media::{LegEntry, MediaState, TrackEntry};
use super::outbox::Spare;
use super::peer::PeerEntry;
use super::sockets::{Path, Sockets};
use super::state::State;
use super::{Event, ExtensionIds, LegKey, congestion, outbox};
use crate::limits::{DATAGRAM_BYTES_MAX, RUNS_HELD_MAX, SSRCS_LEARNT_MAX};
use crate::media::arrival::{Arrival, RED_BLOCKS_MAX};
use crate::media::down_track::Plan;
use crate::media::outgoing::Outgoing;
use crate::media::pace::PROBE_STEP;
use crate::media::redundancy::RED_BYTES_MAX;
use crate::media::up_track::UpTrack;
use crate::metrics::ShardCounters;
use crate::transport::srtp::OVERHEAD_BYTES_MAX;
use crate::transport::{Peer, Proto};
use crate::wire::ext;
use crate::wire::rtp::RtpHeader;
use slab::Slab;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

impl State {
    /// A packet of the peer `index`, decrypted. It reaches the legs with the rest of the turn, in [`State::forward`].
    ///
    /// # Cost
    /// One copy into the history and one into the gathered packets; no allocation, no lock, no log.
    pub fn handle_rtp(&mut self, now: Instant, index: usize, packet: &[u8]) {
        self.counters.packets_in.add(1);
        self.counters.bytes_in.add(packet.len() as u64);
        let Some(header) = RtpHeader::parse(packet) else { return self.counters.datagrams_dropped.add(1) };
        self.note_for_feedback(now, index, &header, packet);
        let Some(to) = self.destination(now, index, &header, packet) else {
            return self.counters.datagrams_dropped.add(1);
        };
        self.pass_on(to, packet);
        self.take_in(now, index, to, &header, packet);
    }

    /// A packet of a track: of a publisher here, or as its shard has passed it on.
    pub fn take_in(&mut self, now: Instant, index: usize, to: Destination, header: &RtpHeader, packet: &[u8]) {
        let arrived = self.media.tracks[to.track].up.handle_rtp(now, header, packet, to.stream);
        if let Ok(arrival) = arrived {
            let (before, goes) = self.media.tracks[to.track].up.look_ahead(&arrival);
            before.into_iter().for_each(|before| self.gather_waiting(to.track, before));
            if goes {
                self.gather.push(to.track, &mut self.media.tracks[to.track].gathered, arrival, packet);
            }
            self.note_start(to.track);
        }
        if let Some(at) = self.media.tracks[to.track].up.deadline() {
            self.wake(index, at);
        }
    }

    /// A packet that waited for what follows it has its turn: its bytes are in the history.
    pub fn gather_waiting(&mut self, track: usize, arrival: Arrival) {
        let Some(TrackEntry { up, gathered, .. }) = self.media.tracks.get_mut(track) else { return };
        if let Some((_, packet)) = up.find(arrival.source, arrival.sequence) {
            self.gather.push(track, gathered, arrival, packet);
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
        self.learn_stream(now, index, header.ssrc, to).then_some(to)
    }

    /// From now on packets of that SSRC are known; false if there are too many.
    pub fn learn_stream(&mut self, now: Instant, index: usize, ssrc: u32, to: Destination) -> bool {
        let demux = &mut self.peers[index].demux;
        if demux.by_ssrc.len() >= SSRCS_LEARNT_MAX {
            return false;
        }
        demux.by_ssrc.insert(ssrc, to);
        let up = &mut self.media.tracks[to.track].up;
        if to.rtx {
            up.set_rtx(to.stream, ssrc);
        } else {
            up.set_stream(now, to.stream, ssrc);
        }
        true
    }

    fn note_start(&mut self, track: usize) {
        let entry = &mut self.media.tracks[track];
        if !std::mem::replace(&mut entry.started, true) {
            let (peer, event) = (entry.peer, Event::TrackStarted { track: entry.key });
            self.tell(peer, event);
        }
    }

    /// Offers what was gathered to the legs, but for pictures that are still coming in: answers how long those may wait.
    pub fn forward(&mut self, now: Instant) -> Option<Duration> {
        let (mut tracks, mut ready, mut patience) = (self.gather.take_tracks(), self.gather.take_ready(), None);
        tracks.retain(|track| {
            let Some(entry) = self.media.tracks.get(*track) else { return false };
            let left = self.gather.patience(now, &entry.gathered);
            match left {
                None => ready.push(*track),
                Some(left) => patience = Some(patience.map_or(left, |p: Duration| p.min(left))),
            }
            left.is_some()
        });
        self.forward_tracks(now, &mut ready);
        self.gather.finish(tracks, ready);
        patience
    }

    /// Pictures first: a voice, whose packets are shorter, may end their runs.
    fn forward_tracks(&mut self, now: Instant, ready: &mut [usize]) {
        let is_video = |track| self.media.tracks.get(track).is_some_and(|entry: &TrackEntry| entry.up.is_video());
        ready.sort_unstable_by_key(|track| !is_video(*track));
        ready.iter().for_each(|track| self.forward_track(now, *track));
    }

    fn forward_track(&mut self, now: Instant, track: usize) {
        let Some(entry) = self.media.tracks.get_mut(track) else { return };
        let (publisher, mut gathered) = (entry.peer, std::mem::take(&mut entry.gathered));
        even_out(&mut gathered);
        self.contain(publisher, |state| state.offer(now, track, &gathered));
        gathered.clear();
        if let Some(entry) = self.media.tracks.get_mut(track) {
            entry.gathered = gathered;
        }
    }

    /// Offers packets of a track to each of its legs.
    ///
    /// # Cost
    /// For each leg one copy of each packet it forwards; no allocation, no lock, no log.
    fn offer(&mut self, now: Instant, track: usize, gathered: &[Gathered]) {
        let moment = self.moment(now);
        let State { media, peers, sockets, staged, spare, gather, counters, .. } = self;
        let MediaState { tracks, legs, .. } = media;
        let TrackEntry { up, legs: track_legs, .. } = &tracks[track];
        let mut out = Outbound { peers, sockets, staged, spare, counters };
        let mut news = false;
        for leg in track_legs {
            let leg = &mut legs[*leg];
            for one in gathered {
                news |= out.offer(leg, up, &moment, &one.arrival, gather.packet(one));
            }
        }
        if news {
            self.follow_up(now, track);
        }
    }

    /// Tells of legs that have begun and sees to those that hold packets back.
    fn follow_up(&mut self, now: Instant, track: usize) {
        for position in 0..self.media.tracks[track].legs.len() {
            let leg = &mut self.media.legs[self.media.tracks[track].legs[position]];
            let (peer, key) = (leg.peer, leg.key);
            let (first_sent, held) = (std::mem::take(&mut leg.first_sent), std::mem::take(&mut leg.held));
            if first_sent {
                self.tell(peer, Event::LegStarted { leg: key });
            }
            if held {
                self.wake(peer, now + PROBE_STEP);
            }
        }
    }

    /// Now, as packets tell it.
    pub fn moment(&self, now: Instant) -> Moment {
        Moment { now, abs_send_time: self.wall.abs_send_time(now) }
    }

    /// What sending needs of the state, borrowed apart from tracks and legs.
    pub fn outbound(&mut self) -> (Outbound<'_>, &mut MediaState) {
        let State { media, peers, sockets, staged, spare, counters, .. } = self;
        (Outbound { peers, sockets, staged, spare, counters }, media)
    }

    /// Sends every staged run.
    pub fn flush_staged(&mut self) {
        self.outbound().0.flush_staged();
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
    spare: &'a mut Spare,
    counters: &'a ShardCounters,
}

impl Outbound<'_> {
    /// Offers one packet to one leg. True if the leg began or holds it back, for [`State::follow_up`].
    fn offer(&mut self, leg: &mut LegEntry, up: &UpTrack, moment: &Moment, arrival: &Arrival, packet: &[u8]) -> bool {
        let now = moment.now;
        let Plan::Forward(outgoing) = leg.down.plan(now, up, arrival) else { return false };
        leg.first_sent |= !std::mem::replace(&mut leg.started, true);
        if arrival.key_frame {
            self.note_burst(leg.peer, now);
        }
        if up.is_video() && !self.admits(leg.peer, now) {
            self.hold(leg.peer, leg.key, outgoing.header.sequence, packet.len());
            leg.held = true;
            return true;
        }
        self.stage_of(leg.peer, &leg.extensions, moment, up, &outgoing, packet);
        for back in 1..=arrival.missing_before.min(RED_BLOCKS_MAX as u8) {
            if let Some(recovered) = leg.down.plan_recovered(now, up, arrival, back) {
                self.stage(leg.peer, &leg.extensions, moment, &recovered, packet);
            }
        }
        leg.first_sent
    }

    /// As [`Outbound::stage`], for a packet that may be put into RED with those before it.
    pub fn stage_of(
        &mut self,
        subscriber: usize,
        extensions: &ExtensionIds,
        moment: &Moment,
        up: &UpTrack,
        outgoing: &Outgoing,
        packet: &[u8],
    ) {
        let Some(redundancy) = &outgoing.redundancy else {
            return self.stage(subscriber, extensions, moment, outgoing, packet);
        };
        let mut red = [0; RED_BYTES_MAX];
        if let Some(payload) = redundancy.write(up, outgoing.payload.in_packet(packet), &mut red) {
            self.stage(subscriber, extensions, moment, &Outgoing { payload, ..*outgoing }, &red);
        }
    }

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
        if self.staged.len() >= RUNS_HELD_MAX && self.peers[subscriber].run.is_empty() {
            self.flush_staged();
        }
        let PeerEntry { run, transport, .. } = &mut self.peers[subscriber];
        let slot = run.begin(self.spare);
        let sealed = write(&mut slot[..DATAGRAM_BYTES_MAX]).and_then(|length| {
            let header = RtpHeader::parse(&slot[..length])?;
            transport.as_mut()?.seal_rtp(slot, usize::from(header.payload_offset), length)
        });
        if run.is_empty() {
            self.staged.push(subscriber);
        }
        sealed.inspect(|length| self.commit(subscriber, *length))
    }

    fn commit(&mut self, subscriber: usize, length: usize) {
        if self.peers[subscriber].run.commit(length) == outbox::Staged::TooLarge {
            self.send(subscriber);
            self.peers[subscriber].run.restart(length);
        }
        self.counters.packets_out.add(1);
        self.counters.bytes_out.add(length as u64);
    }

    /// Sends every staged run, those first that are likeliest to be in the cache.
    fn flush_staged(&mut self) {
        while let Some(index) = self.staged.pop() {
            self.flush(index);
        }
    }

    /// Sends the peer's run.
    pub fn flush(&mut self, index: usize) {
        if self.peers.get(index).is_some_and(|peer| !peer.run.is_empty()) {
            self.send(index);
        }
        if let Some(peer) = self.peers.get_mut(index) {
            peer.run.clear(self.spare);
        }
    }

    fn send(&mut self, index: usize) {
        let peer = &self.peers[index];
        let Some(pair) = peer.transport.as_ref().and_then(Peer::send_pair) else { return };
        let connection =
            (pair.proto == Proto::Tcp).then(|| self.sockets.connection_to(&peer.connections, pair.remote)).flatten();
        let path = Path { local: pair.local, remote: pair.remote, connection };
        let (contents, segment) = peer.run.contents();
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
            let transport = self.peers[index].transport.as_mut();
            let Some(length) = transport.and_then(|t| t.seal_rtcp(scratch, now.len())) else { return };
            self.flush(index);
            let Some(pair) = self.peers[index].transport.as_ref().and_then(Peer::send_pair) else { return };
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
