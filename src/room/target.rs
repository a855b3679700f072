//! From what a subscriber asks of a track to what its leg forwards (WIRE.md §4.6), and from a publisher's encodings to
//! layers (§3.12). How qualities and sizes name layers is `layers`'.

use super::dynacast::rank;
use super::layers;
use crate::proto::{TrackInfo, UpdateTrackSettings, VideoLayer, VideoQuality};
use crate::shard::{Encoding, Kept, LegTarget};

const TOP_SPATIAL: u8 = 2;
const TOP_TEMPORAL: u8 = 3;

/// Frame rates of the lower of the usual three temporal layers at 30 fps.
const TEMPORAL_FPS: [f32; 2] = [7.5, 15.0];
/// A rate this much lower than asked for still serves.
const FPS_TOLERANCE: f32 = 0.9;

/// What a subscriber asked of one track, remembered also before the subscription exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackSettings {
    pub disabled: bool,
    pub quality: VideoQuality,
    /// (0, 0): by quality.
    pub size: (u32, u32),
    /// 0 is all.
    pub fps: u32,
    /// 1 to 255 when bandwidth is short; 0 is the usual one.
    pub priority: u8,
}

impl TrackSettings {
    /// Before the client asks: everything, or the least where it will adapt by itself.
    pub fn initial(adaptive_stream: bool) -> TrackSettings {
        let quality = if adaptive_stream { VideoQuality::Low } else { VideoQuality::High };
        TrackSettings { disabled: false, quality, size: (0, 0), fps: 0, priority: 0 }
    }

    pub fn requested(update: &UpdateTrackSettings) -> TrackSettings {
        TrackSettings {
            disabled: update.disabled,
            quality: update.quality(),
            size: (update.width, update.height),
            fps: update.fps,
            priority: u8::try_from(update.priority).unwrap_or(u8::MAX),
        }
    }

    /// The quality this amounts to, for what the publisher is asked to send.
    pub fn wanted_quality(&self, info: &TrackInfo) -> VideoQuality {
        match self.disabled {
            true => VideoQuality::Off,
            false => layers::quality_of_spatial(layers_of(info), self.spatial(info)),
        }
    }

    /// The same of what an overloaded node still forwards.
    pub fn kept_quality(&self, info: &TrackInfo, kept: Kept) -> VideoQuality {
        let wanted = self.wanted_quality(info);
        match kept {
            Kept::All => wanted,
            Kept::UpTo(spatial) => {
                let most = layers::quality_of_spatial(layers_of(info), spatial);
                if rank(most) < rank(wanted) { most } else { wanted }
            }
            Kept::Nothing => VideoQuality::Off,
        }
    }

    pub fn target(&self, info: &TrackInfo) -> LegTarget {
        let (spatial, temporal) = (self.spatial(info), self.temporal());
        LegTarget { spatial, temporal, paused: self.disabled, priority: self.priority }
    }

    fn spatial(&self, info: &TrackInfo) -> u8 {
        let layers = layers_of(info);
        let spatial = match self.size {
            (0, _) | (_, 0) => layers::spatial_of_quality(layers, self.quality).unwrap_or(0),
            size => layers::spatial_of_size(layers, (info.width, info.height), [(0, 0); 3], size),
        };
        spatial.min(TOP_SPATIAL)
    }

    fn temporal(&self) -> u8 {
        let wanted = self.fps as f32 * FPS_TOLERANCE;
        match self.fps {
            0 => TOP_TEMPORAL,
            _ => TEMPORAL_FPS.iter().position(|fps| *fps >= wanted).map_or(TOP_TEMPORAL, |t| t as u8),
        }
    }
}

/// Layers of the codec in use; the deprecated list of older clients otherwise.
#[allow(deprecated)]
fn layers_of(info: &TrackInfo) -> &[VideoLayer] {
    let own = info.codecs.iter().find(|c| c.mime_type.eq_ignore_ascii_case(&info.mime_type) && !c.layers.is_empty());
    own.map_or(&info.layers, |codec| &codec.layers)
}

/// Numbers the spatial layers of a publisher's encodings by their RIDs and the layers it announced. Encodings with other
/// RIDs, or none, keep their place.
pub fn number_layers(info: &TrackInfo, encodings: &mut [Encoding]) {
    for encoding in encodings.iter_mut() {
        if let Some(rid) = encoding.rid.as_deref().filter(|rid| ["q", "h", "f", "2", "1", "0"].contains(rid)) {
            encoding.spatial = layers::spatial_of_rid(layers_of(info), rid);
        }
        encoding.spatial = encoding.spatial.min(TOP_SPATIAL);
    }
}

