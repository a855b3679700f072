//! From feedback to delay variations: a receiver's clock, and packets gathered into the bursts they were sent in
//! (draft-ietf-rmcat-gcc-02 §5.1-5.2).

/// Packets sent within this time are one burst.
const BURST_US: i64 = 5_000;
/// A burst that a queue stretched is not drawn out beyond this.
const BURST_STRETCH_US: i64 = 100_000;
/// A receiver's clock that moves this much more than ours was changed.
const CLOCK_JUMP_US: i64 = 3_000_000;
/// Bursts in a row that arrive before their predecessors, after which all is begun anew.
const REORDERED_MAX: u8 = 3;
const REFERENCE_US: i64 = 64_000;
pub const TICK_US: i64 = 250;

/// Unwraps the 24-bit reference times of feedback.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceClock {
    last: Option<i64>,
}

impl ReferenceClock {
    /// The reference time in us on the receiver's clock.
    pub fn unwrap_us(&mut self, reference: i32) -> i64 {
        let reference = i64::from(reference);
        let last = self.last.unwrap_or(reference);
        let step = ((reference - last) << 40) >> 40;
        self.last = Some(last + step);
        (last + step) * REFERENCE_US
    }
}

/// How much further apart two bursts were when they arrived than when they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    pub sent_us: i64,
    pub arrived_us: i64,
    /// When the later burst was complete, on the receiver's clock.
    pub at_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    first_sent: i64,
    sent: i64,
    first_arrived: i64,
    arrived: i64,
}

impl Burst {
    fn of(sent: i64, arrived: i64) -> Burst {
        Burst { first_sent: sent, sent, first_arrived: arrived, arrived }
    }

    fn takes(&self, sent: i64, arrived: i64) -> bool {
        if sent - self.first_sent <= BURST_US {
            return true;
        }
        let apart = arrived - self.arrived;
        let caught_up = apart - (sent - self.sent) < 0;
        caught_up && apart <= BURST_US && arrived - self.first_arrived < BURST_STRETCH_US
    }
}

/// Gathers packets into bursts.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    current: Option<Burst>,
    previous: Option<Burst>,
    reordered: u8,
}

impl Bursts {
    /// Takes a packet in; when it begins a burst and two are complete, answers how those vary.
    pub fn observe(&mut self, sent: i64, arrived: i64) -> Option<Variation> {
        let Some(current) = &mut self.current else {
            self.current = Some(Burst::of(sent, arrived));
            return None;
        };
        if sent < current.first_sent {
            return None;
        }
        if current.takes(sent, arrived) {
            current.sent = current.sent.max(sent);
            current.arrived = current.arrived.max(arrived);
            return None;
        }
        let complete = *current;
        let variation = self.previous.and_then(|previous| self.variation(&previous, &complete));
        if self.current.is_some() {
            self.previous = Some(complete);
            self.current = Some(Burst::of(sent, arrived));
        }
        variation
    }

    fn variation(&mut self, previous: &Burst, complete: &Burst) -> Option<Variation> {
        let sent_us = complete.sent - previous.sent;
        let arrived_us = complete.arrived - previous.arrived;
        if (arrived_us - sent_us).abs() > CLOCK_JUMP_US {
            self.restart();
            return None;
        }
        if arrived_us < 0 {
            self.reordered += 1;
            if self.reordered >= REORDERED_MAX {
                self.restart();
            }
            return None;
        }
        self.reordered = 0;
        Some(Variation { sent_us, arrived_us, at_us: complete.arrived })
    }

    pub fn restart(&mut self) {
        *self = Bursts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_times_wrap() {
        let mut clock = ReferenceClock::default();
        assert_eq!(clock.unwrap_us(0x7F_FFFF), 0x7F_FFFF * REFERENCE_US);
        assert_eq!(clock.unwrap_us(-0x80_0000), 0x80_0000 * REFERENCE_US);
        assert_eq!(clock.unwrap_us(0x7F_FFFE), 0x7F_FFFE * REFERENCE_US, "a late one");
    }

    /// Packets (sent ms, arrived ms) and the variations of bursts (sent, arrived) that follow.
    fn variations(packets: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut bursts = Bursts::default();
        let us = packets.iter().filter_map(|(sent, arrived)| bursts.observe(sent * 1_000, arrived * 1_000));
        us.map(|v| (v.sent_us / 1_000, v.arrived_us / 1_000)).collect()
    }

    #[test]
    fn frames_are_compared_as_bursts() {
        let frames = [(0, 50), (1, 52), (33, 83), (34, 90), (66, 116), (67, 130), (99, 150)];
        assert_eq!(variations(&frames), [(33, 38), (33, 40)]);
    }

    #[test]
    fn packets_that_caught_up_belong_to_the_burst_they_waited_behind() {
        let stalled = [(0, 10), (20, 30), (40, 200), (60, 201), (80, 202), (120, 240), (150, 270), (200, 320)];
        assert_eq!(variations(&stalled), [(20, 20), (60, 172), (40, 38), (30, 30)]);
    }

    #[test]
    fn clock_jumps_and_reordering_begin_anew() {
        let mut jumped: Vec<(i64, i64)> = (0..5).map(|n| (n * 20, n * 20)).collect();
        jumped.extend((5..9).map(|n| (n * 20, n * 20 + 9_000)));
        assert!(variations(&jumped).iter().all(|v| *v == (20, 20)));
        let back: Vec<(i64, i64)> = (0..10).map(|n| (n * 20, 1_000 - n * 20)).collect();
        assert_eq!(variations(&back), []);
    }
}
