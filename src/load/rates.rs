//! What a shape makes a server do each second: packets, bursts and bits in and out, computed from what the synthetic
//! participants send and their layouts have them watch. Called by `plan`, `calibrate` and `--verify-plan`. RTCP and signalling
//! are left out: about a hundredth.

use super::camera::{Resolution, camera, display};
use super::shape::{Group, Layout, People, Shape};
use crate::client::media::{AudioSource, OPUS_FRAME, PAYLOAD_BYTES_MAX, Video, VideoSource};
use serde::{Deserialize, Serialize};
use std::ops::{Add, Mul};

/// Each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    pub packets_in: f64,
    /// Packets of one frame come together.
    #[serde(default)]
    pub bursts_in: f64,
    pub packets_out: f64,
    /// Packets of one frame to one subscriber leave together.
    pub bursts_out: f64,
    /// Payload.
    pub payload_bps_in: f64,
    pub payload_bps_out: f64,
}

/// RTP header and extensions, the authentication tag, UDP and IPv4, in bytes.
const OVERHEAD_BYTES: f64 = 12.0 + 8.0 + 16.0 + 28.0;

/// One stream each second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stream {
    packets: f64,
    frames: f64,
    bps: f64,
}

impl Rates {
    /// Of all rooms.
    pub fn of(shape: &Shape) -> Rates {
        shape.groups.iter().fold(Rates::default(), |sum, group| sum + Rates::of_room(group) * f64::from(group.rooms))
    }

    /// Of one room of the group.
    pub fn of_room(group: &Group) -> Rates {
        let tracks = group.tracks();
        let mic = microphone();
        let audio = incoming(mic, tracks.published_audio) + outgoing(mic, tracks.subscribed_audio);
        audio + screens(group) + cameras(group)
    }

    /// The same mix at the packet rates that were measured: a run never is quite what its shape says.
    pub fn at(&self, packets_in: f64, packets_out: f64) -> Rates {
        let ratio = |measured: f64, told: f64| if told > 0.0 { measured / told } else { 1.0 };
        let (up, down) = (ratio(packets_in, self.packets_in), ratio(packets_out, self.packets_out));
        Rates {
            packets_in,
            bursts_in: self.bursts_in * up,
            packets_out,
            bursts_out: self.bursts_out * down,
            payload_bps_in: self.payload_bps_in * up,
            payload_bps_out: self.payload_bps_out * down,
        }
    }

    /// Bits on the wire.
    pub fn wire_bps_out(&self) -> f64 {
        self.payload_bps_out + self.packets_out * OVERHEAD_BYTES * 8.0
    }

    pub fn wire_bps_in(&self) -> f64 {
        self.payload_bps_in + self.packets_in * OVERHEAD_BYTES * 8.0
    }
}

impl Add for Rates {
    type Output = Rates;

    fn add(self, other: Rates) -> Rates {
        Rates {
            packets_in: self.packets_in + other.packets_in,
            bursts_in: self.bursts_in + other.bursts_in,
            packets_out: self.packets_out + other.packets_out,
            bursts_out: self.bursts_out + other.bursts_out,
            payload_bps_in: self.payload_bps_in + other.payload_bps_in,
            payload_bps_out: self.payload_bps_out + other.payload_bps_out,
        }
    }
}

impl Mul<f64> for Rates {
    type Output = Rates;

    fn mul(self, times: f64) -> Rates {
        Rates {
            packets_in: self.packets_in * times,
            bursts_in: self.bursts_in * times,
            packets_out: self.packets_out * times,
            bursts_out: self.bursts_out * times,
            payload_bps_in: self.payload_bps_in * times,
            payload_bps_out: self.payload_bps_out * times,
        }
    }
}

fn incoming(stream: Stream, count: u64) -> Rates {
    let count = count as f64;
    Rates {
        packets_in: stream.packets * count,
        bursts_in: stream.frames * count,
        payload_bps_in: stream.bps * count,
        ..Rates::default()
    }
}

fn outgoing(stream: Stream, count: u64) -> Rates {
    let count = count as f64;
    Rates {
        packets_out: stream.packets * count,
        bursts_out: stream.frames * count,
        payload_bps_out: stream.bps * count,
        ..Rates::default()
    }
}

fn microphone() -> Stream {
    let packets = 1.0 / OPUS_FRAME.as_secs_f64();
    Stream { packets, frames: packets, bps: f64::from(AudioSource::default().bitrate_bps) }
}

/// One encoding of a source.
fn video(source: &VideoSource, layer: usize) -> Stream {
    let Some(layer) = source.layers.get(layer) else { return Stream::default() };
    let fps = f64::from(source.fps);
    let bytes = (f64::from(layer.bitrate_bps) / 8.0 / fps).floor();
    let packets = (bytes / PAYLOAD_BYTES_MAX as f64).ceil().max(1.0);
    Stream { packets: packets * fps, frames: fps, bps: f64::from(layer.bitrate_bps) }
}

