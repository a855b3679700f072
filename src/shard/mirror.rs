//! Tracks whose subscribers are on several shards. The publisher's shard hands each packet once to every shard with
//! subscribers, which keeps a mirror of the track: packets, history and layers are the mirror's own, and only wishes for key
//! frames and its legs' loss go back. The publisher stands there as a peer without a transport.

use super::command::MirrorSetup;
use super::demux::Destination;
use super::handover::{Handed, Sibling};
use super::media::TrackEntry;
use super::peer::PeerEntry;
use super::state::State;
use super::{PeerKey, TrackKey, TrackSetup};
use crate::wire::rtcp::SenderInfo;
use crate::wire::rtp::RtpHeader;
use std::time::Instant;

/// A shard that has a mirror of a track of ours.
#[derive(Clone, Copy, Debug)]
pub struct Mirror {
    pub shard: u8,
    /// What the worst of its legs loses, of 256.
    pub worst: u8,
}

impl State {
    /// Keeps a copy of another shard's track for the subscribers here. Repeating it takes over what has been added to the
    /// track's description.
    pub fn mirror_track(&mut self, now: Instant, setup: MirrorSetup) {
        let MirrorSetup { setup, from, events } = setup;
        if self.index_of(setup.peer).is_none() {
            self.seat(PeerEntry::elsewhere(setup.peer, events, now));
        }
        let (track, setup) = (setup.track, TrackSetup { is_microphone: false, ..setup });
        self.add_track(now, setup);
        if let Some(index) = self.media.index_of(track) {
            self.media.tracks[index].origin = Some(from);
        }
    }

    /// A publisher elsewhere of whom nothing is mirrored any more.
    pub fn forget_elsewhere(&mut self, now: Instant, index: usize) {
        let Some(entry) = self.peers.get(index) else { return };
        if entry.transport.is_none() && entry.tracks.is_empty() {
            let key: PeerKey = entry.key;
            self.remove_peer(now, key);
        }
    }

    /// From now on that shard gets what arrives of the track.
    pub fn feed_mirror(&mut self, track: TrackKey, shard: u8) {
        let Some(index) = self.media.index_of(track) else { return };
        let mirrors = &mut self.media.tracks[index].mirrors;
        if mirrors.iter().all(|mirror| mirror.shard != shard) {
            mirrors.push(Mirror { shard, worst: 0 });
        }
    }

    pub fn starve_mirror(&mut self, track: TrackKey, shard: u8) {
        if let Some(index) = self.media.index_of(track) {
            self.media.tracks[index].mirrors.retain(|mirror| mirror.shard != shard);
        }
    }

    /// Gives a packet of a publisher here to the shards that mirror its track.
    ///
    /// # Cost
    /// One copy for each such shard.
    pub fn pass_on(&mut self, to: Destination, packet: &[u8]) {
        let State { media, siblings, counters, .. } = self;
        let TrackEntry { key, mirrors, .. } = &media.tracks[to.track];
        let stream = u8::try_from(to.stream).unwrap_or(u8::MAX);
        for mirror in mirrors {
            if !hand(siblings, mirror.shard, Handed::Packet { track: *key, stream, rtx: to.rtx }, packet) {
                counters.datagrams_dropped.add(1);
            }
        }
    }

    pub fn pass_on_report(&mut self, track: usize, ssrc: u32, info: SenderInfo) {
        let TrackEntry { key, mirrors, .. } = &self.media.tracks[track];
        for mirror in mirrors {
            // One that is lost is followed by another.
            hand(&mut self.siblings, mirror.shard, Handed::Report { track: *key, ssrc, info }, &[]);
        }
    }

    /// Takes what a sibling has for tracks here; datagrams are not for this.
    pub fn accept_handed(&mut self, now: Instant, handed: Handed, bytes: &[u8]) {
        match handed {
            Handed::Datagram { .. } => {}
            Handed::Packet { track, stream, rtx } => self.accept_packet(now, track, usize::from(stream), rtx, bytes),
            Handed::Report { track, ssrc, info } => self.accept_report(now, track, ssrc, &info),
            Handed::Wish { track, layer } => self.accept_wish(now, track, layer),
            Handed::Loss { track, from, worst } => self.accept_loss(track, from, worst),
        }
    }

    fn accept_packet(&mut self, now: Instant, track: TrackKey, stream: usize, rtx: bool, packet: &[u8]) {
        let Some((track, header)) = self.media.index_of(track).zip(RtpHeader::parse(packet)) else { return };
        let (peer, to) = (self.media.tracks[track].peer, Destination { track, stream, rtx });
        if self.peers[peer].demux.by_ssrc.get(&header.ssrc) != Some(&to) {
            self.learn_stream(now, peer, header.ssrc, to);
        }
        self.contain(peer, |state| state.take_in(now, peer, to, &header, packet));
    }

    fn accept_report(&mut self, now: Instant, track: TrackKey, ssrc: u32, info: &SenderInfo) {
        let ours = self.wall.ntp(now);
        if let Some(track) = self.media.index_of(track) {
            self.media.tracks[track].up.handle_sender_report(now, ours, ssrc, info);
        }
    }

    fn accept_wish(&mut self, now: Instant, track: TrackKey, layer: u8) {
        if let Some(track) = self.media.index_of(track) {
            self.wish(track, layer);
            self.wake(self.media.tracks[track].peer, now);
        }
    }

    /// Asks for a key frame of a layer: the publisher if it is here, else its shard.
    pub fn wish(&mut self, track: usize, layer: u8) {
        let TrackEntry { key, origin, up, .. } = &mut self.media.tracks[track];
        match *origin {
            None => up.request_key_frame(layer),
            // Its legs ask again while they wait.
            Some(shard) => drop(hand(&mut self.siblings, shard, Handed::Wish { track: *key, layer }, &[])),
        }
    }

    /// What the worst of a track's legs loses: for the publisher's next report if it is here, else for its shard.
    pub fn note_loss(&mut self, track: usize, worst: u8) {
        let TrackEntry { key, origin, up, mirrors, .. } = &mut self.media.tracks[track];
        let Some(shard) = *origin else {
            let elsewhere = mirrors.iter().map(|mirror| mirror.worst).max().unwrap_or(0);
            return up.set_loss_beyond(worst.max(elsewhere));
        };
        let loss = Handed::Loss { track: *key, from: self.index, worst };
        hand(&mut self.siblings, shard, loss, &[]);
    }

    fn accept_loss(&mut self, track: TrackKey, from: u8, worst: u8) {
        let Some(index) = self.media.index_of(track) else { return };
        if let Some(mirror) = self.media.tracks[index].mirrors.iter_mut().find(|mirror| mirror.shard == from) {
            mirror.worst = worst;
        }
    }
}

/// False when there is no such shard or too much is on its way to it.
fn hand(siblings: &mut [Sibling], shard: u8, handed: Handed, bytes: &[u8]) -> bool {
    siblings.iter_mut().find(|sibling| sibling.index == shard).is_some_and(|sibling| sibling.push(handed, bytes))
}
