//! RTP payloads: the first byte chooses the codec, all that a forwarder asks of it must hold.
#![no_main]

use lkops::wire::codec::{Codec, av1, h264, h265, is_key_frame, key_frame_size, opus, vp8, vp9};

const CODECS: [Codec; 6] = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Opus];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, payload)) = bytes.split_first() else { return };
    let codec = CODECS[usize::from(*choice) % CODECS.len()];
    is_key_frame(codec, payload);
    key_frame_size(codec, payload);
    match codec {
        Codec::Vp8 => rewrite_vp8(payload),
        Codec::Vp9 => assert!(vp9::Descriptor::parse(payload).is_none_or(|d| d.bytes <= payload.len())),
        Codec::H264 => assert!(h264::key_frame_size(payload).is_none() || h264::is_key_frame(payload)),
        Codec::H265 => assert!(h265::key_frame_size(payload).is_none() || h265::is_key_frame(payload)),
        Codec::Av1 => assert!(av1::elements(payload).filter_map(av1::layer).all(|(tid, sid)| tid < 8 && sid < 4)),
        _ => assert!(opus::samples(payload).is_none_or(|samples| samples <= 5760)),
    }
});

fn rewrite_vp8(payload: &[u8]) {
    let before = vp8::Descriptor::parse(payload);
    let mut rewritten = payload.to_vec();
    vp8::rewrite(&mut rewritten, &vp8::Numbers { picture_id: 0x5A5A, tl0_pic_idx: 0x5A, key_idx: 0x1A });
    let after = vp8::Descriptor::parse(&rewritten);
    assert_eq!(before.map(|d| d.bytes), after.map(|d| d.bytes));
    let bytes = before.map_or(0, |descriptor| descriptor.bytes);
    assert_eq!(payload[bytes..], rewritten[bytes..], "the data after the descriptor stays");
}
