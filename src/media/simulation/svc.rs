//! A VP9 track with three spatial layers in one stream: what is left when upper layers are dropped.

use crate::media::*;
use crate::wire::codec::{Codec, vp9};
use crate::wire::rtp::{OutHeader, RtpHeader, write_header};
use std::time::{Duration, Instant};

const LAYERS: u8 = 3;

fn at(picture: u32) -> Instant {
    test_epoch() + Duration::from_millis(33) * picture
}

fn payloads() -> Vec<Payload> {
    vec![Payload { codec: Codec::Vp9, pt: 98, rtx_pt: None }]
}

fn target(spatial: u8) -> Target {
    Target { spatial, temporal: 3, paused: false }
}

struct World {
    up: UpTrack,
    leg: DownTrack,
    sequence: u16,
    picture: u32,
    /// (picture, spatial layer, marker, sequence) of what was forwarded.
    forwarded: Vec<(u32, u8, bool, u16)>,
}

impl World {
    fn new(spatial: u8) -> World {
        let mut up = UpTrack::new(UpSettings {
            payloads: payloads(),
            extensions: Extensions::default(),
            announced_layers: 0b111,
            layered: true,
            is_screen_share: false,
            history_packets: 512,
            pli_throttle: [Duration::from_millis(500); 3],
            speaker: None,
        });
        assert!(up.set_stream(at(0), 0, 1));
        let settings = LegSettings {
            ssrc: 9,
            rtx_ssrc: None,
            payloads: payloads(),
            extensions: Extensions::default(),
            target: target(spatial),
            history_packets: 512,
            encrypted: None,
            adds_red: false,
            playout: None,
            first_sequence: 0,
            first_timestamp: 0,
        };
        let leg = DownTrack::new(at(0), settings);
        World { up, leg, sequence: 65_500, picture: 0, forwarded: Vec::new() }
    }

    /// Sends pictures, each layer in two packets; the first is a key picture if asked for.
    fn send(&mut self, pictures: u32, key: bool) {
        for n in 0..pictures {
            for spatial in 0..LAYERS {
                self.layer_frame(spatial, key && n == 0);
            }
            self.picture += 1;
        }
    }

    fn layer_frame(&mut self, spatial: u8, key: bool) {
        for (begin, end) in [(0x08, 0), (0, 0x04)] {
            let inter = if key { 0 } else { 0x40 };
            let marker = end != 0 && spatial + 1 == LAYERS;
            self.sequence = self.sequence.wrapping_add(1);
            let header = OutHeader {
                marker,
                payload_type: 98,
                sequence: self.sequence,
                timestamp: self.picture * 3_000,
                ssrc: 1,
            };
            let mut packet = vec![0; 12];
            write_header(&mut packet, &header, &[]).unwrap();
            packet.extend([0x20 | inter | begin | end, spatial << 1 | u8::from(spatial > 0), 0, 1, 2, 3]);
            self.forward(&packet);
        }
    }

    fn forward(&mut self, packet: &[u8]) {
        let now = at(self.picture);
        let arrival = self.up.handle_rtp(now, &RtpHeader::parse(packet).unwrap(), packet, 0).unwrap();
        let Plan::Forward(outgoing) = self.leg.plan(now, &self.up, &arrival) else { return };
        let spatial = vp9::Descriptor::parse(outgoing.payload.in_packet(packet)).unwrap().layer.unwrap().sid;
        self.forwarded.push((self.picture, spatial, outgoing.header.marker, outgoing.header.sequence));
    }

    fn layers_of(&self, picture: u32) -> Vec<u8> {
        let mut layers: Vec<u8> = self.forwarded.iter().filter(|f| f.0 == picture).map(|f| f.1).collect();
        layers.dedup();
        layers
    }
}

#[test]
fn upper_layers_are_dropped_between_pictures_and_return_with_a_key_picture() {
    let mut world = World::new(2);
    world.send(5, false);
    assert!(world.forwarded.is_empty(), "waits for a key picture");
    assert_eq!(world.leg.wants_key_frame(at(5), &world.up), Some(2));
    world.send(5, true);
    assert_eq!(world.layers_of(9), [0, 1, 2]);
    world.leg.set_target(target(0));
    world.send(5, false);
    assert_eq!(world.layers_of(10), [0]);
    assert_eq!(world.leg.wants_key_frame(at(15), &world.up), None, "going down needs no key frame");
    world.leg.set_target(target(1));
    world.send(5, false);
    assert_eq!(world.layers_of(19), [0]);
    assert_eq!(world.leg.wants_key_frame(at(20), &world.up), Some(1));
    world.send(5, true);
    assert_eq!(world.layers_of(20), [0, 1]);
    for pair in world.forwarded.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        assert_eq!(a.3.wrapping_add(1), b.3, "no gaps: {a:?} then {b:?}");
        assert_eq!(a.2, a.0 != b.0, "the marker ends the picture: {a:?} then {b:?}");
    }
}
