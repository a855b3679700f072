//! Connection quality of participants: the worst of what their transports carry, and when clients hear of it
//! (WIRE.md §4.18, §2.8).

use crate::proto::{ConnectionQuality, ConnectionQualityInfo};
use crate::shard::{PeerKey, Score};
use std::collections::HashMap;
use std::time::Duration;

/// Clients hear of changes this often.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Score of a participant without tracks.
const NO_TRACKS: Score = Score(100.0);

/// Scores of a room's participants, by sid.
#[derive(Debug, Default)]
pub struct Qualities {
    /// Lowest score of each transport that carries tracks: a participant may have two.
    scores: HashMap<String, HashMap<PeerKey, Score>>,
    told: HashMap<String, ConnectionQuality>,
}

impl Qualities {
    /// One transport's latest scores, of tracks and legs alike; none when it carries nothing.
    pub fn report(&mut self, participant_sid: &str, peer: PeerKey, scores: impl IntoIterator<Item = Score>) {
        let lowest = scores.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        let peers = self.scores.entry(participant_sid.to_owned()).or_default();
        match lowest {
            Some(score) => peers.insert(peer, score),
            None => peers.remove(&peer),
        };
    }

    pub fn forget(&mut self, participant_sid: &str) {
        self.scores.remove(participant_sid);
        self.told.remove(participant_sid);
    }

    /// How a participant stands now.
    pub fn of(&self, participant_sid: &str) -> ConnectionQualityInfo {
        let score = self.score(participant_sid);
        let quality = quality(score) as i32;
        ConnectionQualityInfo { participant_sid: participant_sid.to_owned(), quality, score: mos(score) }
    }

    /// Whether to tell everyone, to be asked every [`REPORT_INTERVAL`] with the sids of all ACTIVE participants: one of
    /// them is new, or its quality differs from last time. A change of score alone is none, nor is a departure.
    pub fn must_tell<'a>(&mut self, active: impl IntoIterator<Item = &'a str>) -> bool {
        let now: HashMap<_, _> = active.into_iter().map(|sid| (sid.to_owned(), quality(self.score(sid)))).collect();
        let changed = now.iter().any(|(sid, quality)| self.told.get(sid) != Some(quality));
        self.told = now;
        changed
    }

    fn score(&self, participant_sid: &str) -> Score {
        let peers = self.scores.get(participant_sid).into_iter().flat_map(HashMap::values).copied();
        peers.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or(NO_TRACKS)
    }
}

/// The list for one recipient: clients up to protocol 10 know no LOST, those up to 4 nothing of quality.
pub fn infos_for(infos: Vec<ConnectionQualityInfo>, protocol: i32) -> Vec<ConnectionQualityInfo> {
    match protocol {
        ..=4 => Vec::new(),
        5..=10 => infos.into_iter().map(lost_as_poor).collect(),
        _ => infos,
    }
}

fn lost_as_poor(mut info: ConnectionQualityInfo) -> ConnectionQualityInfo {
    if info.quality() == ConnectionQuality::Lost {
        info.set_quality(ConnectionQuality::Poor);
    }
    info
}

/// The word for a score.
pub fn quality(score: Score) -> ConnectionQuality {
    match score.0 {
        s if s > 80.0 => ConnectionQuality::Excellent,
        s if s > 40.0 => ConnectionQuality::Good,
        s if s > 20.0 => ConnectionQuality::Poor,
        _ => ConnectionQuality::Lost,
    }
}

/// Mean opinion score, 1.0..=4.5 (ITU-T G.107 annex B).
pub fn mos(score: Score) -> f32 {
    let s = score.0.clamp(0.0, 100.0);
    1.0 + 0.035 * s + 7e-6 * s * (s - 60.0) * (100.0 - s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionQuality::*;

    const PUBLISHER: PeerKey = PeerKey(1);
    const SUBSCRIBER: PeerKey = PeerKey(2);

    #[test]
    fn words_and_mos() {
        let cases = [
            (100.0, Excellent, 4.5),
            (80.1, Excellent, 4.02),
            (80.0, Good, 4.02),
            (40.0, Poor, 2.06),
            (20.0, Lost, 1.25),
            (0.0, Lost, 1.0),
        ];
        for (score, word, expected) in cases {
            assert_eq!(quality(Score(score)), word, "{score}");
            assert!((mos(Score(score)) - expected).abs() < 0.01, "{score}: {}", mos(Score(score)));
        }
    }

    #[test]
    fn the_worst_of_all_transports_counts() {
        let mut qualities = Qualities::default();
        assert_eq!((qualities.of("PA_1").quality(), qualities.of("PA_1").score), (Excellent, 4.5));
        qualities.report("PA_1", PUBLISHER, [Score(90.0), Score(70.0)]);
        qualities.report("PA_1", SUBSCRIBER, [Score(35.0), Score(95.0)]);
        assert_eq!(qualities.of("PA_1").quality(), Poor);
        qualities.report("PA_1", SUBSCRIBER, [Score(85.0)]);
        assert_eq!(qualities.of("PA_1").quality(), Good);
        qualities.report("PA_1", PUBLISHER, []);
        assert_eq!(qualities.of("PA_1").quality(), Excellent);
    }

    #[test]
    fn changes_that_are_told() {
        let mut qualities = Qualities::default();
        assert!(!qualities.must_tell([]), "empty room");
        assert!(qualities.must_tell(["PA_1"]), "new");
        assert!(!qualities.must_tell(["PA_1"]), "same");
        qualities.report("PA_1", PUBLISHER, [Score(95.0)]);
        assert!(!qualities.must_tell(["PA_1"]), "score alone");
        qualities.report("PA_1", PUBLISHER, [Score(50.0)]);
        assert!(qualities.must_tell(["PA_1"]), "quality");
        assert!(qualities.must_tell(["PA_1", "PA_2"]), "another is new");
        assert!(!qualities.must_tell(["PA_2"]), "departure");
        assert!(qualities.must_tell(["PA_1", "PA_2"]), "back again");
    }

    #[test]
    fn old_clients_see_poor_for_lost() {
        let mut qualities = Qualities::default();
        qualities.report("PA_1", PUBLISHER, [Score(5.0)]);
        let seen = |protocol| infos_for(vec![qualities.of("PA_1")], protocol).first().map(|i| i.quality());
        assert_eq!([4, 5, 10, 11].map(seen), [None, Some(Poor), Some(Poor), Some(Lost)]);
    }
}
