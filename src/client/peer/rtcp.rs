//! The RTCP of one transport: what the server reports and asks for, and what we owe it (RFC 3550 §6, RFC 4585). The other
//! half of `peer`.

use super::{Connection, Place, REPORT_EVERY, send};
use crate::wire::rtcp::{self, Packet, write_nack, write_pli, write_receiver_report, write_remb};
use std::time::Instant;

/// Names us in SDES.
const CNAME: &str = "lkops";

impl Connection {
    pub(super) fn handle_rtcp(&mut self, now: Instant, compound: &[u8]) {
        for packet in rtcp::packets(compound) {
            match packet {
                Packet::SenderReport { ssrc, info, blocks } => {
                    if let Some(Place::Media(at)) = self.places.get(&ssrc) {
                        self.incoming[*at].handle_sender_report(now, &info);
                    }
                    self.handle_blocks(blocks);
                }
                Packet::ReceiverReport { blocks, .. } => self.handle_blocks(blocks),
                Packet::Nack { media_ssrc, lost, .. } => self.handle_nack(now, media_ssrc, lost),
                Packet::Pli { media_ssrc, .. } => self.handle_pli(media_ssrc),
                Packet::Fir { entries, .. } => entries.for_each(|entry| self.handle_pli(entry.ssrc)),
                Packet::TransportCc(feedback) => self.handle_transport_cc(now, &feedback),
                Packet::Remb { bitrate_bps, .. } => self.handle_remb(bitrate_bps),
                _ => {}
            }
        }
    }

    fn handle_blocks(&mut self, blocks: rtcp::ReportBlocks<'_>) {
        for block in blocks {
            self.outgoing.iter_mut().for_each(|track| track.handle_report_block(&block));
        }
    }

    fn handle_pli(&mut self, ssrc: u32) {
        self.outgoing.iter_mut().for_each(|track| track.handle_key_frame_request(ssrc));
    }

    fn handle_nack(&mut self, now: Instant, ssrc: u32, lost: rtcp::LostSequences<'_>) {
        let (tracks, mut wire) = self.split(now);
        for track in tracks {
            if track.handle_nack(ssrc, lost.clone(), &mut wire) {
                break;
            }
        }
    }

    pub(super) fn send_feedback(&mut self, now: Instant) {
        self.compound.clear();
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT_EVERY);
            self.write_reports(now);
        }
        if self.feedback_at.is_some_and(|at| at <= now) {
            self.feedback_at = None;
            self.stats.feedback_out += self.arrivals.write(self.ssrc, &mut self.compound);
        }
        for track in &mut self.incoming {
            track.poll_nacks(now, &mut self.lost);
            write_nack(&mut self.compound, self.ssrc, track.setup.ssrc, &self.lost);
            if track.poll_pli(now) {
                write_pli(&mut self.compound, self.ssrc, track.setup.ssrc);
            }
        }
        self.send_compound(now);
    }

    fn write_reports(&mut self, now: Instant) {
        self.outgoing.iter().for_each(|track| track.write_reports(now, CNAME, &mut self.compound));
        let blocks: Vec<_> = self.incoming.iter_mut().filter_map(|track| track.report_block(now)).collect();
        if !blocks.is_empty() {
            write_receiver_report(&mut self.compound, self.ssrc, &blocks);
        }
        let remb: Vec<u32> = self.incoming.iter().filter(|t| t.setup.remb).map(|t| t.setup.ssrc).collect();
        if !remb.is_empty() {
            write_remb(&mut self.compound, self.ssrc, self.downlink_bps, &remb);
        }
    }

    /// Every part but the first of a compound that fits no datagram would be lost, so parts go alone where they must.
    fn send_compound(&mut self, now: Instant) {
        let mut rest = &self.compound[..];
        let Some(pair) = self.peer.send_pair().filter(|_| !rest.is_empty()) else { return };
        while !rest.is_empty() {
            let (part, later) = rest.split_at(compound_part(rest));
            rest = later;
            self.scratch.clear();
            self.scratch.extend_from_slice(part);
            self.scratch.resize(part.len() + crate::transport::srtp::OVERHEAD_BYTES_MAX, 0);
            if let Some(sealed) = self.peer.seal_rtcp(&mut self.scratch, part.len()) {
                self.stats.datagrams_out += 1;
                send(now, &mut self.sockets, pair.proto, pair.remote, &self.scratch[..sealed]);
            }
        }
    }
}

/// Largest RTCP compound in one datagram, in bytes.
const COMPOUND_BYTES_MAX: usize = 1100;

/// Length of the whole packets at the front that fit one datagram together.
fn compound_part(compound: &[u8]) -> usize {
    let mut end = 0;
    while let Some([_, _, high, low]) = compound.get(end..end + 4) {
        let next = end + 4 + usize::from(u16::from_be_bytes([*high, *low])) * 4;
        if end > 0 && next > COMPOUND_BYTES_MAX {
            break;
        }
        end = next.min(compound.len());
    }
    if end == 0 { compound.len() } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compounds_are_cut_between_packets() {
        let mut compound = Vec::new();
        for ssrc in 0..100 {
            write_pli(&mut compound, 1, ssrc);
        }
        let mut rest = &compound[..];
        while !rest.is_empty() {
            let part = compound_part(rest);
            assert!(part <= COMPOUND_BYTES_MAX && part.is_multiple_of(12), "{part}");
            rest = &rest[part..];
        }
        assert_eq!(compound_part(&[1, 2]), 2, "what is no packet goes as it is");
    }
}
