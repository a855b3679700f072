//! Frames a leg makes up: silence for audio, black key frames for video (WIRE.md §4.11). Bytes only; `inject` decides when.

use super::put::put;
use crate::limits::SIF_TRAILER_BYTES;
use crate::wire::codec::{Codec, vp8};

/// One frame of silence (RFC 6716: CELT, 20 ms), filled up as encoders do at a constant rate.
const OPUS_SILENCE: [u8; 80] = {
    let mut frame = [0; 80];
    (frame[0], frame[1], frame[2]) = (0xF8, 0xFF, 0xFE);
    frame
};
const PCMU_SILENCE: [u8; 160] = [0xFF; 160];
const PCMA_SILENCE: [u8; 160] = [0xD5; 160];

/// A black key frame of 8 x 8 pixels (RFC 6386). To the byte what LiveKit's servers send: clients that encrypt end to end know
/// silence and this frame by their hashes, and drop whatever else comes with the trailer. (So they do with any of H264: they
/// hash its units one by one, but get them together.)
const VP8_BLACK: [u8; 31] = [
    0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x08, 0x00, 0x08, 0x00, 0x00, 0x47, 0x08, 0x85, 0x85, 0x88, 0x85, 0x84, 0x88,
    0x02, 0x02, 0x00, 0x0C, 0x0D, 0x60, 0x00, 0xFE, 0xFF, 0xAB, 0x50, 0x80,
];
/// A black picture of 2 x 2 pixels, constrained baseline: SPS (one macroblock, cropped), PPS, IDR with one DC coefficient.
const H264_SPS: [u8; 8] = [0x67, 0x42, 0xC0, 0x0A, 0xDA, 0x7E, 0x22, 0x21];
const H264_PPS: [u8; 5] = [0x68, 0xCE, 0x02, 0x98, 0x80];
const H264_IDR: [u8; 9] = [0x65, 0x88, 0x84, 0x93, 0x14, 0x00, 0x04, 0x0E, 0x70];
/// RFC 6184 §5.7.1, NRI as that of its units.
const STAP_A: u8 = 0x78;

/// Ends each frame of ours in an end-to-end encrypted track: its receiver then takes it as it is.
pub type SifTrailer = [u8; SIF_TRAILER_BYTES];

/// The payload of a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// No payload: the packet is padding.
    None,
    Silence(&'static [u8]),
    Vp8(vp8::Start),
    H264,
}

impl Frame {
    /// 20 ms of silence, `None` for codecs that have no such frame.
    pub fn silence(codec: Codec) -> Option<Frame> {
        match codec {
            Codec::Opus => Some(Frame::Silence(&OPUS_SILENCE)),
            Codec::Pcmu => Some(Frame::Silence(&PCMU_SILENCE)),
            Codec::Pcma => Some(Frame::Silence(&PCMA_SILENCE)),
            _ => None,
        }
    }

    pub fn is_video(&self) -> bool {
        matches!(self, Frame::Vp8(_) | Frame::H264)
    }

    /// Bytes of the payload but for descriptor and trailer, as sender reports count.
    pub fn bytes(&self) -> usize {
        match self {
            Frame::None => 0,
            Frame::Silence(frame) => frame.len(),
            Frame::Vp8(_) => VP8_BLACK.len(),
            Frame::H264 => H264_SPS.len() + H264_PPS.len() + H264_IDR.len(),
        }
    }

    /// Writes the payload to the front of `out`, `trailer` at the end of its frame, and returns its length; `None` if `out`
    /// is too small.
    pub fn write(&self, trailer: Option<&SifTrailer>, out: &mut [u8]) -> Option<usize> {
        let trailer = trailer.map_or(&[][..], |trailer| &trailer[..]);
        match self {
            Frame::None => Some(0),
            Frame::Silence(frame) => put(out, 0, &[frame, trailer]),
            Frame::Vp8(start) => {
                let begin = start.write(out)?;
                put(out, begin, &[&VP8_BLACK, trailer])
            }
            Frame::H264 => write_h264(trailer, out),
        }
    }
}