/// Announced picture sizes by spatial layer.
pub fn layer_sizes(info: &TrackInfo) -> [(u32, u32); 3] {
    let mut sizes = [(0, 0); 3];
    for layer in layers_of(info) {
        let spatial = usize::try_from(layer.spatial_layer).unwrap_or(usize::MAX);
        if let Some(size) = sizes.get_mut(spatial) {
            *size = (layer.width, layer.height);
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use VideoQuality::{High, Low, Medium, Off};

    #[allow(deprecated)]
    fn track(qualities: &[(VideoQuality, u32, u32)]) -> TrackInfo {
        let layer = |(spatial, (quality, width, height)): (i32, &(VideoQuality, u32, u32))| VideoLayer {
            quality: *quality as i32,
            spatial_layer: spatial,
            width: *width,
            height: *height,
            ..VideoLayer::default()
        };
        let layers = (0..).zip(qualities).map(layer).collect();
        TrackInfo { layers, width: 1280, height: 720, ..TrackInfo::default() }
    }

    fn three_layers() -> TrackInfo {
        track(&[(Low, 320, 180), (Medium, 640, 360), (High, 1280, 720)])
    }

    fn two_layers() -> TrackInfo {
        track(&[(Low, 320, 180), (High, 1280, 720)])
    }

    fn settings(quality: VideoQuality, size: (u32, u32), fps: u32) -> TrackSettings {
        TrackSettings { disabled: false, quality, size, fps, priority: 0 }
    }

    #[test]
    fn settings_choose_layers() {
        let cases = [
            (three_layers(), settings(Low, (0, 0), 0), (0, 3)),
            (three_layers(), settings(Medium, (0, 0), 7), (1, 0)),
            (three_layers(), settings(High, (0, 0), 15), (2, 1)),
            (three_layers(), settings(Low, (640, 360), 30), (1, 3)),
            (three_layers(), settings(Low, (700, 400), 0), (1, 3)),
            (three_layers(), settings(Low, (710, 410), 0), (2, 3)),
            (three_layers(), settings(Low, (4000, 2000), 0), (2, 3)),
            (two_layers(), settings(High, (0, 0), 0), (1, 3)),
            (two_layers(), settings(Low, (640, 360), 0), (1, 3)),
            (TrackInfo::default(), settings(Medium, (0, 0), 0), (1, 3)),
        ];
        for (info, settings, (spatial, temporal)) in cases {
            let target = settings.target(&info);
            assert_eq!((target.spatial, target.temporal), (spatial, temporal), "{settings:?}");
        }
    }

    #[test]
    fn adaptive_clients_start_low() {
        let info = three_layers();
        assert_eq!(TrackSettings::initial(true).target(&info).spatial, 0);
        assert_eq!(TrackSettings::initial(false).target(&info).spatial, 2);
    }

    #[test]
    fn disabled_pauses_and_wants_nothing() {
        let mut settings = TrackSettings::initial(false);
        settings.disabled = true;
        assert!(settings.target(&three_layers()).paused);
        assert_eq!(settings.wanted_quality(&three_layers()), Off);
        settings.disabled = false;
        assert_eq!(settings.wanted_quality(&three_layers()), High);
    }

    #[test]
    fn encodings_get_the_layers_of_their_rids() {
        let numbered = |info: &TrackInfo, rids: &[&str]| {
            let encoding =
                |(spatial, rid): (u8, &&str)| Encoding { rid: Some(rid.to_string()), spatial, ..Encoding::default() };
            let mut encodings: Vec<_> = (0..).zip(rids).map(encoding).collect();
            number_layers(info, &mut encodings);
            encodings.into_iter().map(|e| e.spatial).collect::<Vec<_>>()
        };
        assert_eq!(numbered(&three_layers(), &["q", "h", "f"]), [0, 1, 2]);
        assert_eq!(numbered(&two_layers(), &["q", "f"]), [0, 1]);
        assert_eq!(numbered(&three_layers(), &["lo", "hi"]), [0, 1]);
        assert_eq!(layer_sizes(&two_layers()), [(320, 180), (1280, 720), (0, 0)]);
    }
}
