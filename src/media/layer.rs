//! Which layers of a track a leg forwards (WIRE.md §4.5): spatial layers as separate streams (simulcast) or within one
//! (SVC), and temporal layers. Decides on facts of each packet; numbers are rewritten elsewhere.

use super::allocate::LegAllowance;
use super::arrival::{Arrival, Next};
use super::drop_reason::DropReason;
use std::time::{Duration, Instant};

/// The first acquisition waits this long for the layer wanted before it takes a lower one.
const ACQUIRE_WAIT: Duration = Duration::from_secs(1);

/// What a leg should forward at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// 0..=2.
    pub spatial: u8,
    /// 0..=3.
    pub temporal: u8,
    /// Nothing is wanted.
    pub paused: bool,
}

/// Which spatial layers a track has, as masks: bit 0 is layer 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// The client said it would send them; 0 is not known.
    pub announced: u8,
    pub flowing: u8,
}

impl Layers {
    /// Those the track has, whether they flow now or not.
    pub fn known(&self) -> u8 {
        self.announced | self.flowing
    }

    /// The highest of `mask` up to `layer`, else the lowest above it; `layer` itself of an empty mask.
    fn nearest(mask: u8, layer: u8) -> u8 {
        let layer = layer.min(7);
        let below = mask & (u8::MAX >> (7 - layer));
        match (below, mask) {
            (0, 0) => layer,
            (0, above) => above.trailing_zeros() as u8,
            (below, _) => below.ilog2() as u8,
        }
    }
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    Forward {
        /// Ends a frame although its marker is not set, because the layers above are dropped.
        ends_picture: bool,
    },
    Drop(DropReason),
}

const FORWARD: Selection = Selection::Forward { ends_picture: false };

/// The layer choice of one video leg.
#[derive(Clone, Debug)]
pub struct Selector {
    wanted: Target,
    /// What congestion leaves of it.
    allowed: Option<LegAllowance>,
    /// The lesser of both.
    target: Target,
    /// The last packet came in a stream of several spatial layers.
    layered: bool,
    /// Spatial layer forwarded now, `None` before the first key frame and while paused.
    current: Option<u8>,
    temporal: u8,
    /// Timestamp of the picture the layers were last judged for.
    picture: Option<u32>,
    /// The first packet seen with something wanted.
    acquiring_since: Option<Instant>,
    has_acquired: bool,
}

impl Selector {
    pub fn new(target: Target) -> Selector {
        let temporal = target.temporal;
        Selector {
            wanted: target,
            allowed: None,
            target,
            layered: false,
            current: None,
            temporal,
            picture: None,
            acquiring_since: None,
            has_acquired: false,
        }
    }

    /// What is forwarded at most: wanted and allowed.
    pub fn target(&self) -> Target {
        self.target
    }

    pub fn wanted(&self) -> Target {
        self.wanted
    }

    pub fn set_target(&mut self, target: Target) {
        self.wanted = target;
        self.combine();
    }

    /// Congestion allows no more than this. A stream above it is let go at once instead of at the next key frame below;
    /// answers whether that happened.
    pub fn set_allowed(&mut self, allowed: Option<LegAllowance>) -> bool {
        let was_on = self.current;
        self.allowed = allowed;
        self.combine();
        if !self.layered && self.current.is_some_and(|current| current > self.target.spatial) {
            self.release();
        }
        was_on.is_some() && self.current.is_none()
    }

    /// Congestion sets a limit, whether it is felt or not.
    pub fn is_limited(&self) -> bool {
        self.allowed.is_some()
    }

    fn combine(&mut self) {
        let Target { spatial, temporal, paused } = self.wanted;
        self.target = self.allowed.map_or(self.wanted, |allowed| Target {
            spatial: spatial.min(allowed.spatial),
            temporal: temporal.min(allowed.temporal),
            paused: paused || allowed.paused,
        });
        if self.target.paused {
            self.release();
        }
    }

    /// Lets go of the current layer: the next packet forwarded will be of a key frame.
    pub fn release(&mut self) {
        self.current = None;
        self.acquiring_since = None;
    }

