//! What is told of a run: the whole of `-o json`, and what tables, CSV and the page of `--html` are made from.

use super::compare::Change;
use super::crew::Worker;
use super::figures::{Figures, Sum};
use super::member::Measured;
use super::stages::JoinReport;
use super::threshold::{Threshold, Verdict};
use super::verify::Predicted;
use super::watch::{Second, Server, Tester};
use crate::client::stats::TrackStats;
use crate::limits::LOAD_TRACKS_LISTED_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Of the tester.
    pub version: String,
    pub url: String,
    pub shape: String,
    pub started_unix_s: i64,
    /// From the first arrival to the last one settled.
    pub ramp_s: f64,
    /// Since the first arrival.
    #[serde(default)]
    pub window_from_s: f64,
    /// What is measured: between ramp and teardown.
    pub window_s: f64,
    /// It was stopped before its time. Without a window the figures are of the ramp.
    pub interrupted: bool,
    pub steady: bool,
    pub joins: JoinReport,
    /// Sessions that ended before the test did, by reason.
    pub lost_sessions: BTreeMap<String, u64>,
    pub total: Figures,
    pub rooms: Vec<Room>,
    pub tester: Tester,
    /// The processes it was made by, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
    pub server: Option<Server>,
    pub verdicts: Vec<Verdict>,
    /// Against the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Predicted>,
    /// Against an earlier run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<Change>,
    pub series: Vec<Second>,
    pub tracks: Vec<Track>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Room {
    pub name: String,
    #[serde(flatten)]
    pub figures: Figures,
}

/// One received track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    pub room: String,
    pub subscriber: String,
    pub track: String,
    pub kind: String,
    pub packets: u64,
    pub bytes: u64,
    pub lost: u64,
    pub recovered: u64,
    pub reordered: u64,
    pub duplicates: u64,
    pub frames: u64,
    pub frames_broken: u64,
    pub freezes: u64,
    pub frozen_ms: f64,
    pub longest_gap_ms: f64,
    pub layer: u8,
    pub layer_changes: u64,
    pub timestamp_jumps: u64,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
    pub latency_max_ms: f64,
}

/// Columns of the CSV, in the order of [`Track`]'s fields.
const COLUMNS: &str = "room,subscriber,track,kind,packets,bytes,lost,recovered,reordered,duplicates,frames,frames_broken,\
                       freezes,frozen_ms,longest_gap_ms,layer,layer_changes,timestamp_jumps,latency_p50_ms,\
                       latency_p99_ms,latency_max_ms";

/// Collects what the members measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    names: Vec<String>,
    total: Sum,
    rooms: Vec<Sum>,
    tracks: Vec<Track>,
}

impl Tally {
    pub fn new(names: Vec<String>) -> Tally {
        let rooms = names.iter().map(|_| Sum::default()).collect();
        Tally { names, total: Sum::default(), rooms, tracks: Vec::new() }
    }

    pub fn add(&mut self, measured: &Measured) {
        self.total.add(measured);
        if let Some(room) = self.rooms.get_mut(measured.room) {
            room.add(measured);
        }
        let room = self.names.get(measured.room).map(String::as_str).unwrap_or_default();
        let free = LOAD_TRACKS_LISTED_MAX - self.tracks.len();
        let tracks = measured.stats.received.iter().take(free);
        self.tracks.extend(tracks.map(|track| Track::new(room, &measured.identity, track)));
    }

    /// Adds what another collected in the same rooms.
    pub fn merge(&mut self, other: Tally) {
        self.total.merge(&other.total);
        self.rooms.iter_mut().zip(&other.rooms).for_each(|(room, more)| room.merge(more));
        let free = LOAD_TRACKS_LISTED_MAX.saturating_sub(self.tracks.len());
        self.tracks.extend(other.tracks.into_iter().take(free));
    }

    pub fn forget_latency(&mut self) {
        self.total.forget_latency();
        self.rooms.iter_mut().for_each(Sum::forget_latency);
    }

    /// Packets received so far.
    pub fn packets(&self) -> u64 {
        self.total.packets()
    }

