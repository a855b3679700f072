//! RTP header extensions this server reads or writes: their URIs and the layout of their values.
//!
//! Called by `media` with the value of an element found by `rtp::RtpHeader::extension`. Which id carries which
//! extension is negotiated elsewhere.

use std::time::Duration;

pub const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub const ABS_SEND_TIME_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
pub const FRAME_MARKING_URI: &str = "urn:ietf:params:rtp-hdrext:framemarking";
pub const DEPENDENCY_DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
pub const ABS_CAPTURE_TIME_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
pub const PLAYOUT_DELAY_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// Loudness of a packet (RFC 6464 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// -dBov: 0 is the loudest, 127 silence.
    pub level: u8,
    /// The sender's voice activity detection.
    pub voice: bool,
}

impl AudioLevel {
    pub fn parse(value: &[u8]) -> Option<AudioLevel> {
        value.first().map(|byte| AudioLevel { level: byte & 0x7F, voice: byte & 0x80 != 0 })
    }

    pub fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.voice) << 7 | self.level.min(127)]
    }
}

/// When a packet left its sender: 24 bits of seconds in 6.18 fixed point, so it wraps every 64 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    pub fn parse(value: &[u8]) -> Option<AbsSendTime> {
        let [a, b, c] = *value.first_chunk::<3>()?;
        Some(AbsSendTime(u32::from_be_bytes([0, a, b, c])))
    }

    /// From the time since any fixed moment; only differences matter.
    pub fn from_duration(since: Duration) -> AbsSendTime {
        let fraction = (u64::from(since.subsec_nanos()) << 18) / 1_000_000_000;
        AbsSendTime((((since.as_secs() & 0x3F) << 18) | fraction) as u32)
    }

    pub fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }
}

/// Reads the transport-wide sequence number.
pub fn transport_sequence(value: &[u8]) -> Option<u16> {
    value.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

/// When a frame was captured, and how far the capturer's clock is from the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsCaptureTime {
    /// NTP time in 32.32 fixed point.
    pub ntp: u64,
    /// Seconds in signed 32.32 fixed point.
    pub clock_offset: Option<i64>,
}

impl AbsCaptureTime {
    /// Bytes with and without the clock offset.
    pub const BYTES_MAX: usize = 16;
    pub const BYTES_SHORT: usize = 8;

    pub fn parse(value: &[u8]) -> Option<AbsCaptureTime> {
        let (ntp, rest) = value.split_first_chunk::<8>()?;
        let clock_offset = rest.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes));
        Some(AbsCaptureTime { ntp: u64::from_be_bytes(*ntp), clock_offset })
    }

    /// The value in a buffer, and how much of it counts.
    pub fn to_bytes(self) -> ([u8; Self::BYTES_MAX], usize) {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..8].copy_from_slice(&self.ntp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.clock_offset.unwrap_or(0).to_be_bytes());
        (bytes, if self.clock_offset.is_some() { Self::BYTES_MAX } else { Self::BYTES_SHORT })
    }
}

/// The jitter buffer delay a sender asks of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// Milliseconds, on the wire in steps of 10 up to 40 950.
    pub min_ms: u16,
    pub max_ms: u16,
}

impl PlayoutDelay {
    pub fn parse(value: &[u8]) -> Option<PlayoutDelay> {
        let [a, b, c] = value.first_chunk::<3>()?.map(u16::from);
        Some(PlayoutDelay { min_ms: (a << 4 | b >> 4) * 10, max_ms: ((b & 0x0F) << 8 | c) * 10 })
    }

    pub fn to_bytes(self) -> [u8; 3] {
        let [min, max] = [self.min_ms, self.max_ms].map(|ms| u32::from(ms / 10).min(0xFFF));
        let [_, a, b, c] = (min << 12 | max).to_be_bytes();
        [a, b, c]
    }
}

/// Reads a section's identification tag (RFC 9143 §15.2): an SDP token.
pub fn mid(value: &[u8]) -> Option<&str> {
    identifier(value, |byte| byte.is_ascii_graphic())
}

/// Reads a stream id or repaired stream id (RFC 8852 §3.1).
pub fn rid(value: &[u8]) -> Option<&str> {
    identifier(value, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn identifier(value: &[u8], allowed: fn(u8) -> bool) -> Option<&str> {
    let good = !value.is_empty() && value.iter().copied().all(allowed);
    good.then(|| std::str::from_utf8(value).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_known_bytes() {
        assert_eq!(AudioLevel::parse(&[0x8A]), Some(AudioLevel { level: 10, voice: true }));
        assert_eq!(AudioLevel::parse(&[0x7F, 0]), Some(AudioLevel { level: 127, voice: false }));
        assert_eq!(AbsSendTime::parse(&[0x04, 0, 0]), Some(AbsSendTime(1 << 18)));
        assert_eq!(transport_sequence(&[0x12, 0x34]), Some(0x1234));
        assert_eq!(PlayoutDelay::parse(&[0x00, 0xA0, 0x14]), Some(PlayoutDelay { min_ms: 100, max_ms: 200 }));
        assert_eq!(
            AbsCaptureTime::parse(&[0, 0, 0, 1, 0x80, 0, 0, 0]),
            Some(AbsCaptureTime { ntp: 0x1_8000_0000, clock_offset: None })
        );
        assert_eq!((mid(b"0"), rid(b"q_1-x")), (Some("0"), Some("q_1-x")));
    }

    #[test]
    fn refuses_short_and_foreign_values() {
        assert_eq!(AudioLevel::parse(&[]), None);
        assert_eq!(AbsSendTime::parse(&[1, 2]), None);
        assert_eq!(transport_sequence(&[1]), None);
        assert_eq!(PlayoutDelay::parse(&[1, 2]), None);
        assert_eq!(AbsCaptureTime::parse(&[0; 7]), None);
        assert_eq!((mid(b""), mid(b"a b"), mid("ä".as_bytes())), (None, None, None));
        assert_eq!((rid(b"a~"), rid(&[b'a', 0])), (None, None));
    }

    #[test]
    fn send_time_wraps_each_64_seconds() {
        let time = AbsSendTime::from_duration(Duration::from_millis(64_000 + 1_500));
        assert_eq!(time, AbsSendTime(3 << 17));
        assert_eq!(time.to_bytes(), [0x06, 0, 0]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            level in 0u8..128, voice: bool, ntp: u64, clock_offset: Option<i64>,
            steps in (0u16..4096, 0u16..4096), nanos: u64,
        ) {
            let audio = AudioLevel { level, voice };
            prop_assert_eq!(AudioLevel::parse(&audio.to_bytes()), Some(audio));
            let capture = AbsCaptureTime { ntp, clock_offset };
            let (bytes, used) = capture.to_bytes();
            prop_assert_eq!(AbsCaptureTime::parse(&bytes[..used]), Some(capture));
            let delay = PlayoutDelay { min_ms: steps.0 * 10, max_ms: steps.1 * 10 };
            prop_assert_eq!(PlayoutDelay::parse(&delay.to_bytes()), Some(delay));
            let sent = AbsSendTime::from_duration(Duration::from_nanos(nanos));
            prop_assert_eq!(AbsSendTime::parse(&sent.to_bytes()), Some(sent));
        }
    }
}
