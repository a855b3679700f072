//! Sequence number and timestamp arithmetic: comparison across wrap-around (RFC 1982) and unwrapping to 64 bits.

/// A counter on the wire that wraps: `u16` sequence numbers, `u32` timestamps.
pub trait Counter: Copy {
    const BITS: u32;
    fn widen(self) -> u64;
}

impl Counter for u16 {
    const BITS: u32 = u16::BITS;
    fn widen(self) -> u64 {
        u64::from(self)
    }
}

impl Counter for u32 {
    const BITS: u32 = u32::BITS;
    fn widen(self) -> u64 {
        u64::from(self)
    }
}

/// How far `to` is after `from` by the shorter way round; negative when it is before. Exactly half way is before.
pub fn distance<T: Counter>(from: T, to: T) -> i64 {
    let cycle = 1i64 << T::BITS;
    let forward = to.widen().wrapping_sub(from.widen()) as i64 & (cycle - 1);
    if forward < cycle / 2 { forward } else { forward - cycle }
}

/// True if `a` comes after `b`.
pub fn is_newer<T: Counter>(a: T, b: T) -> bool {
    distance(b, a) > 0
}

/// Extends a wrapping counter to 64 bits, tolerant to reordering by up to half the counter's range.
///
/// Counting starts in cycle 1, not 0, so that what precedes the first value seen has a number too: the low bits are
/// always those of the value on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwrapper<T> {
    /// The newest extended value; `None` before the first.
    newest: Option<u64>,
    counter: std::marker::PhantomData<T>,
}

impl<T: Counter> Unwrapper<T> {
    pub const fn new() -> Self {
        Unwrapper { newest: None, counter: std::marker::PhantomData }
    }

    /// The newest extended value so far.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// The extended value, and from now on the newest if it is.
    pub fn unwrap(&mut self, value: T) -> u64 {
        let extended = self.peek(value);
        self.newest = self.newest.max(Some(extended));
        extended
    }

    /// The extended value without remembering it.
    pub fn peek(&self, value: T) -> u64 {
        let Some(newest) = self.newest else { return (1 << T::BITS) + value.widen() };
        let cycle = 1u64 << T::BITS;
        let forward = value.widen().wrapping_sub(newest) & (cycle - 1);
        let extended = newest + forward;
        if forward < cycle / 2 { extended } else { extended - cycle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compares_across_the_wrap() {
        let cases: &[(u16, u16, i64)] =
            &[(1, 1, 0), (1, 2, 1), (2, 1, -1), (65535, 0, 1), (0, 65535, -1), (0, 32767, 32767), (0, 32768, -32768)];
        for (from, to, expected) in cases {
            assert_eq!(distance(*from, *to), *expected, "{from} to {to}");
            assert_eq!(is_newer(*to, *from), *expected > 0, "{to} after {from}");
        }
        assert_eq!(distance(u32::MAX, 4), 5);
        assert_eq!(distance(4, u32::MAX), -5);
    }

    #[test]
    fn extends_over_wraps_and_reordering() {
        let mut unwrapper = Unwrapper::<u16>::new();
        let cycle = 1u64 << 16;
        let steps = [
            (5, cycle + 5),
            (65530, 65530),
            (3, cycle + 3),
            (30000, cycle + 30000),
            (60000, cycle + 60000),
            (2, 2 * cycle + 2),
            (65535, cycle + 65535),
            (3, 2 * cycle + 3),
        ];
        for (value, expected) in steps {
            assert_eq!(unwrapper.peek(value), expected, "{value}");
            assert_eq!(unwrapper.unwrap(value), expected, "{value}");
        }
        assert_eq!(unwrapper.newest(), Some(2 * cycle + 3));
    }

    proptest! {
        #[test]
        fn follows_steps_below_half_the_range(
            start: u32, steps in proptest::collection::vec(-0x7FFF_0000i64..0x7FFF_0000, 1..50),
        ) {
            let mut unwrapper = Unwrapper::<u32>::new();
            let mut newest = i128::from(unwrapper.unwrap(start));
            for step in steps {
                let truth = newest + i128::from(step);
                prop_assert_eq!(i128::from(unwrapper.unwrap(truth as u32)), truth);
                newest = newest.max(truth);
            }
        }

        #[test]
        fn distance_is_the_shorter_way(from: u16, to: u16) {
            let distance = distance(from, to);
            prop_assert!((-32768..32768).contains(&distance));
            prop_assert_eq!(from.wrapping_add(distance as u16), to);
        }
    }
}
