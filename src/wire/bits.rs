//! Single bits read and written, for what codecs and the dependency descriptor pack tighter than bytes.

/// Reads from the highest bit of the first byte on; every read past the end is `None`.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, position: 0 }
    }

    /// Bits read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    pub fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// The next `count` bits, at most 32.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// As [`BitReader::bits`], for up to 8 bits.
    pub fn small(&mut self, count: u32) -> Option<u8> {
        self.bits(count).map(|value| value as u8)
    }

    /// An Exp-Golomb number (ue(v), H.264 §9.1); `None` beyond 32 bits.
    pub fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A signed Exp-Golomb number (se(v), H.264 §9.1.1).
    pub fn signed_exp_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.exp_golomb()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { magnitude } else { -magnitude }).ok()
    }

    /// A number below `limit` in as few bits as that allows (ns(n), AV1 §4.10.7). `None` if `limit` is 0.
    pub fn below(&mut self, limit: u32) -> Option<u32> {
        let width = u32::BITS - limit.leading_zeros();
        let short = (1u64 << width).checked_sub(u64::from(limit))? as u32;
        let value = self.bits(width.checked_sub(1)?)?;
        if value < short { Some(value) } else { Some((value << 1) - short + u32::from(self.bit()?)) }
    }
}

/// Writes from the highest bit of the first byte on, over zeros it puts there itself.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Bits written so far.
    position: usize,
}

impl<'a> BitWriter<'a> {
    pub fn new(out: &'a mut [u8]) -> Self {
        BitWriter { out, position: 0 }
    }

    /// Bytes begun; the unused bits of the last are zero.
    pub fn bytes(&self) -> usize {
        self.position.div_ceil(8)
    }

    pub fn bit(&mut self, bit: bool) -> Option<()> {
        let byte = self.out.get_mut(self.position / 8)?;
        if self.position.is_multiple_of(8) {
            *byte = 0;
        }
        *byte |= u8::from(bit) << (7 - self.position % 8);
        self.position += 1;
        Some(())
    }

    /// The low `count` bits, at most 32; `None` if `value` needs more.
    pub fn bits(&mut self, value: u32, count: u32) -> Option<()> {
        if u64::from(value) >> count != 0 {
            return None;
        }
        (0..count).rev().try_for_each(|index| self.bit(value >> index & 1 == 1))
    }

    /// As [`BitReader::below`] reads it; `None` unless `value < limit`.
    pub fn below(&mut self, value: u32, limit: u32) -> Option<()> {
        if value >= limit {
            return None;
        }
        let width = u32::BITS - limit.leading_zeros();
        let short = ((1u64 << width) - u64::from(limit)) as u32;
        if value < short { self.bits(value, width - 1) } else { self.bits(value + short, width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_known_codes() {
        // ue(v) 0, 1, 2, 3 and se(v) +1, -1: 1 010 011 00100 010 011
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0100, 0b1100_0000]);
        assert_eq!([0; 4].map(|_| bits.exp_golomb()), [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!([0; 2].map(|_| bits.signed_exp_golomb()), [Some(1), Some(-1)]);
        // ns(5): 0 and 2 in two bits, 3 and 4 in three.
        let mut bits = BitReader::new(&[0b0010_1101, 0b1100_0000]);
        assert_eq!([0; 4].map(|_| bits.below(5)), [Some(0), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn ends_where_the_bytes_end() {
        let mut bits = BitReader::new(&[0xFF]);
        assert_eq!(bits.bits(9), None);
        assert_eq!(BitReader::new(&[0; 100]).exp_golomb(), None);
        assert_eq!(BitReader::new(&[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).exp_golomb(), None);
        assert_eq!(BitReader::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE]).exp_golomb(), Some(u32::MAX - 1));
        assert_eq!(BitReader::new(&[]).below(1), Some(0));
        assert_eq!(BitReader::new(&[0xFF]).below(0), None);
        assert_eq!(BitWriter::new(&mut [0; 1]).bits(0, 9), None);
        assert_eq!(BitWriter::new(&mut [0; 1]).bits(4, 2), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::vec((any::<u32>(), 1u32..=32, 1u32..), 1..20)) {
            let mut out = [0xAA; 200];
            let mut writer = BitWriter::new(&mut out);
            for (value, count, limit) in &numbers {
                writer.bits(value >> (32 - count), *count).unwrap();
                writer.below(value % limit, *limit).unwrap();
            }
            let bytes = writer.bytes();
            let mut reader = BitReader::new(&out[..bytes]);
            for (value, count, limit) in &numbers {
                prop_assert_eq!(reader.bits(*count), Some(value >> (32 - count)));
                prop_assert_eq!(reader.below(*limit), Some(value % limit));
            }
        }
    }
}
