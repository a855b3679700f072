//! What a load is made of: kinds of rooms, who is in them, and what these do. Written down by `commands` from flags, by
//! `language` from text; read by `schedule`.

use super::camera::Resolution;
use crate::client::media::VideoCodec;
use crate::limits::{LOAD_PARTICIPANTS_MAX, LOAD_ROOM_PARTICIPANTS_MAX};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All rooms of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    pub groups: Vec<Group>,
    /// By time.
    pub storms: Vec<Storm>,
}

/// Many connections that break at once, and come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// Since the start of the test.
    pub at: Duration,
    /// Of each room's people, 0..=1.
    pub share: f64,
}

impl Storm {
    /// Whether it strikes that seat of so many.
    pub fn strikes(&self, seat: u32, seats: u32) -> bool {
        f64::from(seat) + 0.5 < self.share * f64::from(seats.max(1))
    }
}

/// Rooms that are alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub rooms: u32,
    pub people: Vec<People>,
    pub traits: Traits,
    /// Their people arrive from then on.
    pub start: Duration,
    /// At a rate of their own; absent: with all others.
    pub per_second: Option<f64>,
}

/// People of a room who do the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    pub count: u32,
    pub audio: bool,
    pub video: bool,
    pub screen: bool,
    /// Watches and hears the others.
    pub subscribes: bool,
}

/// What the people of a room have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traits {
    pub layout: Layout,
    /// Absent: VP8 and H264 in turns, as LiveKit's load tester does it.
    pub codec: Option<VideoCodec>,
    pub resolution: Resolution,
    pub simulcast: bool,
    /// Absent: only when asked for, as browsers do it.
    pub key_frame_every: Option<Duration>,
    /// People who leave, and are followed by somebody new, each minute.
    pub churn_per_min: f64,
    /// Data messages each publisher sends a second.
    pub data_hz: f64,
    pub data_bytes: usize,
    pub data_reliable: bool,
    /// Share of the packets they are sent that they lose on purpose, 0..=1.
    pub loss: f32,
    /// Media over TCP.
    pub tcp: bool,
    /// Media by the server's TURN relay.
    pub relay: bool,
    /// Changing speakers are announced.
    pub speakers: bool,
}

impl Default for Traits {
    fn default() -> Traits {
        Traits {
            layout: Layout::All,
            codec: Some(VideoCodec::Vp8),
            resolution: Resolution::High,
            simulcast: true,
            key_frame_every: None,
            churn_per_min: 0.0,
            data_hz: 0.0,
            data_bytes: 100,
            data_reliable: false,
            loss: 0.0,
            tcp: false,
            relay: false,
            speakers: false,
        }
    }
}

impl Traits {
    /// Of the publisher on that seat.
    pub fn codec_of(&self, seat: u32) -> VideoCodec {
        self.codec.unwrap_or(if seat.is_multiple_of(2) { VideoCodec::Vp8 } else { VideoCodec::H264 })
    }
}

/// Whose video a subscriber watches, and how large. Audio is always heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Everybody, at full size.
    #[default]
    All,
    /// One at full size and five small ones.
    Speaker,
    /// Nine at medium size.
    Grid3x3,
    /// Sixteen small ones.
    Grid4x4,
    /// Twenty-five small ones.
    Grid5x5,
}

impl Layout {
    pub const NAMES: [(&str, Layout); 5] = [
        ("all", Layout::All),
        ("speaker", Layout::Speaker),
        ("3x3", Layout::Grid3x3),
        ("4x4", Layout::Grid4x4),
        ("5x5", Layout::Grid5x5),
    ];

    pub fn from_name(name: &str) -> Option<Layout> {
        Layout::NAMES.iter().find(|(n, _)| *n == name).map(|(_, layout)| *layout)
    }

    pub fn name(self) -> &'static str {
        Layout::NAMES.iter().find(|(_, layout)| *layout == self).map_or("all", |(name, _)| name)
    }

    /// How many people are watched.
    pub fn tiles(self) -> usize {
        match self {
            Layout::All => usize::MAX,
            Layout::Speaker => 6,
            Layout::Grid3x3 => 9,
            Layout::Grid4x4 => 16,
            Layout::Grid5x5 => 25,
        }
    }

    /// The resolution asked for on the tile of that number; absent: whatever there is.
    pub fn resolution(self, tile: usize) -> Option<Resolution> {
        match self {
            Layout::All => None,
            Layout::Speaker if tile == 0 => Some(Resolution::High),
            Layout::Grid3x3 => Some(Resolution::Medium),
            _ => Some(Resolution::Low),
        }
    }
}

/// Why a shape cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("the shape has no participants; give --participants, --video-publishers, --subscribers or --shape")]
    Empty,
    #[error("nobody publishes in a room of {0} subscribers; there would be nothing to measure")]
    Nothing(u64),
    #[error("the shape has {0} participants, and {LOAD_PARTICIPANTS_MAX} is the most one machine is asked for")]
    TooMany(u64),
    #[error("a room of {0} participants is asked for, and {LOAD_ROOM_PARTICIPANTS_MAX} is the most")]
    RoomTooLarge(u64),
    #[error("room `{0}` cannot be more than one; leave --room out for several rooms")]
    NamedRooms(String),
}

impl People {
    pub fn publishes(&self) -> bool {
        self.audio || self.video || self.screen
    }

    /// Tracks each of them publishes.
    pub fn tracks(&self) -> u64 {
        [self.audio, self.video, self.screen].into_iter().map(u64::from).sum()
    }
}

impl Group {
    /// People of one room.
    pub fn size(&self) -> u64 {
        self.people.iter().map(|p| u64::from(p.count)).sum()
    }