/// The trailer is the end of the last unit, so that it is the end of the frame its receiver puts together.
fn write_h264(trailer: &[u8], out: &mut [u8]) -> Option<usize> {
    let size = |bytes: usize| (bytes as u16).to_be_bytes();
    let sps = &H264_SPS;
    let idr = size(H264_IDR.len() + trailer.len());
    put(out, 0, &[&[STAP_A], &size(sps.len()), sps, &size(H264_PPS.len()), &H264_PPS, &idr, &H264_IDR, trailer])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::h264;

    const TRAILER: SifTrailer = [0xA5; SIF_TRAILER_BYTES];

    fn written(frame: Frame, trailer: Option<&SifTrailer>) -> Vec<u8> {
        let mut out = [0xEE; 300];
        let length = frame.write(trailer, &mut out).unwrap();
        assert_eq!(frame.write(trailer, &mut out[..length.saturating_sub(1)]).is_none(), length > 0);
        out[..length].to_vec()
    }

    #[test]
    fn silence_of_each_codec() {
        let cases = [(Codec::Opus, 80, 0xF8), (Codec::Pcmu, 160, 0xFF), (Codec::Pcma, 160, 0xD5)];
        for (codec, bytes, first) in cases {
            let frame = Frame::silence(codec).unwrap();
            let plain = written(frame, None);
            assert_eq!((plain.len(), plain[0]), (bytes, first), "{codec:?}");
            assert_eq!(written(frame, Some(&TRAILER)), [plain, TRAILER.to_vec()].concat(), "{codec:?}");
        }
        assert_eq!(Frame::silence(Codec::Red), None);
        assert!(written(Frame::None, Some(&TRAILER)).is_empty());
    }

    #[test]
    fn a_black_vp8_picture_is_a_key_frame_of_8_by_8() {
        let start = vp8::Start { picture_id: Some(300), tl0_pic_idx: Some(1), key_idx: Some(2) };
        let plain = written(Frame::Vp8(start), None);
        assert_eq!(vp8::key_frame_size(&plain), Some((8, 8)));
        assert_eq!(plain[..6], [0x90, 0xF0, 0x81, 0x2C, 1, 2]);
        assert_eq!(plain.len() - 6, Frame::Vp8(start).bytes());
        assert_eq!(written(Frame::Vp8(start), Some(&TRAILER)), [plain, TRAILER.to_vec()].concat());
    }

    /// What livekit-client compares with, by SHA-256.
    #[test]
    fn encrypting_clients_know_silence_and_the_black_vp8_picture() {
        let digest = |bytes: &[u8]| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(digest(&VP8_BLACK), "ef0161653d8b2b23aad46624b420af1d03ce48950e9fc85718028f91b50f9219");
        assert_eq!(digest(&OPUS_SILENCE), "aad8d31fc56b2802ca500e58c2fb9d0b29ad71bb7cb52cd6530251eade188988");
    }

    #[test]
    fn a_black_h264_picture_brings_its_parameters() {
        for trailer in [None, Some(&TRAILER)] {
            let payload = written(Frame::H264, trailer);
            assert!(h264::is_key_frame(&payload));
            let (mut rest, mut units) = (&payload[1..], Vec::new());
            while let Some((size, after)) = rest.split_first_chunk::<2>() {
                let (unit, next) = after.split_at(usize::from(u16::from_be_bytes(*size)));
                units.push(unit);
                rest = next;
            }
            assert!(rest.is_empty());
            assert_eq!(units.iter().map(|unit| unit[0] & 0x1F).collect::<Vec<_>>(), [7, 8, 5]);
            assert_eq!(units[2].ends_with(&TRAILER), trailer.is_some());
        }
    }
}