    pub fn current(&self) -> Option<u8> {
        self.current
    }

    /// The highest layers that pass now, within one stream.
    pub fn passing(&self) -> Option<(u8, u8)> {
        Some((self.current?, self.temporal))
    }

    /// The spatial layer to be on: the highest that flows up to the target, else the lowest above it. The first
    /// acquisition waits a while for the layer announced.
    pub fn goal(&self, now: Instant, layers: Layers) -> u8 {
        let announced = Layers::nearest(layers.announced, self.target.spatial);
        if self.waits_for_target(now) { announced } else { Layers::nearest(layers.flowing, announced) }
    }

    fn waits_for_target(&self, now: Instant) -> bool {
        !self.has_acquired && self.acquiring_since.is_none_or(|since| now < since + ACQUIRE_WAIT)
    }

    /// The layer to ask a key frame of, if the current one is not the goal.
    pub fn wants(&self, now: Instant, layers: Layers, layered: bool) -> Option<u8> {
        // Within one stream the target's layer comes with any key frame, and going down needs none.
        let goal = if layered { self.target.spatial } else { self.goal(now, layers) };
        let satisfied = match self.current {
            Some(current) if layered => current >= goal,
            current => current == Some(goal),
        };
        (!self.target.paused && !satisfied).then_some(goal)
    }

    /// Decides on a packet and moves to another layer where that is legal.
    ///
    /// # Cost
    /// No allocation.
    pub fn select(&mut self, now: Instant, layers: Layers, arrival: &Arrival) -> Selection {
        if self.target.paused {
            return Selection::Drop(DropReason::Paused);
        }
        self.acquiring_since.get_or_insert(now);
        self.layered = arrival.layered;
        if arrival.layered { self.select_within(arrival) } else { self.select_stream(now, layers, arrival) }
    }

    fn select_stream(&mut self, now: Instant, layers: Layers, arrival: &Arrival) -> Selection {
        if arrival.key_frame && self.may_take(now, arrival.spatial, self.goal(now, layers)) {
            self.take(arrival.spatial);
        }
        match self.current {
            None => Selection::Drop(DropReason::AwaitsKeyFrame),
            Some(current) if current != arrival.spatial => Selection::Drop(DropReason::OtherLayer),
            Some(_) => self.select_temporal(arrival),
        }
    }

    /// Whether a key frame of that layer moves the leg onto it: straight to the goal, or nearer to it.
    fn may_take(&self, now: Instant, layer: u8, goal: u8) -> bool {
        match self.current {
            None => layer == goal || (layer < goal && !self.waits_for_target(now)),
            Some(current) => {
                layer == current || (current < layer && layer <= goal) || (goal <= layer && layer < current)
            }
        }
    }

    fn take(&mut self, layer: u8) {
        self.current = Some(layer);
        self.temporal = self.target.temporal;
        self.has_acquired = true;
    }

    /// Layers within one stream: upward at key frames, downward between pictures.
    fn select_within(&mut self, arrival: &Arrival) -> Selection {
        let begins = self.begins_picture(arrival);
        if arrival.key_frame {
            self.take(self.target.spatial);
        }
        self.current = self.current.map(|current| if begins { current.min(self.target.spatial) } else { current });
        let Some(current) = self.current else { return Selection::Drop(DropReason::AwaitsKeyFrame) };
        if arrival.spatial > current {
            return Selection::Drop(DropReason::SpatialLayer);
        }
        if !self.admits_temporal(arrival, begins) {
            return Selection::Drop(DropReason::TemporalLayer);
        }
        Selection::Forward { ends_picture: ends_picture(arrival, current) }
    }

    /// Whether it is the first packet of a picture newer than those before. Layers change only there.
    fn begins_picture(&mut self, arrival: &Arrival) -> bool {
        let is_newer = |picture: u32| arrival.timestamp.wrapping_sub(picture) as i32 > 0;
        let begins = arrival.key_frame || self.picture.is_none_or(is_newer);
        if begins {
            self.picture = Some(arrival.timestamp);
        }
        begins
    }

