//! Whom a subscriber watches under a layout: tiles are given to those who publish video, first come, first served, and
//! freed when they leave. Called by `member` whenever the room changes.

use super::shape::Layout;
use crate::client::View;
use crate::proto::{
    TrackType, UpdateSubscription, UpdateTrackSettings, VideoQuality, signal_request::Message as Request,
};
use std::collections::{BTreeMap, BTreeSet};

use super::camera::Resolution;

pub struct Tiles {
    layout: Layout,
    /// Tile by identity.
    seated: BTreeMap<String, usize>,
    wanted: BTreeSet<String>,
}

impl Tiles {
    pub fn new(layout: Layout) -> Tiles {
        Tiles { layout, seated: BTreeMap::new(), wanted: BTreeSet::new() }
    }

    /// What to ask the server for now.
    pub fn look(&mut self, view: &View) -> Vec<Request> {
        self.seated.retain(|identity, _| view.others.contains_key(identity));
        let mut requests = Vec::new();
        for (participant, track) in view.remote_tracks() {
            if self.wanted.contains(&track.sid) {
                continue;
            }
            let is_video = track.r#type() == TrackType::Video;
            let tile = if is_video { self.tile_of(&participant.identity) } else { Some(0) };
            let Some(tile) = tile else { continue };
            self.wanted.insert(track.sid.clone());
            requests.push(subscribe(&track.sid));
            let resolution = self.layout.resolution(tile).filter(|_| is_video);
            requests.extend(resolution.map(|resolution| setting(&track.sid, resolution)));
        }
        requests
    }

    fn tile_of(&mut self, identity: &str) -> Option<usize> {
        if let Some(tile) = self.seated.get(identity) {
            return Some(*tile);
        }
        let free = (0..self.layout.tiles()).find(|tile| !self.seated.values().any(|taken| taken == tile))?;
        self.seated.insert(identity.to_owned(), free);
        Some(free)
    }
}

fn subscribe(sid: &str) -> Request {
    Request::Subscription(UpdateSubscription {
        track_sids: vec![sid.to_owned()],
        subscribe: true,
        ..UpdateSubscription::default()
    })
}

fn setting(sid: &str, resolution: Resolution) -> Request {
    let (width, height) = resolution.size();
    let quality = match resolution {
        Resolution::Low => VideoQuality::Low,
        Resolution::Medium => VideoQuality::Medium,
        Resolution::High => VideoQuality::High,
    };
    let track_sids = vec![sid.to_owned()];
    Request::TrackSetting(UpdateTrackSettings {
        track_sids,
        quality: quality as i32,
        width,
        height,
        ..UpdateTrackSettings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ParticipantInfo, TrackInfo};

    fn person(n: usize) -> ParticipantInfo {
        let track = |kind: TrackType| TrackInfo {
            sid: format!("TR_{kind:?}_{n}"),
            r#type: kind as i32,
            ..TrackInfo::default()
        };
        let tracks = vec![track(TrackType::Audio), track(TrackType::Video)];
        ParticipantInfo { identity: format!("p{n:02}"), tracks, ..ParticipantInfo::default() }
    }

    fn view(people: impl Iterator<Item = usize>) -> View {
        View { others: people.map(person).map(|p| (p.identity.clone(), p)).collect(), ..View::default() }
    }

    fn count(requests: &[Request]) -> (usize, Vec<u32>) {
        let widths = requests.iter().filter_map(|r| match r {
            Request::TrackSetting(setting) => Some(setting.width),
            _ => None,
        });
        (requests.iter().filter(|r| matches!(r, Request::Subscription(_))).count(), widths.collect())
    }

    #[test]
    fn the_speaker_layout_has_one_large_and_five_small_and_all_audio() {
        let mut tiles = Tiles::new(Layout::Speaker);
        let requests = tiles.look(&view(0..10));
        assert_eq!(count(&requests), (16, vec![1280, 320, 320, 320, 320, 320]));
        assert!(tiles.look(&view(0..10)).is_empty(), "asked once");
    }

    #[test]
    fn a_tile_is_free_again_when_its_participant_leaves() {
        let mut tiles = Tiles::new(Layout::Grid3x3);
        tiles.look(&view(0..9));
        assert_eq!(count(&tiles.look(&view(0..10))), (1, vec![]), "audio only");
        assert_eq!(count(&tiles.look(&view((0..10).filter(|n| *n != 3)))), (1, vec![640]));
    }
}
