//! What every synthetic payload ends with: which packet of which frame it is and when it was sent, so that a receiver can
//! tell loss, order and delay without decoding. Written by `media`, read by `incoming`. The last bytes are used because
//! what stands before them is the codec's.

/// The length of a stamp in bytes.
pub const STAMP_BYTES: usize = 28;

const MAGIC: [u8; 4] = *b"lkop";
const KEY: u8 = 1;
const SCALABLE: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the packets of one encoding.
    pub number: u32,
    /// Counts its frames.
    pub frame: u32,
    /// Place in the frame, and how many packets the frame has.
    pub index: u16,
    pub count: u16,
    /// Encoding of a simulcast track or spatial layer of a scalable one, 0 the lowest.
    pub layer: u8,
    /// The layers of a picture come together, with one frame number.
    pub scalable: bool,
    pub key_frame: bool,
    /// Microseconds since 1970.
    pub sent_us: u64,
}

impl Stamp {
    /// Writes it over the last bytes; a payload that is too short stays as it is.
    pub fn write(&self, payload: &mut [u8]) {
        let Some(place) = payload.last_chunk_mut::<STAMP_BYTES>() else { return };
        place[..4].copy_from_slice(&MAGIC);
        place[4..8].copy_from_slice(&self.number.to_be_bytes());
        place[8..12].copy_from_slice(&self.frame.to_be_bytes());
        place[12..14].copy_from_slice(&self.index.to_be_bytes());
        place[14..16].copy_from_slice(&self.count.to_be_bytes());
        let flags = if self.key_frame { KEY } else { 0 } | if self.scalable { SCALABLE } else { 0 };
        place[16..20].copy_from_slice(&[self.layer, flags, 0, 0]);
        place[20..].copy_from_slice(&self.sent_us.to_be_bytes());
    }

    /// `None` for a payload that is not ours.
    pub fn read(payload: &[u8]) -> Option<Stamp> {
        let (magic, rest) = payload.last_chunk::<STAMP_BYTES>()?.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (frame, rest) = rest.split_first_chunk::<4>()?;
        let (index, rest) = rest.split_first_chunk::<2>()?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let ([layer, flags, ..], rest) = rest.split_first_chunk::<4>()?;
        (*magic == MAGIC).then_some(Stamp {
            number: u32::from_be_bytes(*number),
            frame: u32::from_be_bytes(*frame),
            index: u16::from_be_bytes(*index),
            count: u16::from_be_bytes(*count),
            layer: *layer,
            scalable: flags & SCALABLE != 0,
            key_frame: flags & KEY != 0,
            sent_us: u64::from_be_bytes(*rest.first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_written_whatever_stands_before() {
        let stamp = Stamp {
            number: 1 << 20,
            frame: 77,
            index: 2,
            count: 9,
            layer: 2,
            scalable: true,
            key_frame: true,
            sent_us: u64::MAX - 1,
        };
        for before in [0, 1, 500] {
            let mut payload = vec![0xAB; before + STAMP_BYTES];
            stamp.write(&mut payload);
            assert_eq!(Stamp::read(&payload), Some(stamp));
            assert!(payload[..before].iter().all(|b| *b == 0xAB));
        }
    }

    #[test]
    fn foreign_payloads_have_none() {
        assert_eq!(Stamp::read(&[0; 100]), None);
        assert_eq!(Stamp::read(b"lkop"), None);
        let mut short = [7; STAMP_BYTES - 1];
        Stamp { number: 0, frame: 0, index: 0, count: 1, layer: 0, scalable: false, key_frame: false, sent_us: 0 }
            .write(&mut short);
        assert_eq!(short, [7; STAMP_BYTES - 1]);
    }
}
