//! What many received tracks come to: sums, rates and percentiles over the measuring window, of a room or of all. Called by
//! `report`.

use super::member::Measured;
use super::times::{Percentiles, Times};
use crate::client::stats::{StreamStats, TrackStats};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Adds up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sum {
    told: Figures,
    sent_bytes: u64,
    frozen: Duration,
    latency: Times,
    start: Times,
    gap: Times,
    data_latency: Times,
}

/// What is told of a room, or of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub participants: u64,
    /// Received tracks, and how many there should have been.
    pub tracks: u64,
    pub tracks_expected: u64,
    pub packets: u64,
    pub bytes: u64,
    /// Payload received a second.
    pub bitrate_bps: f64,
    pub packets_per_s: f64,
    /// Packets the network lost on their first way, in percent; and what was never made good.
    pub loss_percent: f64,
    pub residual_loss_percent: f64,
    pub lost: u64,
    pub recovered: u64,
    pub reordered: u64,
    pub duplicates: u64,
    /// Packets the publisher sent that never came although no number is missing.
    pub skipped: u64,
    pub timestamp_jumps: u64,
    pub frames: u64,
    pub frames_broken: u64,
    pub key_frames: u64,
    /// Requests for key frames, those answered, and the longest wait.
    pub key_frame_requests: u64,
    pub key_frame_waits: u64,
    pub key_frame_wait_max_ms: f64,
    pub video_freezes: u64,
    pub audio_gaps: u64,
    /// Standing still, in percent of all tracks' time.
    pub frozen_percent: f64,
    pub longest_gap_ms: f64,
    /// Frames that never came while nothing came.
    pub omitted: u64,
    pub layer_changes: u64,
    /// Video packets by encoding, the lowest first, in percent.
    pub layers_percent: [f64; 3],
    /// One way, by packet; from the track's description to the first frame that can be shown; longest gap of each track.
    pub latency_ms: Percentiles,
    pub start_ms: Percentiles,
    pub gap_ms: Percentiles,
    pub sent_packets: u64,
    pub sent_bitrate_bps: f64,
    pub resent: u64,
    pub data_sent: u64,
    pub data_received: u64,
    pub data_lost: u64,
    pub data_latency_ms: Percentiles,
    layer_packets: [u64; 3],
}

impl Sum {
    pub fn add(&mut self, measured: &Measured) {
        self.told.participants += 1;
        self.told.tracks_expected += if measured.stayed { measured.expects } else { 0 };
        for track in &measured.stats.received {
            self.told.tracks += u64::from(measured.stayed && track.packets > 0);
            self.add_track(track);
        }
        measured.stats.sent.iter().for_each(|stream| self.add_stream(stream));
        self.told.data_sent += measured.data.sent;
        self.told.data_received += measured.data.received;
        self.told.data_lost += measured.data.lost;
        self.data_latency.add_latency(&measured.data.latency);
    }

    /// Adds what another added up.
    pub fn merge(&mut self, other: &Sum) {
        let counts = self.told.counts().into_iter().zip(other.told.clone().counts().map(|count| *count));
        counts.for_each(|(sum, more)| *sum += more);
        let layers = self.told.layer_packets.iter_mut().zip(other.told.layer_packets);
        layers.for_each(|(sum, more)| *sum += more);
        self.told.key_frame_wait_max_ms = self.told.key_frame_wait_max_ms.max(other.told.key_frame_wait_max_ms);
        self.sent_bytes += other.sent_bytes;
        self.frozen += other.frozen;
        self.latency.merge(&other.latency);
        self.start.merge(&other.start);
        self.gap.merge(&other.gap);
        self.data_latency.merge(&other.data_latency);
    }

    pub fn packets(&self) -> u64 {
        self.told.packets
    }

    /// Times between two clocks that are not known well enough are no times.
    pub fn forget_latency(&mut self) {
        (self.latency, self.data_latency) = Default::default();
    }

