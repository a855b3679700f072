//! Packet indices: 48-bit numbers estimated from 16-bit sequence numbers (RFC 3711 §3.3.1), and the window that knows
//! which were used (§3.3.2), kept as a ring of bits (RFC 6479).

/// Words of the window's ring.
const WORDS: usize = 16;

/// Packet indices are below this: 32 bits of roll-over counter and 16 of sequence number.
const END: u64 = 1 << 48;

/// The index nearest to `highest` whose low bits are `sequence`. `None` if it would lie before the first packet ever or
/// after the last one possible.
pub(super) fn estimate(highest: Option<u64>, sequence: u16) -> Option<u64> {
    let Some(highest) = highest else { return Some(u64::from(sequence)) };
    let ahead = sequence.wrapping_sub(highest as u16) as i16;
    highest.checked_add_signed(i64::from(ahead)).filter(|index| *index < END)
}

/// Which of the last 960 or more indices were used.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    highest: Option<u64>,
    used: [u64; WORDS],
}

/// What a window knows of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Unused,
    Used,
    /// Too old to tell.
    Unknown,
}

impl Window {
    /// A window that takes everything up to and including `highest` for too old.
    pub fn after(highest: u64) -> Window {
        let mut used = [u64::MAX; WORDS];
        used[slot(highest)] >>= 63 - highest % 64;
        Window { highest: Some(highest), used }
    }

    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    pub fn look_up(&self, index: u64) -> Use {
        match self.highest {
            None => Use::Unused,
            Some(highest) if index > highest => Use::Unused,
            Some(highest) if word(highest) - word(index) >= WORDS as u64 => Use::Unknown,
            Some(_) if self.used[slot(index)] & bit(index) == 0 => Use::Unused,
            Some(_) => Use::Used,
        }
    }

    /// Marks an index used that [`Window::look_up`] called unused.
    pub fn mark(&mut self, index: u64) {
        if self.highest.is_none_or(|highest| index > highest) {
            self.advance(index);
        }
        self.used[slot(index)] |= bit(index);
    }

    /// Clears the words entered on the way to a new highest index.
    fn advance(&mut self, index: u64) {
        let from = self.highest.map_or(0, |highest| word(highest) + 1);
        let entered = (word(index) + 1).saturating_sub(from).min(WORDS as u64);
        (0..entered).for_each(|back| self.used[((word(index) - back) % WORDS as u64) as usize] = 0);
        self.highest = Some(index);
    }
}

fn word(index: u64) -> u64 {
    index / 64
}

fn slot(index: u64) -> usize {
    (word(index) % WORDS as u64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn estimates() {
        let cases = [
            (None, 65_535, Some(65_535)),
            (Some(10), 11, Some(11)),
            (Some(10), 9, Some(9)),
            (Some(65_535), 0, Some(65_536)),
            (Some(65_536), 65_535, Some(65_535)),
            (Some(3), 65_535, None),
            (Some(0x1_8000), 0x7fff, Some(0x1_7fff)),
            (Some(END - 1), 0, None),
        ];
        for (highest, sequence, expected) in cases {
            assert_eq!(estimate(highest, sequence), expected, "{highest:?} {sequence}");
        }
    }

    #[test]
    fn a_fresh_start_knows_nothing_older() {
        let window = Window::after(500);
        assert_eq!(window.look_up(499), Use::Used);
        let mut window = window;
        window.mark(502);
        assert_eq!([500, 501, 502].map(|i| window.look_up(i)), [Use::Used, Use::Unused, Use::Used]);
    }

    proptest! {
        /// The estimate is right whenever the true index is within half the sequence space.
        #[test]
        fn estimate_finds_near_indices(highest in 0x1_0000_u64..END - 0x1_0000, ahead in -0x7fff_i64..0x7fff) {
            let index = highest.checked_add_signed(ahead).unwrap();
            prop_assert_eq!(estimate(Some(highest), index as u16), Some(index));
        }

        /// Against a plain set: an index is called unused only if it never was, and anything recent is known.
        #[test]
        fn window_matches_a_set(start in 0_u64..1 << 20, steps in prop::collection::vec(-1500_i64..1500, 1..300)) {
            let (mut window, mut set, mut at) = (Window::default(), HashSet::new(), start);
            for step in steps {
                at = at.saturating_add_signed(step);
                let known = window.look_up(at);
                prop_assert!(known != Use::Unused || !set.contains(&at));
                if window.highest().is_none_or(|h| at + 960 > h) {
                    prop_assert_eq!(known == Use::Used, set.contains(&at));
                }
                if known == Use::Unused {
                    window.mark(at);
                    set.insert(at);
                }
            }
        }
    }
}
