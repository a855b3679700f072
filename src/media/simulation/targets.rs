//! An AV1 track with two spatial and two temporal layers in one stream: what a leg tells its decoder of the layers it leaves
//! out (the dependency descriptor's active decode targets).

use crate::media::*;
use crate::wire::codec::Codec;
use crate::wire::dependency::{BYTES_MAX, Descriptor, Mandatory, Structure, write};
use crate::wire::rtp::{OutHeader, RtpHeader, write_header};
use std::time::{Duration, Instant};

/// Of the dependency descriptor, where it comes from…
const THEIRS: u8 = 4;
/// …and where it goes.
const OURS: u8 = 9;
const PT: u8 = 45;

fn extensions(id: u8) -> Extensions {
    Extensions { dependency_descriptor: Some(id), ..Extensions::default() }
}

fn at(picture: u16) -> Instant {
    test_epoch() + Duration::from_millis(33) * u32::from(picture)
}

fn payloads() -> Vec<Payload> {
    vec![Payload { codec: Codec::Av1, pt: PT, rtx_pt: None }]
}

fn target(spatial: u8, temporal: u8) -> Target {
    Target { spatial, temporal, paused: false }
}

struct World {
    up: UpTrack,
    leg: DownTrack,
    structure: Structure,
    frame: u16,
    picture: u16,
}

impl World {
    fn new() -> World {
        let mut up = UpTrack::new(UpSettings {
            payloads: payloads(),
            extensions: extensions(THEIRS),
            announced_layers: 0b11,
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
            extensions: extensions(OURS),
            target: target(1, 1),
            history_packets: 512,
            encrypted: None,
            adds_red: false,
            playout: None,
            first_sequence: 0,
            first_timestamp: 0,
        };
        World { up, leg: DownTrack::new(at(0), settings), structure: Structure::for_tests(), frame: 0, picture: 0 }
    }

    /// Sends a picture of both spatial layers; what the leg makes of it: layers and what each says is active.
    fn picture(&mut self, temporal: u8, key: bool) -> Vec<(u8, Option<u32>)> {
        self.picture += 1;
        (0..2).filter_map(|spatial| self.layer(spatial, temporal, key && spatial == 0)).collect()
    }

    fn layer(&mut self, spatial: u8, temporal: u8, brings_structure: bool) -> Option<(u8, Option<u32>)> {
        self.frame += 1;
        let template_id = spatial * 2 + temporal;
        let template = &self.structure.templates[usize::from(template_id)];
        let (indications, layer) = (template.indications, template.layer);
        let descriptor = Descriptor {
            mandatory: Mandatory { start_of_frame: true, end_of_frame: true, template_id, frame_number: self.frame },
            layer,
            indications,
            frame_diffs: template.frame_diffs.clone(),
            chain_diffs: template.chain_diffs.clone(),
            resolution: None,
            active_decode_targets: None,
            structure: brings_structure.then(|| Box::new(self.structure.clone())),
        };
        let mut bytes = [0; BYTES_MAX];
        let length = write(&mut bytes, &descriptor, Some(&self.structure)).unwrap();
        let timestamp = u32::from(self.picture) * 3_000;
        let header = OutHeader { marker: spatial == 1, payload_type: PT, sequence: self.frame, timestamp, ssrc: 1 };
        let mut packet = vec![0; 12 + 4 + BYTES_MAX];
        let begin = write_header(&mut packet, &header, &[(THEIRS, &bytes[..length])]).unwrap();
        packet.truncate(begin);
        packet.extend([0x10, 0x0A, 0x01, 0x00]);
        self.forward(&packet)
    }

    fn forward(&mut self, packet: &[u8]) -> Option<(u8, Option<u32>)> {
        let now = at(self.picture);
        let arrival = self.up.handle_rtp(now, &RtpHeader::parse(packet).unwrap(), packet, 0).unwrap();
        let Plan::Forward(outgoing) = self.leg.plan(now, &self.up, &arrival) else { return None };
        let mut out = [0; 600];
        let length = outgoing.write(packet, &[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        let told = header.extension(&out[..length], OURS).expect("a descriptor");
        let read = Descriptor::parse(told, Some(&self.structure)).unwrap();
        assert_eq!((read.mandatory.frame_number, read.layer.spatial), (self.frame, arrival.spatial));
        Some((read.layer.spatial, read.active_decode_targets))
    }
}

#[test]
fn a_decoder_is_told_which_layers_it_will_not_get_and_when_it_gets_them_again() {
    let mut world = World::new();
    assert_eq!(world.picture(0, true), [(0, Some(0b1111)), (1, None)], "a structure says what is sent");
    assert_eq!(world.picture(1, false), [(0, None), (1, None)]);
    world.leg.set_target(target(0, 1));
    assert_eq!(world.picture(0, false), [(0, Some(0b0011))], "the lower spatial layer");
    assert_eq!(world.picture(1, false), [(0, Some(0b0011))], "again, for a packet may be lost");
    world.leg.set_target(target(0, 0));
    assert_eq!(world.picture(0, false), [(0, Some(0b0001))]);
    assert_eq!(world.picture(1, false), []);
    world.leg.set_target(target(1, 1));
    assert_eq!(world.picture(0, false), [(0, Some(0b0001))], "up only at a key frame");
    assert_eq!(world.picture(0, true), [(0, Some(0b1111)), (1, None)]);
    assert_eq!(world.picture(1, false), [(0, None), (1, None)]);
}
