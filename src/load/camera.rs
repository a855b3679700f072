//! The cameras and displays of a test: resolutions and the bit rates of their encodings. Called by `member`.

use crate::client::media::{Layer, Video, VideoSource};

/// The highest encoding a camera sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Resolution {
    Low,
    Medium,
    #[default]
    High,
}

impl Resolution {
    pub const NAMES: [(&str, Resolution); 3] =
        [("low", Resolution::Low), ("medium", Resolution::Medium), ("high", Resolution::High)];

    pub fn from_name(name: &str) -> Option<Resolution> {
        Resolution::NAMES.iter().find(|(n, _)| *n == name).map(|(_, resolution)| *resolution)
    }

    pub fn name(self) -> &'static str {
        Resolution::NAMES.iter().find(|(_, resolution)| *resolution == self).map_or("high", |(name, _)| name)
    }

    /// Width and height in pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Resolution::Low => (320, 180),
            Resolution::Medium => (640, 360),
            Resolution::High => (1280, 720),
        }
    }
}

/// A camera as LiveKit's JS client has it: at most three encodings, each twice as wide as the one below.
pub fn camera(resolution: Resolution, simulcast: bool) -> VideoSource {
    let all = VideoSource::simulcast();
    let count = match resolution {
        Resolution::Low => 1,
        Resolution::Medium => 2,
        Resolution::High => 3,
    };
    let mut layers: Vec<Layer> = all.layers.into_iter().take(count).collect();
    if !simulcast {
        layers.drain(..count - 1);
    }
    VideoSource { layers, ..VideoSource::simulcast() }
}

/// A shared screen: full HD, few frames, one encoding.
pub fn display() -> Video {
    let layer = Layer { width: 1920, height: 1080, bitrate_bps: 1_500_000 };
    let source = VideoSource { fps: 15, temporal_layers: 1, layers: vec![layer] };
    Video { is_screen: true, ..source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_the_highest_encoding() {
        let widths = |r, s| camera(r, s).layers.iter().map(|l| l.width).collect::<Vec<_>>();
        assert_eq!(widths(Resolution::High, true), [320, 640, 1280]);
        assert_eq!(widths(Resolution::Medium, true), [320, 640]);
        assert_eq!(widths(Resolution::Low, true), [320]);
        assert_eq!(widths(Resolution::High, false), [1280]);
        assert_eq!(widths(Resolution::Medium, false), [640]);
    }
}