    /// What one room carries.
    pub fn tracks(&self) -> Tracks {
        let published =
            |of: fn(&People) -> bool| -> u64 { self.people.iter().filter(|p| of(p)).map(|p| u64::from(p.count)).sum() };
        let (audio, video, screen) = (published(|p| p.audio), published(|p| p.video), published(|p| p.screen));
        let mut tracks = Tracks { published_audio: audio, published_video: video + screen, ..Tracks::default() };
        let tiles = self.traits.layout.tiles() as u64;
        for people in self.people.iter().filter(|p| p.subscribes) {
            let others = |all: u64, own: bool| all.saturating_sub(u64::from(own)) * u64::from(people.count);
            let watched = |all: u64, own: bool| all.saturating_sub(u64::from(own)).min(tiles) * u64::from(people.count);
            tracks.subscribed_audio += others(audio, people.audio);
            tracks.subscribed_video += watched(video, people.video) + others(screen, people.screen);
        }
        tracks
    }
}

/// Tracks of a room or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    pub published_audio: u64,
    pub published_video: u64,
    pub subscribed_audio: u64,
    pub subscribed_video: u64,
}

impl Tracks {
    pub fn subscribed(&self) -> u64 {
        self.subscribed_audio + self.subscribed_video
    }

    fn times(self, rooms: u64) -> Tracks {
        Tracks {
            published_audio: self.published_audio * rooms,
            published_video: self.published_video * rooms,
            subscribed_audio: self.subscribed_audio * rooms,
            subscribed_video: self.subscribed_video * rooms,
        }
    }

    fn plus(self, other: Tracks) -> Tracks {
        Tracks {
            published_audio: self.published_audio + other.published_audio,
            published_video: self.published_video + other.published_video,
            subscribed_audio: self.subscribed_audio + other.subscribed_audio,
            subscribed_video: self.subscribed_video + other.subscribed_video,
        }
    }
}

impl Shape {
    pub fn participants(&self) -> u64 {
        self.groups.iter().map(|g| g.size() * u64::from(g.rooms)).sum()
    }

    pub fn rooms(&self) -> u64 {
        self.groups.iter().map(|g| u64::from(g.rooms)).sum()
    }

    pub fn tracks(&self) -> Tracks {
        let each = self.groups.iter().map(|g| g.tracks().times(g.rooms.into()));
        each.fold(Tracks::default(), Tracks::plus)
    }

    /// Whether such a load can be made.
    pub fn check(&self) -> Result<(), ShapeError> {
        let total = self.participants();
        if total == 0 {
            return Err(ShapeError::Empty);
        }
        if total > LOAD_PARTICIPANTS_MAX {
            return Err(ShapeError::TooMany(total));
        }
        self.groups.iter().filter(|g| g.rooms > 0).try_for_each(Group::check)
    }
}

impl Group {
    fn check(&self) -> Result<(), ShapeError> {
        let size = self.size();
        if size > LOAD_ROOM_PARTICIPANTS_MAX {
            return Err(ShapeError::RoomTooLarge(size));
        }
        if size > 0 && !self.people.iter().any(|p| p.count > 0 && p.publishes()) {
            return Err(ShapeError::Nothing(size));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(rooms: u32, people: &[People]) -> Group {
        Group { rooms, people: people.to_vec(), ..Group::default() }
    }

    fn two_way(count: u32) -> People {
        People { count, audio: true, video: true, subscribes: true, ..People::default() }
    }

    fn watchers(count: u32) -> People {
        People { count, subscribes: true, ..People::default() }
    }

    #[test]
    fn a_meeting_has_n_times_n_minus_1_of_each() {
        let shape = Shape { groups: vec![group(25, &[two_way(4)])], ..Shape::default() };
        let tracks = shape.tracks();
        assert_eq!((shape.participants(), shape.rooms()), (100, 25));
        assert_eq!((tracks.published_video, tracks.subscribed_video, tracks.subscribed_audio), (100, 300, 300));
    }

    #[test]
    fn a_storm_strikes_its_share() {
        let struck =
            |share, seats| (0..seats).filter(|seat| Storm { at: Duration::ZERO, share }.strikes(*seat, seats)).count();
        assert_eq!([struck(0.5, 10), struck(1.0, 7), struck(0.0, 7), struck(0.5, 1)], [5, 7, 0, 0]);
    }

    #[test]
    fn a_layout_limits_video_only() {
        let publishers = People { count: 10, audio: true, video: true, ..People::default() };
        let mut group = group(1, &[publishers, watchers(3)]);
        group.traits.layout = Layout::Speaker;
        let tracks = group.tracks();
        assert_eq!((tracks.subscribed_video, tracks.subscribed_audio), (18, 30));
    }

    #[test]
    fn impossible_shapes_are_told() {
        let check = |groups: Vec<Group>| Shape { groups, ..Shape::default() }.check();
        assert_eq!(check(vec![]), Err(ShapeError::Empty));
        assert_eq!(check(vec![group(0, &[two_way(4)])]), Err(ShapeError::Empty));
        assert_eq!(check(vec![group(1, &[watchers(9)])]), Err(ShapeError::Nothing(9)));
        assert!(matches!(check(vec![group(1_000_000, &[two_way(4)])]), Err(ShapeError::TooMany(4_000_000))));
        assert!(matches!(check(vec![group(1, &[two_way(20_000)])]), Err(ShapeError::RoomTooLarge(20_000))));
        assert_eq!(check(vec![group(1, &[two_way(1), watchers(800)])]), Ok(()));
    }
}
