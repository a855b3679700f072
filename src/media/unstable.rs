//! Whether a path loses so much that another is worth trying (WIRE.md §3.8). Told by the shard of each receiver report.

/// Loss of 256 from which a report counts: a quarter.
const LOSS: u8 = 64;
/// So many of the last 32 reports must count.
const REPORTS: u32 = 20;

/// The last 32 receiver reports of one subscriber, the newest in bit 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossHistory(u32);

impl LossHistory {
    /// Notes the worst loss a report tells of. True if the path has become too bad, which is then forgotten.
    pub fn observe(&mut self, fraction_lost: u8) -> bool {
        self.0 = self.0 << 1 | u32::from(fraction_lost >= LOSS);
        let is_bad = self.0.count_ones() >= REPORTS;
        if is_bad {
            *self = LossHistory::default();
        }
        is_bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_bad_reports_of_thirty_two_are_too_many() {
        let bad_at = |loss: fn(u32) -> u8| {
            let mut history = LossHistory::default();
            (0..300).position(|n| history.observe(loss(n)))
        };
        assert_eq!(bad_at(|_| 64), Some(19));
        assert_eq!(bad_at(|_| 63), None);
        assert_eq!(bad_at(|n| if n % 8 < 5 { 255 } else { 0 }), Some(28), "20 of 29");
        assert_eq!(bad_at(|n| if n % 2 == 0 { 255 } else { 0 }), None);
    }

    #[test]
    fn it_is_told_once_a_history() {
        let mut history = LossHistory::default();
        assert_eq!((0..60).filter(|_| history.observe(255)).count(), 3);
    }
}