/// Spatial layers up to that one, which come in one burst.
fn scaled(source: &VideoSource, top: usize) -> Stream {
    let layers = (0..=top).map(|layer| video(source, layer));
    layers.fold(Stream::default(), |sum, layer| Stream {
        packets: sum.packets + layer.packets,
        frames: layer.frames,
        bps: sum.bps + layer.bps,
    })
}

fn screens(group: &Group) -> Rates {
    let published: u64 = group.people.iter().filter(|p| p.screen).map(|p| u64::from(p.count)).sum();
    let others = |p: &People| published.saturating_sub(u64::from(p.screen)) * u64::from(p.count);
    let subscribed = group.people.iter().filter(|p| p.subscribes).map(others).sum();
    let screen = video(&display().source, 0);
    incoming(screen, published) + outgoing(screen, subscribed)
}

fn cameras(group: &Group) -> Rates {
    let source = camera(group.traits.resolution, group.traits.simulcast);
    let published: u64 = group.people.iter().filter(|p| p.video).map(|p| u64::from(p.count)).sum();
    let watchers = group.people.iter().filter(|p| p.subscribes);
    let scalable = Video { codec: group.traits.codec.unwrap_or_default(), ..source.clone().into() }.is_scalable();
    let watched_as = |layer: usize| if scalable { scaled(&source, layer) } else { video(&source, layer) };
    let mut rates = Rates::default();
    // How many publishers are watched at most at each encoding: dynacast has the rest not sent.
    let mut watched = vec![0u64; source.layers.len()];
    for people in watchers {
        let others = published.saturating_sub(u64::from(people.video));
        for (layer, tiles) in tiles(group.traits.layout, others, &source) {
            rates = rates + outgoing(watched_as(layer), tiles * u64::from(people.count));
            // Who publishes sees one more than a mere subscriber: the one who is not itself.
            let seen = (tiles + u64::from(people.video)).min(published);
            watched[layer] = watched[layer].max(seen);
        }
    }
    // Whoever sends an encoding sends those below it.
    let mut sending = 0;
    for layer in (0..source.layers.len()).rev() {
        sending = (sending + watched[layer]).min(published);
        rates = rates + incoming(video(&source, layer), sending);
    }
    rates
}

/// Encodings a subscriber of so many others watches, and how many of each.
fn tiles(layout: Layout, others: u64, source: &VideoSource) -> Vec<(usize, u64)> {
    let top = source.layers.len() - 1;
    let layer = |resolution: Resolution| match resolution {
        Resolution::Low => 0,
        Resolution::Medium => 1.min(top),
        Resolution::High => top,
    };
    let shown = others.min(layout.tiles() as u64);
    match layout {
        Layout::All => vec![(top, shown)],
        Layout::Speaker => {
            let large = shown.min(1);
            vec![(top, large), (0, shown - large)]
        }
        _ => vec![(layer(layout.resolution(1).unwrap_or_default()), shown)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::language::parse;
    use super::super::shape::Traits;
    use super::*;

    fn rates(text: &str) -> Rates {
        Rates::of(&parse(text, &Traits::default()).unwrap())
    }

    #[test]
    fn a_stream_to_ten_is_ten_streams() {
        let rates = rates("(1vp,10s)");
        assert_eq!((rates.packets_out, rates.bursts_out, rates.bursts_in), (2100.0, 300.0, 90.0));
        let measured = rates.at(600.0, 1050.0);
        assert_eq!((measured.bursts_out, measured.bursts_in), (150.0, 180.0));
        assert_eq!((rates.packets_in, rates.payload_bps_out), (300.0, 17e6), "three encodings in, the highest out");
    }

    #[test]
    fn a_meeting_counts_n_times_n_minus_1() {
        let rates = rates("25x(4av)");
        assert_eq!(rates.packets_out, 25.0 * 12.0 * (50.0 + 210.0));
        assert_eq!(rates.packets_in, 100.0 * (50.0 + 300.0));
    }

    #[test]
    fn layouts_choose_encodings_and_what_nobody_watches_is_not_sent() {
        let speaker = rates("(10vp,3s,layout=speaker)");
        assert_eq!(speaker.packets_out, 3.0 * (210.0 + 5.0 * 30.0));
        assert_eq!(speaker.packets_in, 300.0 + 5.0 * 30.0);
        let grid = rates("(4v,layout=3x3)");
        assert_eq!((grid.packets_out, grid.packets_in), (12.0 * 60.0, 4.0 * 90.0));
        assert_eq!(rates("(4vp)").packets_in, 0.0);
    }

    #[test]
    fn vp9_brings_the_layers_below_as_well() {
        let rates = rates("(1vp,10s,codec=vp9)");
        assert_eq!((rates.packets_out, rates.bursts_out, rates.packets_in), (3000.0, 300.0, 300.0));
    }

    #[test]
    fn the_wire_carries_more_than_payload() {
        let audio = rates("(1ap,1s)");
        assert_eq!((audio.payload_bps_out, audio.wire_bps_out()), (32_000.0, 32_000.0 + 50.0 * 64.0 * 8.0));
    }
}
