//! Packets a leg makes up itself: silence when the publisher mutes, signs of life when it has sent nothing yet, and blank
//! frames when it ends (WIRE.md §4.11). Decides when; `down_track` numbers them.

use super::blank::{Frame, SifTrailer};
use crate::wire::rtp::{OutHeader, set_padding, write_header};
use std::time::{Duration, Instant};

const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const PADDING_INTERVAL: Duration = Duration::from_millis(100);
/// A new leg waits this long for real media…
const START_WAIT: Duration = Duration::from_millis(100);
/// …and pretends at most this long.
const START_TIME: Duration = Duration::from_secs(5);
const MUTE_FRAMES: u32 = 50;
/// A leg that ends does so in blank frames for this long.
const END_TIME: Duration = Duration::from_millis(200);
const BLANK_INTERVAL: Duration = Duration::from_micros(33_333);
/// Padding bytes of a sign of life, the count byte included.
pub const PADDING_BYTES: u8 = 20;
/// Padding bytes of a packet that fills up a probe (WIRE.md §4.2).
pub const PROBE_PADDING_BYTES: u8 = 255;

/// A packet made up by a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    pub header: OutHeader,
    pub frame: Frame,
    /// Of an encrypted track.
    pub trailer: Option<SifTrailer>,
    /// The count byte included; 0 is none.
    pub padding: u8,
}

impl Injected {
    /// Writes the whole RTP packet to the front of `out` and returns its length; `None` if `out` is too small.
    pub fn write(&self, extra: &[(u8, &[u8])], out: &mut [u8]) -> Option<usize> {
        let begin = write_header(out, &self.header, extra)?;
        let payload_end = begin + self.frame.write(self.trailer.as_ref(), out.get_mut(begin..)?)?;
        let end = payload_end + usize::from(self.padding);
        let rest = out.get_mut(payload_end..end)?;
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

    /// The leg ends.
    pub fn start_end(&mut self, now: Instant, is_video: bool) {
        let interval = if is_video { BLANK_INTERVAL } else { AUDIO_INTERVAL };
        let left = (END_TIME.as_micros() / interval.as_micros()) as u32;
        *self = Injector { interval, next: now, left };
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
    use crate::wire::codec::Codec;
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
        let padding = Injected { header: HEADER, frame: Frame::None, trailer: None, padding: PADDING_BYTES };
        let length = padding.write(&[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        assert_eq!((length, header.padding_bytes), (32, 20));
        assert!(header.payload(&out[..length]).is_empty());
        let silence = Injected { frame: Frame::silence(Codec::Opus).unwrap(), padding: 0, ..padding };
        let length = silence.write(&[], &mut out).unwrap();
        let payload = RtpHeader::parse(&out[..length]).unwrap().payload(&out[..length]);
        assert_eq!((payload.len(), &payload[..4]), (80, &[0xF8, 0xFF, 0xFE, 0][..]));
        assert_eq!(silence.write(&[], &mut out[..50]), None);
    }

    #[test]
    fn an_end_takes_a_fifth_of_a_second() {
        for (is_video, frames) in [(true, 6), (false, 10)] {
            let mut injector = Injector::new(at(0), is_video);
            injector.start_end(at(1_000), is_video);
            let sent = due(&mut injector, 1_000..9_000);
            assert_eq!((sent.len(), sent[0]), (frames, 1_000));
            assert!(sent.last() < Some(&1_200));
        }
    }
}
