//! What qualities of a video track anybody wants, so that its publisher may stop sending the rest (WIRE.md §4.7). Pure:
//! the room tells it who wants what and the time.

use crate::proto::{
    SubscribedAudioCodec, SubscribedAudioCodecUpdate, SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate,
    VideoQuality,
};
use std::time::Duration;
use tokio::time::Instant;

/// A track nobody subscribed to for this long is reported as unwanted.
const FIRST_REPORT: Duration = Duration::from_secs(10);

/// The highest quality wanted of each codec, by lower-case short name.
pub type Wanted = Vec<(String, VideoQuality)>;

/// The demand for one track.
#[derive(Debug)]
pub struct Demand {
    /// What the publisher was told; `None` before the first report.
    told: Option<Wanted>,
    /// When to lower it.
    due: Option<Instant>,
    /// Less is asked for only after this long, so that a subscriber that comes right back finds its quality.
    pause_delay: Duration,
}

impl Demand {
    pub fn new(now: Instant, pause_delay: Duration) -> Demand {
        Demand { told: None, due: Some(now + FIRST_REPORT), pause_delay }
    }

    /// When [`Demand::plan`] has something to say although nothing changed.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The report the publisher should get now, if any.
    pub fn plan(&mut self, wanted: Wanted, now: Instant) -> Option<Wanted> {
        let Some(told) = &self.told else {
            return self.plan_first(wanted, now);
        };
        let raised: Wanted = merge(told, &wanted);
        if raised != *told {
            self.due = (raised != wanted).then(|| now + self.pause_delay);
            return self.tell(raised);
        }
        if wanted == *told {
            self.due = None;
            return None;
        }
        match self.due {
            Some(due) if due <= now => {
                self.due = None;
                self.tell(wanted)
            }
            Some(_) => None,
            None if self.pause_delay.is_zero() => self.tell(wanted),
            None => {
                self.due = Some(now + self.pause_delay);
                None
            }
        }
    }

    fn plan_first(&mut self, wanted: Wanted, now: Instant) -> Option<Wanted> {
        let somebody = wanted.iter().any(|(_, q)| rank(*q) > 0);
        if !somebody && self.due.is_some_and(|due| now < due) {
            return None;
        }
        self.due = None;
        self.tell(wanted)
    }

    /// The last report again, for a publisher that may have missed it.
    pub fn repeat(&self) -> Option<Wanted> {
        self.told.clone()
    }

    fn tell(&mut self, wanted: Wanted) -> Option<Wanted> {
        self.told = Some(wanted.clone());
        Some(wanted)
    }
}

/// Codecs as in `wanted`, each with the higher of both qualities.
fn merge(told: &Wanted, wanted: &Wanted) -> Wanted {
    let before = |codec: &str| told.iter().find(|(c, _)| c == codec).map_or(VideoQuality::Off, |(_, q)| *q);
    let higher = |a, b| if rank(a) >= rank(b) { a } else { b };
    wanted.iter().map(|(codec, quality)| (codec.clone(), higher(*quality, before(codec)))).collect()
}

/// OFF is numbered above HIGH, but is less than LOW.
pub fn rank(quality: VideoQuality) -> u8 {
    match quality {
        VideoQuality::Off => 0,
        VideoQuality::Low => 1,
        VideoQuality::Medium => 2,
        VideoQuality::High => 3,
    }
}

/// The message for a publisher; old clients read the first codec's qualities only.
#[allow(deprecated)]
pub fn update(track_sid: &str, wanted: &Wanted) -> SubscribedQualityUpdate {
    let qualities = |max: VideoQuality| {
        let all = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];
        all.map(|q| SubscribedQuality { quality: q as i32, enabled: rank(q) <= rank(max) }).to_vec()
    };
    let codec =
        |(codec, max): &(String, VideoQuality)| SubscribedCodec { codec: codec.clone(), qualities: qualities(*max) };
    SubscribedQualityUpdate {
        track_sid: track_sid.to_owned(),
        subscribed_qualities: wanted.first().map(|(_, max)| qualities(*max)).unwrap_or_default(),
        subscribed_codecs: wanted.iter().map(codec).collect(),
    }
}

/// The message for a publisher of audio in several codecs, by MIME type.
pub fn audio_update(track_sid: &str, wanted: &Wanted) -> SubscribedAudioCodecUpdate {
    let codec = |(codec, wanted): &(String, VideoQuality)| SubscribedAudioCodec {
        codec: format!("audio/{codec}"),
        enabled: rank(*wanted) > 0,
    };
    SubscribedAudioCodecUpdate {
        track_sid: track_sid.to_owned(),
        subscribed_audio_codecs: wanted.iter().map(codec).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const DELAY: Duration = Duration::from_secs(5);

    use VideoQuality::{High, Low, Medium, Off};

    fn vp8(quality: VideoQuality) -> Wanted {
        vec![("vp8".to_owned(), quality)]
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_asked_for_at_once_and_less_after_a_while() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut demand = Demand::new(start, DELAY);
        let steps = [
            (1, Off, None),
            (2, Low, Some(Low)),
            (3, High, Some(High)),
            (4, Low, None),
            (6, Medium, None),
            (9, Medium, Some(Medium)),
            (10, Off, None),
            (11, Medium, None),
            (20, Off, None),
            (25, Off, Some(Off)),
            (26, Off, None),
        ];
        for (second, wanted, report) in steps {
            assert_eq!(demand.plan(vp8(wanted), at(second)), report.map(vp8), "at {second}");
        }
        assert_eq!(demand.repeat(), Some(vp8(Off)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_wanting_is_reported_after_ten_seconds() {
        let start = Instant::now();
        let mut demand = Demand::new(start, DELAY);
        assert_eq!(demand.plan(vp8(Off), start), None);
        assert_eq!(demand.due(), Some(start + FIRST_REPORT));
        assert_eq!(demand.plan(vp8(Off), start + FIRST_REPORT), Some(vp8(Off)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_delay_less_is_asked_for_at_once() {
        let mut demand = Demand::new(Instant::now(), Duration::ZERO);
        for quality in [High, Low, Off] {
            assert_eq!(demand.plan(vp8(quality), Instant::now()), Some(vp8(quality)));
        }
    }

    #[test]
    fn flags_go_up_to_the_wanted_quality() {
        for (max, flags) in [(Off, [false; 3]), (Low, [true, false, false]), (High, [true; 3])] {
            let update = update("TR_a", &vp8(max));
            let enabled: Vec<bool> = update.subscribed_codecs[0].qualities.iter().map(|q| q.enabled).collect();
            assert_eq!(enabled, flags);
        }
    }
}