    fn add_track(&mut self, track: &TrackStats) {
        let told = &mut self.told;
        let sums = [
            (&mut told.packets, track.packets),
            (&mut told.bytes, track.bytes),
            (&mut told.lost, track.lost),
            (&mut told.recovered, track.recovered),
            (&mut told.reordered, track.reordered),
            (&mut told.duplicates, track.duplicates),
            (&mut told.skipped, track.skipped),
            (&mut told.timestamp_jumps, track.timestamp_jumps),
            (&mut told.frames, track.frames),
            (&mut told.frames_broken, track.frames_broken),
            (&mut told.key_frames, track.key_frames),
            (&mut told.key_frame_requests, track.plis),
            (&mut told.key_frame_waits, track.key_frame_waits),
            (&mut told.omitted, track.omitted),
            (&mut told.layer_changes, track.layer_changes),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        *if track.is_video { &mut told.video_freezes } else { &mut told.audio_gaps } += track.freezes;
        told.key_frame_wait_max_ms = told.key_frame_wait_max_ms.max(ms(track.key_frame_wait_max));
        if track.is_video {
            told.layer_packets.iter_mut().zip(track.layer_packets).for_each(|(sum, more)| *sum += more);
        }
        self.frozen += track.frozen;
        self.latency.add_latency(&track.latency);
        self.gap.note(track.longest_gap);
        if let Some((described, frame)) = track.described_at.zip(track.first_frame_at) {
            self.start.note(frame.saturating_duration_since(described));
        }
    }

    fn add_stream(&mut self, stream: &StreamStats) {
        self.told.sent_packets += stream.packets;
        self.sent_bytes += stream.bytes;
        self.told.resent += stream.resent;
    }

    /// Sums, and rates over that time.
    pub fn told(&self, window: Duration) -> Figures {
        let mut told = self.told.clone();
        let expected = told.packets + told.lost;
        told.loss_percent = percent((told.lost + told.recovered) as f64, expected as f64);
        told.residual_loss_percent = percent(told.lost as f64, expected as f64);
        told.bitrate_bps = per_second(told.bytes * 8, window);
        told.sent_bitrate_bps = per_second(self.sent_bytes * 8, window);
        told.packets_per_s = per_second(told.packets, window);
        told.frozen_percent = percent(self.frozen.as_secs_f64(), window.as_secs_f64() * told.tracks as f64);
        let video: u64 = told.layer_packets.iter().sum();
        told.layers_percent = told.layer_packets.map(|packets| percent(packets as f64, video as f64));
        told.longest_gap_ms = ms(self.gap.percentile(100.0));
        told.latency_ms = self.latency.told();
        told.start_ms = self.start.told();
        told.gap_ms = self.gap.told();
        told.data_latency_ms = self.data_latency.told();
        told
    }
}

impl Figures {
    /// All that is added up one by one.
    fn counts(&mut self) -> [&mut u64; 25] {
        [
            &mut self.participants,
            &mut self.tracks,
            &mut self.tracks_expected,
            &mut self.packets,
            &mut self.bytes,
            &mut self.lost,
            &mut self.recovered,
            &mut self.reordered,
            &mut self.duplicates,
            &mut self.skipped,
            &mut self.timestamp_jumps,
            &mut self.frames,
            &mut self.frames_broken,
            &mut self.key_frames,
            &mut self.key_frame_requests,
            &mut self.key_frame_waits,
            &mut self.video_freezes,
            &mut self.audio_gaps,
            &mut self.omitted,
            &mut self.layer_changes,
            &mut self.sent_packets,
            &mut self.resent,
            &mut self.data_sent,
            &mut self.data_received,
            &mut self.data_lost,
        ]
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { 0.0 }
}

fn per_second(count: u64, window: Duration) -> f64 {
    if window.is_zero() { 0.0 } else { count as f64 / window.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stats::Stats;

    fn measured(tracks: Vec<TrackStats>) -> Measured {
        Measured {
            expects: 2,
            stayed: true,
            stats: Stats { received: tracks, ..Stats::default() },
            ..Measured::default()
        }
    }

    fn track(packets: u64, lost: u64, recovered: u64) -> TrackStats {
        TrackStats { is_video: true, packets, bytes: packets * 1000, lost, recovered, ..TrackStats::default() }
    }

    #[test]
    fn loss_counts_what_was_recovered_and_tells_what_was_not() {
        let mut sum = Sum::default();
        sum.add(&measured(vec![track(990, 10, 10)]));
        let told = sum.told(Duration::from_secs(10));
        assert_eq!((told.loss_percent, told.residual_loss_percent), (2.0, 1.0));
        assert_eq!((told.bitrate_bps, told.packets_per_s), (792_000.0, 99.0));
        assert_eq!((told.tracks, told.tracks_expected), (1, 2));
    }

    #[test]
    fn layers_and_freezes_are_shares() {
        let mut sum = Sum::default();
        let frozen = TrackStats {
            layer_packets: [1, 0, 3],
            freezes: 1,
            frozen: Duration::from_secs(1),
            longest_gap: Duration::from_secs(1),
            ..track(4, 0, 0)
        };
        sum.add(&measured(vec![frozen, track(1, 0, 0)]));
        let told = sum.told(Duration::from_secs(10));
        assert_eq!((told.layers_percent, told.frozen_percent), ([25.0, 0.0, 75.0], 5.0));
        assert_eq!((told.video_freezes, told.audio_gaps), (1, 0));
        assert!((told.longest_gap_ms - 1000.0).abs() < 1.0);
    }

    /// A sum with every count at least 1.
    fn full() -> Sum {
        let mut json = serde_json::to_value(Sum::default()).unwrap();
        let told = json["told"].as_object_mut().unwrap();
        told.values_mut().filter(|value| value.is_u64()).for_each(|value| *value = 1.into());
        told["layer_packets"] = serde_json::json!([1, 1, 1]);
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn no_count_is_left_out_of_a_merge() {
        let mut sum = full();
        sum.merge(&full());
        let json = serde_json::to_value(&sum.told).unwrap();
        for (name, value) in json.as_object().unwrap().iter().filter(|(_, value)| value.is_u64()) {
            assert_eq!(value, 2, "{name}");
        }
        assert_eq!(json["layer_packets"], serde_json::json!([2, 2, 2]));
    }

    #[test]
    fn parts_merged_are_the_whole() {
        let all = [track(990, 10, 10), track(4, 1, 0), track(70, 0, 3)];
        let parts = all.clone().map(|track| {
            let mut part = Sum::default();
            part.add(&measured(vec![track]));
            serde_json::from_str::<Sum>(&serde_json::to_string(&part).unwrap()).unwrap()
        });
        let (mut merged, mut whole) = (Sum::default(), Sum::default());
        parts.iter().for_each(|part| merged.merge(part));
        all.into_iter().for_each(|track| whole.add(&measured(vec![track])));
        let window = Duration::from_secs(7);
        assert_eq!(merged.told(window), whole.told(window));
    }

    #[test]
    fn nothing_at_all_divides_by_nothing() {
        let told = Sum::default().told(Duration::ZERO);
        assert_eq!((told.loss_percent, told.bitrate_bps, told.frozen_percent), (0.0, 0.0, 0.0));
    }
}