    /// Fills in what it collected in that time.
    pub fn tell(self, window: Duration, report: &mut Report) {
        report.total = self.total.told(window);
        let each = self.names.into_iter().zip(&self.rooms);
        report.rooms = each.map(|(name, sum)| Room { name, figures: sum.told(window) }).collect();
        report.tracks = self.tracks;
        report.tracks.sort_by(|a, b| (&a.room, &a.subscriber, &a.track).cmp(&(&b.room, &b.subscriber, &b.track)));
    }
}

impl Track {
    fn new(room: &str, subscriber: &str, track: &TrackStats) -> Track {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1000.0;
        let quantile = |q| ms(track.latency.quantile(q).unwrap_or_default());
        Track {
            room: room.to_owned(),
            subscriber: subscriber.to_owned(),
            track: track.track_sid.clone(),
            kind: if track.is_video { "video" } else { "audio" }.to_owned(),
            packets: track.packets,
            bytes: track.bytes,
            lost: track.lost,
            recovered: track.recovered,
            reordered: track.reordered,
            duplicates: track.duplicates,
            frames: track.frames,
            frames_broken: track.frames_broken,
            freezes: track.freezes,
            frozen_ms: ms(track.frozen),
            longest_gap_ms: ms(track.longest_gap),
            layer: track.layer,
            layer_changes: track.layer_changes,
            timestamp_jumps: track.timestamp_jumps,
            latency_p50_ms: quantile(0.5),
            latency_p99_ms: quantile(0.99),
            latency_max_ms: ms(track.latency.max),
        }
    }

    fn csv(&self) -> String {
        let text = [&self.room, &self.subscriber, &self.track, &self.kind].map(|text| quoted(text));
        let counts = [
            self.packets,
            self.bytes,
            self.lost,
            self.recovered,
            self.reordered,
            self.duplicates,
            self.frames,
            self.frames_broken,
            self.freezes,
        ];
        let mut fields: Vec<String> = text.into_iter().chain(counts.iter().map(u64::to_string)).collect();
        fields.extend([self.frozen_ms, self.longest_gap_ms].map(|ms| ms.to_string()));
        fields.extend([u64::from(self.layer), self.layer_changes, self.timestamp_jumps].map(|n| n.to_string()));
        fields.extend([self.latency_p50_ms, self.latency_p99_ms, self.latency_max_ms].map(|ms| ms.to_string()));
        fields.join(",")
    }
}

/// RFC 4180 §2.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

impl Report {
    pub fn judge(&mut self, thresholds: &[Threshold]) {
        self.verdicts = thresholds.iter().map(|threshold| threshold.check(self)).collect();
    }

    /// A line for each received track, under a line of names.
    pub fn csv(&self) -> String {
        let rows = self.tracks.iter().map(Track::csv);
        std::iter::once(COLUMNS.to_owned()).chain(rows).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stats::Stats;

    fn measured(room: usize, packets: u64) -> Measured {
        let track = TrackStats { track_sid: "TR_1".into(), packets, is_video: true, ..TrackStats::default() };
        let stats = Stats { received: vec![track], ..Stats::default() };
        Measured { room, identity: "a,b".into(), expects: 1, stats, stayed: true, ..Measured::default() }
    }

    fn report() -> Report {
        let mut tally = Tally::new(vec!["r-0".into(), "r-1".into()]);
        tally.add(&measured(0, 10));
        tally.add(&measured(1, 30));
        let mut report = Report::default();
        tally.tell(Duration::from_secs(10), &mut report);
        report
    }

    #[test]
    fn rooms_are_told_apart_and_add_up() {
        let report = report();
        assert_eq!(report.rooms.iter().map(|r| r.figures.packets).collect::<Vec<_>>(), [10, 30]);
        assert_eq!((report.total.packets, report.total.tracks, report.total.packets_per_s), (40, 2, 4.0));
    }

    #[test]
    fn csv_has_as_many_fields_as_names() {
        let csv = report().csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("r-0,\"a,b\",TR_1,video,10,"), "{}", lines[1]);
        let fields = lines[1].replace("\"a,b\"", "ab").split(',').count();
        assert_eq!(fields, lines[0].split(',').count());
    }

    #[test]
    fn json_is_read_back_as_written() {
        let report = report();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
