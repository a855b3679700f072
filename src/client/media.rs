//! What synthetic participants send: microphones, cameras and displays, and the Opus packets of a microphone, with true
//! headers, meaningless contents and a stamp at their end. Called by `outgoing`; knows payloads, not RTP. RFC 7587.

use super::stamp::{STAMP_BYTES, Stamp};
use std::time::Duration;

/// A microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSource {
    pub bitrate_bps: u32,
    /// Loudness told in the audio-level extension, in -dBov: 0 is loudest, 127 silence.
    pub level: u8,
}

impl Default for AudioSource {
    fn default() -> AudioSource {
        AudioSource { bitrate_bps: 32_000, level: 30 }
    }
}

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoSource {
    pub fps: u32,
    /// 1..=3.
    pub temporal_layers: u8,
    /// From the lowest up; more than one are simulcast or, in VP9, the spatial layers of one stream.
    pub layers: Vec<Layer>,
}

/// One encoding of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub width: u16,
    pub height: u16,
    pub bitrate_bps: u32,
}

/// A video codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum VideoCodec {
    #[default]
    Vp8,
    H264,
    Vp9,
    Av1,
}

impl VideoCodec {
    pub const ALL: [VideoCodec; 4] = [VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp9, VideoCodec::Av1];

    /// As in session descriptions.
    pub fn name(self) -> &'static str {
        match self {
            VideoCodec::Vp8 => "VP8",
            VideoCodec::H264 => "H264",
            VideoCodec::Vp9 => "VP9",
            VideoCodec::Av1 => "AV1",
        }
    }

    /// Whatever the case.
    pub fn from_name(name: &str) -> Option<VideoCodec> {
        VideoCodec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }
}

/// How a camera or a display is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    pub source: VideoSource,
    pub codec: VideoCodec,
    /// Key frames come so often; absent: only when asked for, as browsers do it.
    pub key_frame_every: Option<Duration>,
    /// A shared screen, not a camera.
    pub is_screen: bool,
    /// Sends less when feedback tells of a bottleneck, as browsers do.
    pub yields: bool,
}

impl Video {
    /// Its layers travel in one stream (L3T3_KEY), as browsers send VP9.
    pub fn is_scalable(&self) -> bool {
        self.codec == VideoCodec::Vp9 && self.source.layers.len() > 1
    }
}

impl From<VideoSource> for Video {
    fn from(source: VideoSource) -> Video {
        Video { source, codec: VideoCodec::Vp8, key_frame_every: None, is_screen: false, yields: false }
    }
}

/// RIDs of simulcast encodings from the lowest up (WIRE.md §3.12).
pub const RIDS: [&str; 3] = ["q", "h", "f"];

impl VideoSource {
    /// One encoding of 640x360.
    pub fn p360(bitrate_bps: u32) -> VideoSource {
        VideoSource { fps: 30, temporal_layers: 1, layers: vec![Layer { width: 640, height: 360, bitrate_bps }] }
    }

    /// One encoding of 1280x720.
    pub fn p720(bitrate_bps: u32) -> VideoSource {
        VideoSource { fps: 30, temporal_layers: 1, layers: vec![Layer { width: 1280, height: 720, bitrate_bps }] }
    }

    /// 1280x720 with halves and quarters, at the bit rates of LiveKit's JS client, three temporal layers each.
    pub fn simulcast() -> VideoSource {
        let layer = |width, height, bitrate_bps| Layer { width, height, bitrate_bps };
        let layers = vec![layer(320, 180, 160_000), layer(640, 360, 450_000), layer(1280, 720, 1_700_000)];
        VideoSource { fps: 30, temporal_layers: 3, layers }
    }

    pub fn frame_interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps.max(1)
    }
}

/// Time between Opus packets.
pub const OPUS_FRAME: Duration = Duration::from_millis(20);
/// The same in units of its 48 kHz clock.
pub const OPUS_FRAME_TICKS: u32 = 960;

/// CELT-only fullband, 20 ms, mono, one frame (RFC 6716 §3.1).
const OPUS_TOC: u8 = 31 << 3;

/// Where frames and packets of one encoding are counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub packets: u32,
    pub frames: u32,
}

/// Makes Opus packets.
#[derive(Clone, Debug)]
pub struct Opus {
    bytes: usize,
    count: Count,
}

impl Opus {
    pub fn new(source: &AudioSource) -> Opus {
        let bytes = source.bitrate_bps as usize / 8 / 50;
        Opus { bytes: bytes.clamp(1 + STAMP_BYTES, PAYLOAD_BYTES_MAX), count: Count::default() }
    }

    /// Fills `payload` with the next packet.
    pub fn next(&mut self, sent_us: u64, payload: &mut Vec<u8>) {
        payload.clear();
        payload.resize(self.bytes, FILLING);
        payload[0] = OPUS_TOC;
        let Count { packets: number, frames: frame } = self.count;
        Stamp { number, frame, index: 0, count: 1, layer: 0, scalable: false, key_frame: false, sent_us }
            .write(payload);
        self.count = Count { packets: number.wrapping_add(1), frames: frame.wrapping_add(1) };
    }
}

/// What fills payloads: neither zeros nor anything that looks like a header.
pub const FILLING: u8 = 0x55;
/// Leaves room for RTP with extensions, SRTP, RTX and a relay below 1280 bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_packets_have_the_bit_rate() {
        let mut opus = Opus::new(&AudioSource::default());
        let mut payload = Vec::new();
        (0..2).for_each(|_| opus.next(9, &mut payload));
        assert_eq!((payload.len(), payload[0]), (80, OPUS_TOC));
        assert_eq!(Stamp::read(&payload).unwrap().number, 1);
    }

    #[test]
    fn a_starved_microphone_still_has_room_for_its_stamp() {
        let mut payload = Vec::new();
        Opus::new(&AudioSource { bitrate_bps: 0, level: 0 }).next(1, &mut payload);
        assert!(Stamp::read(&payload).is_some());
    }
}
