//! Bytes over a sliding window: what is sent, and what arrives.

const BUCKET_US: i64 = 25_000;
const BUCKETS: usize = 40;

/// The last second, in buckets.
#[derive(Clone, Debug)]
pub struct RateWindow {
    bytes: [u32; BUCKETS],
    /// First bucket ever and the newest, counted since the epoch.
    span: Option<(i64, i64)>,
}

impl Default for RateWindow {
    fn default() -> RateWindow {
        RateWindow { bytes: [0; BUCKETS], span: None }
    }
}

impl RateWindow {
    /// Counts bytes at a time, which may be a little earlier than that of the newest.
    pub fn add(&mut self, at_us: i64, bytes: usize) {
        let bucket = at_us.div_euclid(BUCKET_US);
        let (first, newest) = self.span.unwrap_or((bucket, bucket));
        if bucket <= newest - BUCKETS as i64 {
            return;
        }
        let stale = (newest + 1..=bucket).take(BUCKETS);
        stale.for_each(|b| self.bytes[slot(b)] = 0);
        self.bytes[slot(bucket)] = self.bytes[slot(bucket)].saturating_add(bytes as u32);
        self.span = Some((first, newest.max(bucket)));
    }

    /// Bits per second over the last whole buckets of `span_us` before the newest; `None` until half as much was seen.
    pub fn latest(&self, span_us: i64) -> Option<f64> {
        let (_, newest) = self.span?;
        self.before(newest, span_us)
    }

    /// The same before a time.
    pub fn at(&self, now_us: i64, span_us: i64) -> Option<f64> {
        self.before(now_us.div_euclid(BUCKET_US), span_us)
    }

    fn before(&self, end: i64, span_us: i64) -> Option<f64> {
        let (first, newest) = self.span?;
        let wanted = (span_us / BUCKET_US).clamp(1, BUCKETS as i64 - 1);
        let buckets = wanted.min(end - first);
        if buckets * 2 < wanted {
            return None;
        }
        let held = (end - buckets).max(newest + 1 - BUCKETS as i64)..end.min(newest + 1);
        let bytes: u64 = held.map(|b| u64::from(self.bytes[slot(b)])).sum();
        Some(bytes as f64 * 8_000_000.0 / (buckets * BUCKET_US) as f64)
    }
}

fn slot(bucket: i64) -> usize {
    bucket.rem_euclid(BUCKETS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_in_every_window() {
        let mut window = RateWindow::default();
        assert_eq!(window.latest(100_000), None);
        (0..300).for_each(|n| window.add(n * 5_000, 625));
        for span in [100_000, 500_000, 900_000] {
            assert_eq!(window.latest(span), Some(1_000_000.0), "{span}");
        }
        assert_eq!(window.at(1_500_000 + 250_000, 500_000), Some(500_000.0), "half of it silent");
        assert_eq!(window.at(9_000_000, 500_000), Some(0.0));
    }

    #[test]
    fn a_gap_empties_it_and_late_bytes_still_count() {
        let mut window = RateWindow::default();
        (0..100).for_each(|n| window.add(n * 10_000, 1_000));
        window.add(5_000_000, 1_000);
        assert_eq!(window.latest(500_000), Some(0.0));
        window.add(4_900_000, 6_250);
        assert_eq!(window.latest(500_000), Some(100_000.0));
    }
}
