//! Opus payloads: how much audio a packet holds, and whether it is only a sign of silence (RFC 6716 §3).

/// Samples at 48 kHz an Opus packet may hold at most: 120 ms.
const SAMPLES_MAX: u32 = 5760;
/// A packet this short holds no audio, only the mark of discontinuous transmission.
const DTX_BYTES_MAX: usize = 2;

/// Duration of a packet's audio in samples at 48 kHz.
pub fn samples(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frames = match toc & 0x03 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 0x3F),
    };
    let samples = frames * frame_samples(toc >> 3);
    (1..=SAMPLES_MAX).contains(&samples).then_some(samples)
}

/// Samples of one frame, by configuration number (RFC 6716 table 2).
fn frame_samples(configuration: u8) -> u32 {
    match configuration {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 => [480, 960, 1920, 2880][usize::from(configuration & 3)],
        // Hybrid: 10, 20 ms.
        12..=15 => [480, 960][usize::from(configuration & 1)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(configuration & 3)],
    }
}

/// True if the packet only marks silence.
pub fn is_dtx(payload: &[u8]) -> bool {
    payload.len() <= DTX_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_follow_the_table() {
        let cases: &[(&str, &[u8], Option<u32>)] = &[
            ("silence frame", &[0xF8, 0xFF, 0xFE], Some(960)),
            ("silk 60 ms", &[3 << 3], Some(2880)),
            ("hybrid 10 ms", &[12 << 3], Some(480)),
            ("celt 2.5 ms", &[16 << 3], Some(120)),
            ("two frames", &[(31 << 3) | 1], Some(1920)),
            ("three frames", &[(31 << 3) | 3, 3], Some(2880)),
            ("beyond 120 ms", &[(31 << 3) | 3, 7], None),
            ("no frames", &[(31 << 3) | 3, 0], None),
            ("no frame count", &[(31 << 3) | 3], None),
            ("nothing", &[], None),
        ];
        for (name, payload, expected) in cases {
            assert_eq!(samples(payload), *expected, "{name}");
        }
    }

    #[test]
    fn very_short_packets_only_mark_silence() {
        assert!(is_dtx(&[0xF8]));
        assert!(!is_dtx(&[0xF8, 0xFF, 0xFE]));
    }

    proptest! {
        #[test]
        fn any_duration_is_legal(payload in proptest::collection::vec(any::<u8>(), 0..4)) {
            prop_assert!(samples(&payload).is_none_or(|samples| samples <= SAMPLES_MAX && samples % 120 == 0));
        }
    }
}
