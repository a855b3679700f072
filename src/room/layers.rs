//! How qualities, rids and picture sizes name the spatial layers of a video track (WIRE.md §3.12, §4.6). Layers are the
//! ones a client announced; only their qualities decide how many there are.

use crate::proto::{VideoLayer, VideoQuality};

/// Names of simulcast streams, lowest first: LiveKit's, and those of clients that count down from the best.
const RIDS: [[&str; 3]; 2] = [["q", "h", "f"], ["2", "1", "0"]];

/// Sizes assumed while nobody said any, shorter side in pixels; the third is the track's own.
const DEFAULT_SIZES: [u32; 2] = [180, 360];

/// A layer this much smaller than asked for, in percent, is good enough.
const ENOUGH_PERCENT: u64 = 90;

/// Layers of a video codec, one per quality at most, lowest first.
pub fn tidy(layers: &[VideoLayer]) -> Vec<VideoLayer> {
    let mut kept: Vec<VideoLayer> = Vec::new();
    for layer in layers {
        let is_new = kept.iter().all(|k| k.quality != layer.quality);
        if is_new && (0..=VideoQuality::High as i32).contains(&layer.quality) {
            kept.push(layer.clone());
        }
    }
    kept.sort_by_key(|layer| layer.quality);
    for (spatial, layer) in kept.iter_mut().enumerate() {
        layer.spatial_layer = spatial as i32;
        layer.rid = RIDS[0][spatial].to_owned();
    }
    kept
}

/// The spatial layer that carries a quality; the best there is when none is that good. `None` for OFF.
pub fn spatial_of_quality(layers: &[VideoLayer], quality: VideoQuality) -> Option<u8> {
    let wanted = (quality != VideoQuality::Off).then_some(quality as u8)?;
    let present = qualities(layers);
    let lower = present.iter().filter(|&&q| (q as u8) < wanted).count() as u8;
    Some(if present.is_empty() { wanted } else { lower.min(top(&present)) })
}

/// The quality a spatial layer carries; OFF for a layer beyond the third.
pub fn quality_of_spatial(layers: &[VideoLayer], spatial: u8) -> VideoQuality {
    let all = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];
    let present = qualities(layers);
    let known = if present.is_empty() { &all[..] } else { &present };
    match known.get(usize::from(spatial)) {
        Some(&quality) => quality,
        None if spatial <= 2 => VideoQuality::High,
        None => VideoQuality::Off,
    }
}

/// The spatial layer of a simulcast stream. A stream without rid, or with a foreign one, is the only layer.
pub fn spatial_of_rid(layers: &[VideoLayer], rid: &str) -> u8 {
    let rid = rid.trim_start_matches('~');
    let position = RIDS.iter().find_map(|names| names.iter().position(|&name| name == rid)).unwrap_or(0) as u8;
    let present = qualities(layers);
    if present.is_empty() { position } else { position.min(top(&present)) }
}

/// The simulcast stream of a spatial layer, in LiveKit's names.
pub fn rid_of_spatial(layers: &[VideoLayer], spatial: u8) -> &'static str {
    let present = qualities(layers);
    let highest = if present.is_empty() { 2 } else { top(&present) };
    RIDS[0][usize::from(spatial.min(highest))]
}

/// The spatial layer for a picture of `wanted` (width, height): the smallest whose size is enough. `track` is the size of
/// the track, `measured` what layers turned out to be, lowest first, (0, 0) unknown.
pub fn spatial_of_size(layers: &[VideoLayer], track: (u32, u32), measured: [(u32, u32); 3], wanted: (u32, u32)) -> u8 {
    if track.1 == 0 {
        return spatial_of_quality(layers, VideoQuality::High).unwrap_or(0);
    }
    let sizes = sizes(layers, track, measured);
    let enough = u64::from(side(track, wanted)) * ENOUGH_PERCENT / 100;
    let position = sizes.iter().enumerate().position(|(i, &size)| suffices(&sizes, i, size, enough));
    let position = position.unwrap_or(sizes.len().saturating_sub(1)) as u8;
    let present = qualities(layers);
    if present.is_empty() { position } else { position.min(top(&present)) }
}

/// Of two layers of one size the upper is taken.
fn suffices(sizes: &[u32], index: usize, size: u32, enough: u64) -> bool {
    u64::from(size) >= enough && sizes.get(index + 1) != Some(&size)
}

/// The shorter side's length by layer, lowest first.
fn sizes(layers: &[VideoLayer], track: (u32, u32), measured: [(u32, u32); 3]) -> Vec<u32> {
    let announced: Vec<u32> = layers.iter().map(|l| side(track, (l.width, l.height))).filter(|&s| s > 0).collect();
    let measured: Vec<u32> = measured.iter().map(|&size| side(track, size)).filter(|&s| s > 0).collect();
    let mut sizes = [announced, measured]
        .into_iter()
        .find(|known| !known.is_empty())
        .unwrap_or_else(|| vec![DEFAULT_SIZES[0], DEFAULT_SIZES[1], side(track, track)]);
    sizes.sort_unstable();
    sizes
}

/// The side that is compared: the width of a portrait track, else the height.
fn side(track: (u32, u32), size: (u32, u32)) -> u32 {
    if track.0 < track.1 { size.0 } else { size.1 }
}

