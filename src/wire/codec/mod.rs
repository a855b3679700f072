//! Codecs: their names and the few payload bits a forwarder must understand.
//!
//! Called by `media` on decrypted RTP payloads. Under end-to-end encryption only what clients leave clear may be asked:
//! descriptors and NAL unit headers.

pub mod av1;
mod fields;
pub mod h264;
pub mod h265;
mod nal;
pub mod opus;
pub mod red;
pub mod vp8;
pub mod vp9;

/// A media codec this server can forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    /// Redundant audio, RFC 2198, around Opus.
    Red,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
}

impl Codec {
    /// From an SDP encoding name or the last part of a MIME type, in any case.
    pub fn from_name(name: &str) -> Option<Codec> {
        let name = name.rsplit('/').next().unwrap_or(name);
        ALL.iter().copied().find(|c| c.name().eq_ignore_ascii_case(name))
    }

    /// The encoding name as SDP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Red => "red",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::H264 => "H264",
            Codec::H265 => "H265",
            Codec::Av1 => "AV1",
        }
    }

    /// The MIME type as LiveKit writes it, for example `video/VP8`.
    pub fn mime(self) -> String {
        format!("{}/{}", if self.is_audio() { "audio" } else { "video" }, self.name())
    }

    pub fn is_audio(self) -> bool {
        matches!(self, Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma)
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus | Codec::Red => 48_000,
            Codec::Pcmu | Codec::Pcma => 8_000,
            _ => 90_000,
        }
    }
}

const ALL: [Codec; 9] =
    [Codec::Opus, Codec::Red, Codec::Pcmu, Codec::Pcma, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1];

/// True in the packet with which a key frame of this codec begins; audio has none.
///
/// # Cost
/// No allocation; reads a few bytes at the front of the payload, for aggregates one header for each unit.
pub fn is_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Vp8 => vp8::is_key_frame(payload),
        Codec::Vp9 => vp9::is_key_frame(payload),
        Codec::H264 => h264::is_key_frame(payload),
        Codec::H265 => h265::is_key_frame(payload),
        Codec::Av1 => av1::is_key_frame(payload),
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => false,
    }
}

/// Width and height of the picture that begins in this packet, where the codec tells them cheaply: never for AV1, whose
/// dependency descriptor does.
pub fn key_frame_size(codec: Codec, payload: &[u8]) -> Option<(u32, u32)> {
    match codec {
        Codec::Vp8 => vp8::key_frame_size(payload),
        Codec::Vp9 => vp9::key_frame_size(payload),
        Codec::H264 => h264::key_frame_size(payload),
        Codec::H265 => h265::key_frame_size(payload),
        Codec::Av1 | Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_codec() {
        for codec in ALL {
            assert_eq!(Codec::from_name(codec.name()), Some(codec));
            assert_eq!(Codec::from_name(&codec.mime().to_ascii_uppercase()), Some(codec));
        }
        assert_eq!(Codec::from_name("video/rtx"), None);
        assert_eq!(Codec::from_name(""), None);
    }

    #[test]
    fn each_codec_is_asked_for_its_own_key_frames() {
        let keys: [(Codec, &[u8]); 5] = [
            (Codec::Vp8, &[0x10, 0x10]),
            (Codec::Vp9, &[0x08, 0x82]),
            (Codec::H264, &[0x67, 0x42]),
            (Codec::H265, &[0x40, 0x01, 0x0C]),
            (Codec::Av1, &[0x18, 0x0A]),
        ];
        for (codec, payload) in keys {
            assert!(is_key_frame(codec, payload), "{codec:?}");
            assert_eq!(key_frame_size(codec, payload), None, "{codec:?} is cut before its size");
            assert!(!is_key_frame(codec, &[]), "{codec:?}");
        }
        for codec in ALL.into_iter().filter(|codec| codec.is_audio()) {
            assert!(keys.iter().all(|(_, payload)| !is_key_frame(codec, payload)), "{codec:?}");
        }
    }
}
