//! Packets a leg makes up itself: silence when the publisher mutes, and signs of life when it has sent nothing yet
//! (WIRE.md §4.11). Decides when; `down_track` numbers them.

use crate::wire::codec::Codec;
use crate::wire::rtp::{OutHeader, set_padding, write_header};
use std::time::{Duration, Instant};

const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const PADDING_INTERVAL: Duration = Duration::from_millis(100);
/// A new leg waits this long for real media…
const START_WAIT: Duration = Duration::from_millis(100);
/// …and pretends at most this long.
const START_TIME: Duration = Duration::from_secs(5);
const MUTE_FRAMES: u32 = 50;
/// Padding bytes of a sign of life, the count byte included.
pub const PADDING_BYTES: u8 = 20;
/// Padding bytes of a packet that fills up a probe (WIRE.md §4.2).
pub const PROBE_PADDING_BYTES: u8 = 255;

/// One frame of silence (RFC 6716: CELT, 20 ms), filled up as encoders do at a constant rate.
const OPUS_SILENCE: [u8; 80] = {
    let mut frame = [0; 80];
    (frame[0], frame[1], frame[2]) = (0xF8, 0xFF, 0xFE);
    frame
};
const PCMU_SILENCE: [u8; 160] = [0xFF; 160];
const PCMA_SILENCE: [u8; 160] = [0xD5; 160];

/// 20 ms of silence, `None` for codecs that have no such frame.
pub fn silence(codec: Codec) -> Option<&'static [u8]> {
    match codec {
        Codec::Opus => Some(&OPUS_SILENCE),
        Codec::Pcmu => Some(&PCMU_SILENCE),
        Codec::Pcma => Some(&PCMA_SILENCE),
        _ => None,
    }
}

/// A packet made up by a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    pub header: OutHeader,
    /// Empty for a packet of padding.
    pub payload: &'static [u8],
    /// The count byte included; 0 is none.
    pub padding: u8,
}

impl Injected {
    /// Writes the whole RTP packet to the front of `out` and returns its length; `None` if `out` is too small.
    pub fn write(&self, extra: &[(u8, &[u8])], out: &mut [u8]) -> Option<usize> {
        let begin = write_header(out, &self.header, extra)?;
        let end = begin + self.payload.len() + usize::from(self.padding);
        let (payload, rest) = out.get_mut(begin..end)?.split_at_mut(self.payload.len());
        payload.copy_from_slice(self.payload);
        rest.fill(0);
        if let Some(count) = rest.last_mut() {
            *count = self.padding;
            set_padding(out, true);
        }
        Some(end)
    }
}

/// When a leg makes packets up.
#[derive(Clone, Copy, Debug)]
pub struct Injector {
    interval: Duration,
    next: Instant,
    /// Frames still to be made up.
    left: u32,
}

impl Injector {
    /// For a leg that was made now.
    pub fn new(now: Instant, is_video: bool) -> Injector {
        let interval = if is_video { PADDING_INTERVAL } else { AUDIO_INTERVAL };
        let left = ((START_TIME - START_WAIT).as_millis() / interval.as_millis()) as u32;
        Injector { interval, next: now + START_WAIT, left }
    }

    /// The publisher muted an audio track that was flowing.
    pub fn start_silence(&mut self, now: Instant) {
        *self = Injector { interval: AUDIO_INTERVAL, next: now, left: MUTE_FRAMES };
    }

    /// Real media flows, or nothing is wanted: nothing is to be made up any more.
    pub fn stop(&mut self) {
        self.left = 0;
    }

    pub fn deadline(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.next)
    }

    /// True if a packet is due; call until false.
    pub fn poll(&mut self, now: Instant) -> bool {
        let due = self.left > 0 && self.next <= now;
        if due {
            self.left -= 1;
            self.next += self.interval;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtp::RtpHeader;

    const HEADER: OutHeader = OutHeader { marker: false, payload_type: 96, sequence: 1, timestamp: 2, ssrc: 3 };

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    fn due(injector: &mut Injector, span_ms: std::ops::Range<u64>) -> Vec<u64> {
        span_ms.filter(|ms| injector.poll(at(*ms))).collect()
    }

    #[test]
    fn a_leg_without_media_shows_signs_of_life_for_five_seconds() {
        let video = due(&mut Injector::new(at(0), true), 0..10_000);
        assert_eq!((video.first(), video.last(), video.len()), (Some(&100), Some(&4_900), 49));
        let mut audio = Injector::new(at(0), false);
        assert_eq!(due(&mut audio, 0..201), [100, 120, 140, 160, 180, 200]);
        audio.stop();
        assert_eq!(audio.deadline(), None);
    }

    #[test]
    fn mute_is_followed_by_a_second_of_silence() {
        let mut injector = Injector::new(at(0), false);
        injector.stop();
        injector.start_silence(at(1_000));
        let frames = due(&mut injector, 1_000..9_000);
        assert_eq!((frames.len(), frames.last()), (50, Some(&1_980)));
    }

    #[test]
    fn written_packets_parse() {
        let mut out = [0xEE; 200];
        let length = Injected { header: HEADER, payload: &[], padding: PADDING_BYTES }.write(&[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        assert_eq!((length, header.padding_bytes), (32, 20));
        assert!(header.payload(&out[..length]).is_empty());
        let silence = Injected { header: HEADER, payload: silence(Codec::Opus).unwrap(), padding: 0 };
        let length = silence.write(&[], &mut out).unwrap();
        assert_eq!(RtpHeader::parse(&out[..length]).unwrap().payload(&out[..length]), OPUS_SILENCE);
        assert_eq!(silence.write(&[], &mut out[..50]), None);
    }
}