    fn select_temporal(&mut self, arrival: &Arrival) -> Selection {
        let begins = self.begins_picture(arrival);
        if self.admits_temporal(arrival, begins) { FORWARD } else { Selection::Drop(DropReason::TemporalLayer) }
    }

    /// Temporal layers go down with the next picture, and up where one depends only on what was forwarded.
    fn admits_temporal(&mut self, arrival: &Arrival, begins: bool) -> bool {
        if begins {
            self.temporal = self.temporal.min(self.target.temporal);
        }
        if begins && arrival.sync && arrival.frame_start && arrival.temporal <= self.target.temporal {
            self.temporal = self.temporal.max(arrival.temporal);
        }
        arrival.temporal <= self.temporal
    }
}

/// Whether nothing more of the picture is forwarded up to that layer.
fn ends_picture(arrival: &Arrival, current: u8) -> bool {
    arrival.frame_end
        && match arrival.next {
            Next::Unknown => arrival.spatial == current,
            Next::Layer(next) => next > current,
            Next::Nothing => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(spatial: u8) -> Target {
        Target { spatial, temporal: 3, paused: false }
    }

    fn packet(spatial: u8, key_frame: bool) -> Arrival {
        Arrival { spatial, key_frame, ..Arrival::for_tests() }
    }

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    fn flowing(mask: u8) -> Layers {
        Layers { announced: 0b111, flowing: mask }
    }

    fn forwards(selection: Selection) -> bool {
        matches!(selection, Selection::Forward { .. })
    }

    #[test]
    fn goals() {
        let cases = [(2, 0b111, 2), (2, 0b011, 1), (1, 0b101, 0), (0, 0b100, 2), (0, 0b110, 1), (1, 0, 1)];
        for (wanted, mask, goal) in cases {
            let selector = Selector { has_acquired: true, ..Selector::new(target(wanted)) };
            assert_eq!(selector.goal(at(0), flowing(mask)), goal, "target {wanted}, flowing {mask:03b}");
        }
    }

    /// (time ms, layer of a key frame, layer forwarded after it)
    type Step = (u64, u8, Option<u8>);

    #[test]
    fn simulcast_moves_only_at_key_frames() {
        let cases: [(&str, u8, &[Step]); 5] = [
            ("waits for its layer", 2, &[(0, 0, None), (100, 1, None), (200, 2, Some(2))]),
            ("takes a lower one after a second", 2, &[(0, 0, None), (1_000, 0, Some(0)), (1_001, 2, Some(2))]),
            ("low at once", 0, &[(0, 2, None), (10, 0, Some(0))]),
            ("does not overshoot", 1, &[(0, 2, None), (5, 1, Some(1)), (10, 2, Some(1)), (20, 0, Some(1))]),
            ("stays when nothing changes", 1, &[(0, 1, Some(1)), (10, 1, Some(1))]),
        ];
        for (name, wanted, steps) in cases {
            let mut selector = Selector::new(target(wanted));
            for &(ms, layer, expected) in steps {
                selector.select(at(ms), flowing(0b111), &packet(layer, false));
                selector.select(at(ms), flowing(0b111), &packet(layer, true));
                assert_eq!(selector.current(), expected, "{name} at {ms}");
            }
        }
    }

    #[test]
    fn takes_what_flows_once_the_wait_is_over() {
        let mut selector = Selector::new(target(2));
        assert!(!forwards(selector.select(at(0), flowing(0b001), &packet(0, true))));
        assert_eq!(selector.wants(at(500), flowing(0b001), false), Some(2));
        assert_eq!(selector.wants(at(1_000), flowing(0b001), false), Some(0));
        assert!(forwards(selector.select(at(1_000), flowing(0b001), &packet(0, true))));
        assert_eq!(selector.wants(at(1_001), flowing(0b001), false), None);
        assert_eq!(selector.wants(at(1_002), flowing(0b101), false), Some(2));
    }

    #[test]
    fn does_not_wait_for_a_layer_never_announced() {
        for (announced, layer) in [(0b001, 0), (0b011, 1), (0b100, 2)] {
            let mut selector = Selector::new(target(2));
            let layers = Layers { announced, flowing: 0 };
            assert!(forwards(selector.select(at(0), layers, &packet(layer, true))), "{announced:03b}");
            assert_eq!(selector.wants(at(1), layers, false), None, "{announced:03b}");
        }
    }

    #[test]
    fn goes_up_and_down_by_way_of_layers_between() {
        let mut selector = Selector::new(target(0));
        selector.select(at(0), flowing(0b111), &packet(0, true));
        selector.set_target(target(2));
        assert!(!forwards(selector.select(at(1), flowing(0b111), &packet(2, false))));
        assert!(forwards(selector.select(at(2), flowing(0b111), &packet(1, true))));
        assert!(forwards(selector.select(at(3), flowing(0b111), &packet(2, true))));
        assert_eq!(selector.select(at(4), flowing(0b111), &packet(1, true)), Selection::Drop(DropReason::OtherLayer));
        selector.set_target(target(0));
        assert!(forwards(selector.select(at(5), flowing(0b111), &packet(2, false))), "until a key frame below");
        assert!(forwards(selector.select(at(6), flowing(0b111), &packet(0, true))));
        assert_eq!(selector.wants(at(7), flowing(0b111), false), None);
    }

    #[test]
    fn pausing_needs_a_new_key_frame() {
        let mut selector = Selector::new(target(0));
        selector.select(at(0), flowing(1), &packet(0, true));
        selector.set_target(Target { paused: true, ..target(0) });
        assert_eq!(selector.select(at(1), flowing(1), &packet(0, true)), Selection::Drop(DropReason::Paused));
        assert_eq!(selector.wants(at(1), flowing(1), false), None);
        selector.set_target(target(0));
        assert_eq!(selector.select(at(2), flowing(1), &packet(0, false)), Selection::Drop(DropReason::AwaitsKeyFrame));
        assert_eq!(selector.wants(at(2), flowing(1), false), Some(0));
    }

    fn allowed(spatial: u8) -> Option<LegAllowance> {
        Some(LegAllowance { spatial, temporal: 3, paused: false })
    }

    #[test]
    fn congestion_lets_go_of_a_stream_at_once_and_of_a_layer_between_pictures() {
        let mut selector = Selector::new(target(2));
        selector.select(at(0), flowing(0b111), &packet(2, true));
        assert!(selector.set_allowed(allowed(1)));
        assert_eq!(
            selector.select(at(1), flowing(0b111), &packet(2, true)),
            Selection::Drop(DropReason::AwaitsKeyFrame)
        );
        assert_eq!(selector.wants(at(1), flowing(0b111), false), Some(1));
        assert!(forwards(selector.select(at(2), flowing(0b111), &packet(1, true))));
        assert!(!selector.set_allowed(None), "going up needs no pause");
        assert!(forwards(selector.select(at(3), flowing(0b111), &packet(1, false))));
        assert_eq!(selector.wants(at(3), flowing(0b111), false), Some(2));
        let within = |key_frame| Arrival { layered: true, ..packet(2, key_frame) };
        let mut selector = Selector::new(target(2));
        selector.select(at(0), flowing(1), &within(true));
        assert!(!selector.set_allowed(allowed(0)));
        assert!(forwards(selector.select(at(1), flowing(1), &within(false))), "the picture is finished as begun");
    }

    #[test]
    fn the_lesser_of_wanted_and_allowed_counts() {
        let mut selector = Selector::new(target(1));
        selector.set_allowed(Some(LegAllowance { spatial: 2, temporal: 1, paused: false }));
        assert_eq!(selector.target(), Target { spatial: 1, temporal: 1, paused: false });
        assert_eq!(selector.wanted(), target(1));
        selector.set_target(Target { temporal: 0, ..target(2) });
        assert_eq!(selector.target(), Target { spatial: 2, temporal: 0, paused: false });
        selector.select(at(0), flowing(0b111), &packet(2, true));
        assert!(selector.set_allowed(Some(LegAllowance { spatial: 0, temporal: 0, paused: true })));
        assert!(selector.target().paused && !selector.wanted().paused);
    }

    #[test]
    fn temporal_layers_fall_with_the_next_picture_and_rise_at_sync_points() {
        let frame = |picture: u32, temporal, sync| Arrival {
            temporal,
            sync,
            frame_start: true,
            timestamp: picture * 3_000,
            ..packet(0, false)
        };
        let mut selector = Selector::new(Target { temporal: 0, ..target(0) });
        selector.select(at(0), flowing(1), &packet(0, true));
        assert_eq!(selector.select(at(1), flowing(1), &frame(1, 1, true)), Selection::Drop(DropReason::TemporalLayer));
        selector.set_target(Target { temporal: 1, ..target(0) });
        assert!(!forwards(selector.select(at(2), flowing(1), &frame(2, 1, false))));
        assert!(forwards(selector.select(at(3), flowing(1), &frame(3, 1, true))));
        assert!(forwards(selector.select(at(4), flowing(1), &frame(4, 1, false))));
        assert!(!forwards(selector.select(at(5), flowing(1), &frame(5, 2, true))));
        assert!(forwards(selector.select(at(6), flowing(1), &frame(6, 1, false))));
        selector.set_target(Target { temporal: 0, ..target(0) });
        assert!(forwards(selector.select(at(6), flowing(1), &frame(6, 1, false))), "the picture is finished as begun");
        assert!(!forwards(selector.select(at(7), flowing(1), &frame(7, 1, false))));
    }

    #[test]
    fn a_picture_ends_with_its_last_layer_forwarded_even_if_others_were_left_out() {
        let end = |spatial, next| Arrival {
            layered: true,
            frame_end: true,
            next,
            timestamp: 3_000,
            ..packet(spatial, false)
        };
        let mut selector = Selector::new(target(1));
        selector.select(at(0), flowing(1), &Arrival { layered: true, ..packet(0, true) });
        let mut ends = |spatial, next| match selector.select(at(1), flowing(1), &end(spatial, next)) {
            Selection::Forward { ends_picture } => ends_picture,
            Selection::Drop(reason) => panic!("dropped: {reason:?}"),
        };
        assert!(!ends(0, Next::Layer(1)) && ends(1, Next::Layer(2)));
        assert!(ends(0, Next::Layer(2)), "the layer of the leg is left out");
        assert!(ends(0, Next::Nothing), "all others are");
        assert!(!ends(0, Next::Unknown) && ends(1, Next::Unknown));
    }

    #[test]
    fn layers_within_a_stream_end_the_picture_early() {
        let layer = |spatial, key_frame, timestamp, frame_end| Arrival {
            layered: true,
            frame_end,
            timestamp,
            ..packet(spatial, key_frame)
        };
        let mut selector = Selector::new(target(2));
        assert!(!forwards(selector.select(at(0), flowing(1), &layer(0, false, 0, true))));
        assert!(forwards(selector.select(at(1), flowing(1), &layer(0, true, 1, true))));
        selector.set_target(target(1));
        assert!(
            forwards(selector.select(at(2), flowing(1), &layer(2, false, 1, true))),
            "the picture is finished as begun"
        );
        let ends =
            |selector: &mut Selector, spatial| selector.select(at(3), flowing(1), &layer(spatial, false, 2, true));
        assert_eq!(ends(&mut selector, 0), Selection::Forward { ends_picture: false });
        assert_eq!(ends(&mut selector, 1), Selection::Forward { ends_picture: true });
        assert_eq!(ends(&mut selector, 2), Selection::Drop(DropReason::SpatialLayer));
        selector.set_target(target(2));
        assert_eq!(ends(&mut selector, 2), Selection::Drop(DropReason::SpatialLayer), "up only at a key frame");
        assert_eq!(selector.wants(at(4), flowing(1), true), Some(2));
        selector.select(at(5), flowing(1), &layer(0, true, 3, true));
        assert!(forwards(selector.select(at(5), flowing(1), &layer(2, false, 3, true))));
    }
}
