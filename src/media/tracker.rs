//! Whether a layer of a video track flows, judged by packets per cycle (WIRE.md §4.9). Kept by `up_track`, one a layer.

use std::time::{Duration, Instant};

/// When a layer counts as flowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerRule {
    pub cycle: Duration,
    /// Packets a cycle needs.
    pub samples: u32,
    /// Good cycles in a row until a layer that stopped flows again.
    pub cycles: u32,
}

impl TrackerRule {
    pub fn of(spatial: u8, is_screen_share: bool) -> TrackerRule {
        let rule = |cycle_ms, samples, cycles| TrackerRule { cycle: Duration::from_millis(cycle_ms), samples, cycles };
        match (is_screen_share, spatial) {
            (true, _) => rule(2_000, 1, 1),
            (false, 0) => rule(500, 1, 4),
            (false, _) => rule(500, 5, 20),
        }
    }
}

/// One layer's state. It flows from its first packet, and stops with the first full cycle that is too thin.
#[derive(Clone, Debug)]
pub struct StreamTracker {
    rule: TrackerRule,
    /// `None` until the first packet.
    cycle_ends: Option<Instant>,
    packets: u32,
    good_cycles: u32,
    flows: bool,
}

impl StreamTracker {
    pub fn new(rule: TrackerRule) -> StreamTracker {
        StreamTracker { rule, cycle_ends: None, packets: 0, good_cycles: 0, flows: false }
    }

    pub fn flows(&self) -> bool {
        self.flows
    }

    /// Notes a packet. A key frame starts a stopped layer at once: somebody asked for it and got it.
    pub fn observe(&mut self, now: Instant, key_frame: bool) {
        self.handle_timeout(now);
        if self.cycle_ends.is_none() || (key_frame && !self.flows) {
            self.cycle_ends = Some(now + self.rule.cycle);
            self.flows = true;
            self.packets = 0;
        }
        self.packets += 1;
    }

    /// Ends the cycles that are over.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(ends) = self.cycle_ends.filter(|ends| *ends <= now) else { return };
        self.end_cycle();
        if now - ends >= self.rule.cycle {
            self.end_cycle();
        }
        self.cycle_ends = Some(now + self.rule.cycle);
    }

    fn end_cycle(&mut self) {
        let good = self.packets >= self.rule.samples;
        self.good_cycles = if good { self.good_cycles.saturating_add(1) } else { 0 };
        self.flows = good && (self.flows || self.good_cycles >= self.rule.cycles);
        self.packets = 0;
    }

    /// The publisher stopped on purpose (mute): judge anew from the next packet.
    pub fn reset(&mut self) {
        *self = StreamTracker::new(self.rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs packets at that spacing over a time span, returns when the state changed, in ms.
    fn run(
        tracker: &mut StreamTracker,
        start: Instant,
        span_ms: std::ops::Range<u64>,
        spacing: Option<u64>,
    ) -> Vec<u64> {
        let mut changes = Vec::new();
        for at in span_ms {
            let before = tracker.flows();
            let now = start + Duration::from_millis(at);
            tracker.handle_timeout(now);
            if spacing.is_some_and(|spacing| at % spacing == 0) {
                tracker.observe(now, false);
            }
            if tracker.flows() != before {
                changes.push(at);
            }
        }
        changes
    }

    #[test]
    fn layers_start_at_once_stop_after_a_cycle_and_return_slowly() {
        for (spatial, returns_after) in [(0, 2_000), (1, 10_000), (2, 10_000)] {
            let start = super::super::test_epoch();
            let mut tracker = StreamTracker::new(TrackerRule::of(spatial, false));
            assert_eq!(run(&mut tracker, start, 0..5_000, Some(33)), [0]);
            let stopped = run(&mut tracker, start, 5_000..7_000, None);
            assert_eq!(stopped.len(), 1);
            assert!((5_500..=6_000).contains(&stopped[0]), "{stopped:?}");
            let back = run(&mut tracker, start, 7_000..20_000, Some(33));
            assert_eq!(back.len(), 1);
            assert!(back[0] >= 7_000 + returns_after - 500 && back[0] <= 7_500 + returns_after, "{spatial}: {back:?}");
        }
    }

    #[test]
    fn a_thin_upper_layer_does_not_flow_but_a_thin_screen_share_does() {
        let start = super::super::test_epoch();
        let mut camera = StreamTracker::new(TrackerRule::of(2, false));
        assert_eq!(run(&mut camera, start, 0..3_000, Some(200)), [0, 500]);
        let mut screen = StreamTracker::new(TrackerRule::of(2, true));
        assert_eq!(run(&mut screen, start, 0..9_000, Some(1_500)), [0]);
    }

    #[test]
    fn a_key_frame_revives_a_layer_at_once() {
        let start = super::super::test_epoch();
        let mut tracker = StreamTracker::new(TrackerRule::of(2, false));
        tracker.observe(start, true);
        tracker.handle_timeout(start + Duration::from_secs(5));
        assert!(!tracker.flows());
        tracker.observe(start + Duration::from_secs(6), true);
        assert!(tracker.flows());
    }
}
