//! What H.264 and H.265 have in common: aggregated NAL units (RFC 6184 §5.7.1, RFC 7798 §4.4.2) and parameter sets
//! without emulation prevention (H.264 §7.4.1.1).

/// The whole NAL units in a packet: those of an aggregate, or the packet itself. Ends at the first that does not fit.
pub struct NalUnits<'a> {
    single: Option<&'a [u8]>,
    /// Units each with a length in front.
    aggregated: &'a [u8],
}

impl<'a> NalUnits<'a> {
    pub fn single(unit: &'a [u8]) -> Self {
        NalUnits { single: Some(unit), aggregated: &[] }
    }

    pub fn aggregated(units: &'a [u8]) -> Self {
        NalUnits { single: None, aggregated: units }
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(single) = self.single.take() {
            return Some(single);
        }
        let (length, rest) = self.aggregated.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.aggregated = rest;
        Some(unit)
    }
}

/// As much of a sequence parameter set as its picture size can need: scaling lists and profiles come before the size.
const BYTES_MAX: usize = 512;

/// The front of a NAL unit's payload with the 3 of each `00 00 03` left out.
pub struct Unescaped {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl Unescaped {
    pub fn new(escaped: &[u8]) -> Unescaped {
        let mut unescaped = Unescaped { bytes: [0; BYTES_MAX], length: 0 };
        let mut zeros = 0;
        for &byte in escaped {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            let Some(place) = unescaped.bytes.get_mut(unescaped.length) else { break };
            *place = byte;
            unescaped.length += 1;
        }
        unescaped
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_emulation_prevention_only() {
        let cases: &[(&[u8], &[u8])] = &[
            (&[], &[]),
            (&[1, 0, 0, 3, 1], &[1, 0, 0, 1]),
            (&[0, 0, 3, 0, 0, 3], &[0, 0, 0, 0]),
            (&[0, 3, 0, 0, 0, 3, 3], &[0, 3, 0, 0, 0, 3]),
        ];
        for (escaped, expected) in cases {
            assert_eq!(Unescaped::new(escaped).bytes(), *expected, "{escaped:?}");
        }
    }

    #[test]
    fn keeps_no_more_than_a_size_can_need() {
        assert_eq!(Unescaped::new(&[9; 2000]).bytes(), [9; BYTES_MAX]);
    }
}
