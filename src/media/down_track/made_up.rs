//! Packets a leg makes up by itself: silence where a track ends or pauses, padding to open a path or to probe it. A part of
//! `down_track`.

use super::DownTrack;
use crate::media::inject::{self, Injected};
use crate::media::settings::{self, Payload};
use crate::media::up_track::UpTrack;
use crate::wire::rtp::OutHeader;
use std::time::Instant;

/// Audio a made-up frame stands for.
const SILENCE_MS: u32 = 20;

impl DownTrack {
    /// A packet of the leg's own that is due: silence or padding. Call until `None`.
    pub fn poll_injected(&mut self, now: Instant, up: &UpTrack) -> Option<Injected> {
        // Media that is only on its way to its first key frame needs no stand-in.
        let media_is_coming = self.reports.packets == 0 && up.has_started() && !self.muted;
        let unreadable = self.settings.encrypted && !self.is_video;
        if self.selector.target().paused || media_is_coming || unreadable {
            self.injector.stop();
        }
        if !self.injector.poll(now) {
            return None;
        }
        let (payload_type, payload) = self.made_up()?;
        let ticks = if self.is_video { 0 } else { settings::clock_rate(&self.settings.payloads) / 1_000 * SILENCE_MS };
        let first = (self.settings.first_sequence, self.settings.first_timestamp);
        let (sequence, timestamp) = self.rewriter.inject(now, ticks, first);
        self.reports.note_sent(payload.len());
        let (sequence, ssrc) = (sequence as u16, self.settings.ssrc);
        let padding = if payload.is_empty() { inject::PADDING_BYTES } else { 0 };
        Some(Injected {
            header: OutHeader { marker: false, payload_type, sequence, timestamp, ssrc },
            payload,
            padding,
        })
    }

    /// A packet of padding to probe with: on the RTX SSRC if there is one, else on the main one where a frame has ended
    /// (WIRE.md §4.2). `None` before the first packet, and in the middle of a frame.
    pub fn padding(&mut self, now: Instant) -> Option<Injected> {
        let timestamp = self.rewriter.last_timestamp().filter(|_| self.is_video)?;
        let payload = self.settings.payloads.first()?;
        let header = match self.settings.rtx_ssrc.zip(payload.rtx_pt) {
            Some((ssrc, payload_type)) => {
                self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
                OutHeader { marker: false, payload_type, sequence: self.rtx_sequence, timestamp, ssrc }
            }
            None if self.at_frame_end => self.main_padding(now, payload.pt),
            None => return None,
        };
        Some(Injected { header, payload: &[], padding: inject::PROBE_PADDING_BYTES })
    }

    fn main_padding(&mut self, now: Instant, payload_type: u8) -> OutHeader {
        let (sequence, timestamp) = self.rewriter.inject(now, 0, (self.settings.first_sequence, 0));
        self.reports.note_sent(0);
        OutHeader { marker: false, payload_type, sequence: sequence as u16, timestamp, ssrc: self.settings.ssrc }
    }

    /// What the leg can make up: silence for audio, padding for video.
    fn made_up(&self) -> Option<(u8, &'static [u8])> {
        let silence = |p: &Payload| inject::silence(p.codec).map(|frame| (p.pt, frame));
        if self.is_video {
            self.settings.payloads.first().map(|p| (p.pt, &[][..]))
        } else {
            self.settings.payloads.iter().find_map(silence)
        }
    }
}
