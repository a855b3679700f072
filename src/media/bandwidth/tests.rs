//! A sender, a link and a receiver on a virtual clock: what the estimate makes of them.

use super::*;
use crate::media::feedback::TransportFeedback;
use crate::wire::rtcp::{Packet, packets};
use std::collections::VecDeque;

/// A sender that obeys its estimate, on a link with a queue of 400 ms, and a receiver that reports.
struct Link {
    bandwidth: Bandwidth,
    receiver: TransportFeedback,
    ms: u64,
    sequence: u16,
    free_us: u64,
    /// (arrival in us, sequence)
    flying: VecDeque<(u64, u16)>,
}

const DELAY_US: u64 = 30_000;
const QUEUE_US: u64 = 400_000;

fn at_us(us: u64) -> Instant {
    crate::media::test_epoch() + Duration::from_micros(us)
}

fn at(ms: u64) -> Instant {
    at_us(ms * 1_000)
}

impl Link {
    fn new() -> Link {
        let (bandwidth, receiver) = (Bandwidth::new(at(0)), TransportFeedback::new(at(0)));
        Link { bandwidth, receiver, ms: 0, sequence: 65_000, free_us: 0, flying: VecDeque::new() }
    }

    /// Sends up to `wanted` through a link of that capacity, both in kbit/s, and answers the estimate.
    fn run(&mut self, ms: u64, wanted: u64, capacity: u64) -> Bitrate {
        for _ in 0..ms {
            self.ms += 1;
            if self.ms.is_multiple_of(20) {
                let bytes = self.bandwidth.estimate().min(Bitrate::kbps(wanted)).bytes_in(Duration::from_millis(20));
                let packets = bytes.div_ceil(1_200);
                (0..packets).for_each(|_| self.send(bytes / packets, capacity));
            }
            self.probe(capacity);
            self.receive();
        }
        self.bandwidth.estimate()
    }

    /// All of a probe at once.
    fn probe(&mut self, capacity: u64) {
        if let Some(cluster) = self.bandwidth.poll_probe(at(self.ms)) {
            (0..cluster.bytes().div_ceil(267)).for_each(|_| self.send(267, capacity));
        }
    }

