//! The receiver's own estimate (REMB). It is about half again what arrives, however little that is, so it counts only once
//! it has fallen below what is sent.

use crate::media::bitrate::Bitrate;

/// Below this share of what is sent the receiver sees congestion.
const CONGESTED: f64 = 0.85;
/// A limit that is this many times what is sent limits nothing.
const IRRELEVANT: f64 = 20.0;

#[derive(Clone, Copy, Debug, Default)]
pub struct RemoteEstimate {
    last: Option<Bitrate>,
    limit: Option<Bitrate>,
}

impl RemoteEstimate {
    pub fn is_known(&self) -> bool {
        self.last.is_some()
    }

    pub fn limit(&self) -> Bitrate {
        self.limit.unwrap_or(Bitrate::UNLIMITED)
    }

    /// Takes an estimate in and answers whether it tells of congestion.
    pub fn handle(&mut self, estimate: Bitrate, sending: Bitrate) -> bool {
        self.last = Some(estimate);
        let congested = estimate < sending.scaled(CONGESTED);
        let lifted = estimate.as_f64() > sending.as_f64() * IRRELEVANT && sending > Bitrate::ZERO;
        if lifted {
            self.limit = None;
        } else if congested || self.limit.is_some() {
            self.limit = Some(estimate);
        }
        congested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_only_after_congestion() {
        // (estimate, sending, told as congestion, limit) in kbit/s
        let steps = [
            (900, 1_000, false, None),
            (1_500, 1_000, false, None),
            (600, 1_000, true, Some(600)),
            (650, 500, false, Some(650)),
            (800, 500, false, Some(800)),
            (10_001, 500, false, None),
        ];
        let mut remote = RemoteEstimate::default();
        for (estimate, sending, congested, limit) in steps {
            assert_eq!(remote.handle(Bitrate::kbps(estimate), Bitrate::kbps(sending)), congested, "{estimate}");
            assert_eq!(remote.limit(), limit.map_or(Bitrate::UNLIMITED, Bitrate::kbps), "{estimate}");
        }
    }
}