fn qualities(layers: &[VideoLayer]) -> Vec<VideoQuality> {
    let mut present: Vec<_> = layers.iter().map(|l| l.quality()).filter(|&q| q != VideoQuality::Off).collect();
    present.sort_unstable();
    present.dedup();
    present
}

fn top(present: &[VideoQuality]) -> u8 {
    present.len().saturating_sub(1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use VideoQuality::{High, Low, Medium, Off};

    fn layers(qualities: &[VideoQuality]) -> Vec<VideoLayer> {
        qualities.iter().map(|&q| VideoLayer { quality: q as i32, ..Default::default() }).collect()
    }

    #[test]
    fn quality_to_layer_and_back() {
        // announced; layers of LOW, MEDIUM, HIGH; qualities of layers 0, 1, 2
        let cases: [(&[VideoQuality], [u8; 3], [VideoQuality; 3]); 8] = [
            (&[], [0, 1, 2], [Low, Medium, High]),
            (&[Low, Medium, High], [0, 1, 2], [Low, Medium, High]),
            (&[Low, Medium], [0, 1, 1], [Low, Medium, High]),
            (&[Low, High], [0, 1, 1], [Low, High, High]),
            (&[Medium, High], [0, 0, 1], [Medium, High, High]),
            (&[Low], [0, 0, 0], [Low, High, High]),
            (&[Medium], [0, 0, 0], [Medium, High, High]),
            (&[High], [0, 0, 0], [High, High, High]),
        ];
        for (announced, spatial, quality) in cases {
            let layers = layers(announced);
            assert_eq!([Low, Medium, High].map(|q| spatial_of_quality(&layers, q).unwrap()), spatial, "{announced:?}");
            assert_eq!([0, 1, 2].map(|s| quality_of_spatial(&layers, s)), quality, "{announced:?}");
            assert_eq!(spatial_of_quality(&layers, Off), None);
            assert_eq!(quality_of_spatial(&layers, 3), Off);
        }
    }

    #[test]
    fn rid_to_layer_and_back() {
        let cases: [(&[VideoQuality], [u8; 3], [&str; 3]); 5] = [
            (&[], [0, 1, 2], ["q", "h", "f"]),
            (&[Low, Medium, High], [0, 1, 2], ["q", "h", "f"]),
            (&[Low, High], [0, 1, 1], ["q", "h", "h"]),
            (&[Medium, High], [0, 1, 1], ["q", "h", "h"]),
            (&[High], [0, 0, 0], ["q", "q", "q"]),
        ];
        for (announced, spatial, rids) in cases {
            let layers = layers(announced);
            assert_eq!(["q", "h", "f"].map(|r| spatial_of_rid(&layers, r)), spatial, "{announced:?}");
            assert_eq!(["2", "~1", "0"].map(|r| spatial_of_rid(&layers, r)), spatial, "{announced:?}");
            assert_eq!([0, 1, 2].map(|s| rid_of_spatial(&layers, s)), rids, "{announced:?}");
            assert_eq!(spatial_of_rid(&layers, ""), 0);
        }
    }

    fn sized(sizes: &[(u32, u32)]) -> Vec<VideoLayer> {
        let layer = |(i, &(width, height)): (usize, &(u32, u32))| VideoLayer {
            quality: i as i32,
            width,
            height,
            ..Default::default()
        };
        sizes.iter().enumerate().map(layer).collect()
    }

    #[test]
    fn size_to_layer() {
        let three = sized(&[(320, 180), (640, 360), (1280, 720)]);
        let portrait = sized(&[(180, 320), (360, 640), (720, 1280)]);
        let same = sized(&[(640, 360), (640, 360), (1280, 720)]);
        let unsized_ = layers(&[Low, Medium, High]);
        let one = layers(&[High]);
        let none = [(0, 0); 3];
        let seen = [(160, 90), (320, 180), (640, 360)];
        let hd = (1280, 720);
        let cases = [
            ("exact", &three, hd, none, (320, 180), 0),
            ("within a tenth", &three, hd, none, (355, 200), 0),
            ("a little more", &three, hd, none, (359, 202), 1),
            ("larger than all", &three, hd, none, (3840, 2160), 2),
            ("nothing", &three, hd, none, (0, 0), 0),
            ("portrait by width", &portrait, (720, 1280), none, (360, 100), 1),
            ("equal sizes take the upper", &same, hd, none, (100, 100), 1),
            ("measured", &unsized_, hd, seen, (320, 180), 1),
            ("announced wins over measured", &three, hd, seen, (320, 180), 0),
            ("default sizes", &unsized_, hd, none, (640, 360), 1),
            ("no layers", &vec![], hd, none, (1280, 720), 2),
            ("single layer", &one, hd, none, (320, 180), 0),
            ("track of unknown size", &three, (0, 0), none, (320, 180), 2),
        ];
        for (name, layers, track, measured, wanted, expected) in cases {
            assert_eq!(spatial_of_size(layers, track, measured, wanted), expected, "{name}");
        }
    }

    #[test]
    fn tidy_bounds_and_orders_what_a_client_sent() {
        let mut sent = layers(&[High, Off, Low, High]);
        sent.push(VideoLayer { quality: 77, ..Default::default() });
        sent[3].width = 5;
        let kept: Vec<_> = tidy(&sent).into_iter().map(|l| (l.quality(), l.spatial_layer, l.rid, l.width)).collect();
        assert_eq!(kept, [(Low, 0, "q".to_owned(), 0), (High, 1, "h".to_owned(), 0)]);
    }
}