    fn send(&mut self, bytes: usize, capacity: u64) {
        self.bandwidth.note_sent(at(self.ms), self.sequence, bytes);
        let now_us = self.ms * 1_000;
        let free = self.free_us.max(now_us) + bytes as u64 * 8_000 / capacity;
        if free <= now_us + QUEUE_US {
            self.free_us = free;
            self.flying.push_back((free + DELAY_US, self.sequence));
        }
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn receive(&mut self) {
        while let Some((us, sequence)) = self.flying.pop_front_if(|(us, _)| *us <= self.ms * 1_000) {
            self.receiver.note(at_us(us), sequence, true);
        }
        let mut out = Vec::new();
        self.receiver.poll(at(self.ms), 1, 2, &mut out);
        for packet in packets(&out) {
            let Packet::TransportCc(feedback) = packet else { panic!("{packet:?}") };
            self.bandwidth.handle_feedback(at(self.ms), &feedback);
        }
    }

    fn queue_ms(&self) -> u64 {
        (self.free_us / 1_000).saturating_sub(self.ms)
    }
}

#[test]
fn without_reports_or_congestion_nothing_is_limited() {
    let mut silent = Bandwidth::new(at(0));
    (0..1_000).for_each(|n| silent.note_sent(at(n), n as u16, 1_200));
    silent.handle_timeout(at(1_000));
    assert!(silent.estimate().is_unlimited() && silent.poll_probe(at(1_000)).is_none());
    assert!(Link::new().run(20_000, 2_000, 3_000).is_unlimited());
}

#[test]
fn converges_below_the_capacity_and_the_queue_drains() {
    for capacity in [250, 600, 1_500, 5_000] {
        let mut link = Link::new();
        let estimate = link.run(2_000, capacity * 5, capacity).0 / 1_000;
        assert!(estimate < capacity * 115 / 100, "{capacity}: {estimate} after two seconds");
        let estimates: Vec<u64> = (0..200).map(|_| link.run(100, capacity * 5, capacity).0 / 1_000).collect();
        let mean = estimates.iter().sum::<u64>() / 200;
        assert!((capacity * 7 / 10..capacity * 105 / 100).contains(&mean), "{capacity}: mean {mean}");
        assert!(link.queue_ms() < 150, "{capacity}: queue of {} ms", link.queue_ms());
    }
}

#[test]
fn follows_a_step_down_within_a_second_and_up_by_probes() {
    let mut link = Link::new();
    assert!(link.run(5_000, 2_000, 3_000).is_unlimited());
    let down = link.run(1_000, 2_000, 600).0 / 1_000;
    assert!((250..620).contains(&down), "{down}");
    link.run(10_000, 400, 600);
    link.bandwidth.set_goal(Some(Bitrate::kbps(2_200)));
    let found = link.run(10_000, 400, 600).0 / 1_000;
    assert!(found < 700, "a probe must not find more than there is: {found}");
    let up = link.run(7_000, 400, 3_000).0 / 1_000;
    assert!(up >= 2_000, "{up}");
}

#[test]
fn silence_after_feedback_is_congestion() {
    let mut link = Link::new();
    link.run(3_000, 1_000, 3_000);
    (0..2_000).for_each(|n| link.bandwidth.note_sent(at(3_000 + n), n as u16, 125));
    link.bandwidth.handle_timeout(at(3_500));
    assert!(!link.bandwidth.is_limited());
    link.bandwidth.handle_timeout(at(4_600));
    assert!(link.bandwidth.estimate() <= Bitrate::kbps(520), "{}", link.bandwidth.estimate());
}

#[test]
fn the_receivers_estimate_counts_where_there_is_no_other() {
    let mut remote = Bandwidth::new(at(0));
    for ms in (0..2_000).step_by(10) {
        remote.note_unnumbered(at(ms), 1_250);
    }
    remote.handle_remb(at(2_000), Bitrate::kbps(1_500));
    assert!(!remote.is_limited());
    remote.handle_loss(at(2_000), 0.02, Duration::from_millis(50));
    assert!(!remote.is_limited());
    remote.handle_loss(at(2_000), 0.4, Duration::from_millis(50));
    assert_eq!(remote.estimate().0 / 1_000, 570);
    remote.handle_remb(at(2_100), Bitrate::kbps(400));
    assert_eq!(remote.estimate(), Bitrate::kbps(400));
    let mut link = Link::new();
    link.run(3_000, 1_000, 3_000);
    link.bandwidth.handle_remb(at(3_000), Bitrate::kbps(100));
    assert!(!link.bandwidth.is_limited(), "numbered feedback is better");
}

#[test]
fn a_path_is_asked_what_it_takes_before_more_is_sent() {
    // (capacity in kbit/s, whether all of 2 Mbit/s passes)
    for (capacity, passes) in [(250, false), (600, false), (5_000, true)] {
        let mut link = Link::new();
        assert!(link.bandwidth.open(at(0), Bitrate::kbps(300)));
        link.bandwidth.set_goal(Some(Bitrate::kbps(2_400)));
        for _ in 0..20 {
            if link.bandwidth.is_opening() && link.run(100, 160, capacity) >= Bitrate::kbps(2_100) {
                link.bandwidth.finish_opening();
            }
        }
        assert_eq!(link.bandwidth.estimate().is_unlimited(), passes, "{capacity}");
        assert!(!link.bandwidth.is_opening(), "{capacity}: known within two seconds");
        assert!(passes || link.bandwidth.estimate() <= Bitrate::kbps(capacity * 11 / 10), "{capacity}");
        assert!(!link.bandwidth.open(at(link.ms), Bitrate::kbps(300)), "once");
    }
}

#[test]
fn who_sends_no_feedback_is_not_held_for_long() {
    let mut silent = Bandwidth::new(at(0));
    assert!(silent.open(at(0), Bitrate::kbps(300)) && silent.is_limited());
    (0..30).for_each(|n| silent.note_sent(at(n * 100), n as u16, 1_200));
    silent.handle_timeout(at(2_900));
    assert!(silent.is_opening());
    silent.handle_timeout(at(3_000));
    assert!(!silent.is_opening() && !silent.is_limited());
}
