//! Packets a leg makes up by itself: silence and blank frames where a track ends or pauses, padding to open a path or to
//! probe it. A part of `down_track`.

use super::DownTrack;
use crate::media::blank::Frame;
use crate::media::inject::{self, Injected};
use crate::media::settings::{self, Payload};
use crate::media::up_track::UpTrack;
use crate::wire::codec::Codec;
use crate::wire::rtp::OutHeader;
use std::time::Instant;

/// Blank frames a second.
const BLANK_RATE: u32 = 30;
/// Audio a made-up frame stands for.
const SILENCE_MS: u32 = 20;

impl DownTrack {
    /// A packet of the leg's own that is due: silence or padding. Call until `None`.
    pub fn poll_injected(&mut self, now: Instant, up: &UpTrack) -> Option<Injected> {
        // Media that is only on its way to its first key frame needs no stand-in.
        let media_is_coming = self.reports.packets == 0 && up.has_started() && !self.muted;
        if self.selector.target().paused || media_is_coming {
            self.injector.stop();
        }
        if !self.injector.poll(now) {
            return None;
        }
        let (payload_type, frame) = self.stand_in()?;
        let padding = if frame == Frame::None { inject::PADDING_BYTES } else { 0 };
        let ticks = if self.is_video { 0 } else { self.clock_rate() / 1_000 * SILENCE_MS };
        Some(self.make_up(now, payload_type, ticks, frame, padding))
    }

    /// The leg ends: blank frames follow, see [`DownTrack::poll_farewell`]. False if it has none to send.
    pub fn say_farewell(&mut self, now: Instant) -> bool {
        let has_blank = self.reports.packets > 0 && self.sent_as.is_some_and(|payload| self.blank(payload).is_some());
        if has_blank {
            self.injector.start_end(now, self.is_video);
        }
        has_blank
    }

    /// A blank frame of a leg that ends, so that its subscriber is left with neither the last picture nor a broken-off tone.
    /// Call until `None`.
    pub fn poll_farewell(&mut self, now: Instant) -> Option<Injected> {
        if !self.injector.poll(now) {
            return None;
        }
        let payload_type = self.sent_as?;
        let frame = self.blank(payload_type)?;
        let frame = if let Frame::Vp8(_) = frame { Frame::Vp8(self.vp8.make_up()) } else { frame };
        let ticks = if self.is_video { self.clock_rate() / BLANK_RATE } else { self.clock_rate() / 1_000 * SILENCE_MS };
        Some(self.make_up(now, payload_type, ticks, frame, 0))
    }

    pub fn farewell_deadline(&self) -> Option<Instant> {
        self.injector.deadline()
    }

    /// The blank frame of a codec; none for those whose decoders cannot do with one picture (WIRE.md §4.11).
    fn blank(&self, payload_type: u8) -> Option<Frame> {
        let (payload, _) = settings::payload_of(&self.settings.payloads, payload_type)?;
        match payload.codec {
            Codec::Vp8 => Some(Frame::Vp8(Default::default())),
            Codec::H264 => Some(Frame::H264),
            codec => Frame::silence(codec),
        }
    }

    fn make_up(&mut self, now: Instant, payload_type: u8, ticks: u32, frame: Frame, padding: u8) -> Injected {
        let first = (self.settings.first_sequence, self.settings.first_timestamp);
        let (sequence, timestamp) = self.rewriter.inject(now, ticks, first);
        let (sequence, ssrc) = (sequence as u16, self.settings.ssrc);
        self.reports.note_sent(frame.bytes());
        let header = OutHeader { marker: frame.is_video(), payload_type, sequence, timestamp, ssrc };
        Injected { header, frame, trailer: self.settings.encrypted, padding }
    }

    fn clock_rate(&self) -> u32 {
        settings::clock_rate(&self.settings.payloads)
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
        Some(Injected { header, frame: Frame::None, trailer: None, padding: inject::PROBE_PADDING_BYTES })
    }

    fn main_padding(&mut self, now: Instant, payload_type: u8) -> OutHeader {
        let (sequence, timestamp) = self.rewriter.inject(now, 0, (self.settings.first_sequence, 0));
        self.reports.note_sent(0);
        OutHeader { marker: false, payload_type, sequence: sequence as u16, timestamp, ssrc: self.settings.ssrc }
    }

    /// What the leg can make up: silence for audio, padding for video.
    fn stand_in(&self) -> Option<(u8, Frame)> {
        let silence = |p: &Payload| Frame::silence(p.codec).map(|frame| (p.pt, frame));
        if self.is_video {
            self.settings.payloads.first().map(|p| (p.pt, Frame::None))
        } else {
            self.settings.payloads.iter().find_map(silence)
        }
    }
}
