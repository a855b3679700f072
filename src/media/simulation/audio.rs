//! An audio track and its legs: RED and Opus, silence on mute, reports and loudness, through the public interface.

use crate::media::redundancy::RED_BYTES_MAX;
use crate::media::*;
use crate::wire::codec::{Codec, red};
use crate::wire::rtcp::{Packet, packets};
use crate::wire::rtp::{OutHeader, RtpHeader, write_header};
use std::time::{Duration, Instant};

const OPUS_PT: u8 = 111;
const RED_PT: u8 = 63;
const LEVEL_ID: u8 = 1;
const FRAME: u32 = 960;

fn at(ms: u64) -> Instant {
    test_epoch() + Duration::from_millis(ms)
}

fn payload(codec: Codec, pt: u8) -> Payload {
    Payload { codec, pt, rtx_pt: None }
}

fn track() -> UpTrack {
    let mut up = UpTrack::new(UpSettings {
        payloads: vec![payload(Codec::Red, RED_PT), payload(Codec::Opus, OPUS_PT)],
        extensions: Extensions { audio_level: Some(LEVEL_ID), ..Extensions::default() },
        announced_layers: 0b001,
        layered: false,
        is_screen_share: false,
        history_packets: 256,
        pli_throttle: [Duration::from_millis(500); 3],
        speaker: Some(SpeakerRule::default()),
    });
    assert!(up.set_stream(at(0), 0, 1));
    up
}

fn leg(payloads: Vec<Payload>) -> DownTrack {
    let target = Target { spatial: 0, temporal: 0, paused: false };
    let settings = LegSettings {
        ssrc: 9,
        rtx_ssrc: None,
        payloads,
        extensions: Extensions::default(),
        target,
        history_packets: 256,
        encrypted: None,
        adds_red: false,
        playout: None,
        first_sequence: 40,
        first_timestamp: 4_000,
    };
    DownTrack::new(at(0), settings)
}

fn opus_leg() -> DownTrack {
    leg(vec![payload(Codec::Opus, 109)])
}

/// The Opus frame of packet `n`.
fn frame(n: u16) -> Vec<u8> {
    vec![n as u8; 10 + usize::from(n % 5)]
}

fn header(pt: u8, n: u16) -> Vec<u8> {
    let (sequence, timestamp) = (n, FRAME * u32::from(n));
    let mut packet = vec![0; 64];
    let fields = OutHeader { marker: false, payload_type: pt, sequence, timestamp, ssrc: 1 };
    let length = write_header(&mut packet, &fields, &[(LEVEL_ID, &[0x80 | 20])]).unwrap();
    packet.truncate(length);
    packet
}

fn opus(n: u16) -> Vec<u8> {
    [header(OPUS_PT, n), frame(n)].concat()
}

/// A RED packet that repeats the two frames before its own.
fn red(n: u16) -> Vec<u8> {
    let block = |back: u16| {
        let word = (u32::from(back) * FRAME) << 10 | frame(n - back).len() as u32;
        let [_, b0, b1, b2] = word.to_be_bytes();
        vec![0x80 | OPUS_PT, b0, b1, b2]
    };
    [header(RED_PT, n), block(2), block(1), vec![OPUS_PT], frame(n - 2), frame(n - 1), frame(n)].concat()
}

fn arrive(up: &mut UpTrack, ms: u64, packet: &[u8]) -> Arrival {
    up.handle_rtp(at(ms), &RtpHeader::parse(packet).unwrap(), packet, 0).unwrap()
}

/// (payload type, sequence, timestamp, payload) of a packet as sent.
fn sent(outgoing: &Outgoing, packet: &[u8]) -> (u8, u16, u32, Vec<u8>) {
    let mut out = vec![0; 500];
    let length = outgoing.write(packet, &[], &mut out).unwrap();
    let header = RtpHeader::parse(&out[..length]).unwrap();
    assert_eq!(header.ssrc, 9);
    (header.payload_type, header.sequence, header.timestamp, header.payload(&out[..length]).to_vec())
}

/// The payload of a packet the leg made up.
fn written(injected: &Injected) -> Vec<u8> {
    let mut out = vec![0; 500];
    let length = injected.write(&[], &mut out).unwrap();
    RtpHeader::parse(&out[..length]).unwrap().payload(&out[..length]).to_vec()
}

fn forwarded(leg: &mut DownTrack, up: &UpTrack, arrival: &Arrival) -> Outgoing {
    match leg.plan(at(0), up, arrival) {
        Plan::Forward(outgoing) => outgoing,
        Plan::Drop(reason) => panic!("dropped: {reason:?}"),
    }
}

#[test]
fn each_subscriber_gets_what_it_takes() {
    let (mut up, mut plain) = (track(), opus_leg());
    let mut redundant = leg(vec![payload(Codec::Red, 64), payload(Codec::Opus, 109)]);
    let packet = red(10);
    let arrival = arrive(&mut up, 0, &packet);
    let (pt, sequence, timestamp, bytes) = sent(&forwarded(&mut plain, &up, &arrival), &packet);
    assert_eq!((pt, sequence, timestamp, bytes), (109, 10, 9_600, frame(10)));
    let (pt, _, _, bytes) = sent(&forwarded(&mut redundant, &up, &arrival), &packet);
    assert_eq!((pt, &bytes[..]), (64, RtpHeader::parse(&packet).unwrap().payload(&packet)));
    let packet = opus(11);
    let arrival = arrive(&mut up, 20, &packet);
    assert_eq!(sent(&forwarded(&mut plain, &up, &arrival), &packet), (109, 11, 10_560, frame(11)));
    assert_eq!(sent(&forwarded(&mut redundant, &up, &arrival), &packet), (109, 11, 10_560, frame(11)));
    assert_eq!(leg(vec![payload(Codec::Pcmu, 0)]).plan(at(0), &up, &arrival), Plan::Drop(DropReason::NoCodec));
}

#[test]
fn lost_frames_are_taken_out_of_the_redundancy_once() {
    let (mut up, mut leg) = (track(), opus_leg());
    let first = arrive(&mut up, 0, &red(10));
    forwarded(&mut leg, &up, &first);
    let packet = red(14); // 11, 12 and 13 are lost, 11 is beyond the redundancy
    let arrival = arrive(&mut up, 80, &packet);
    assert_eq!(arrival.missing_before, 3);
    assert_eq!(sent(&forwarded(&mut leg, &up, &arrival), &packet).3, frame(14));
    let recovered: Vec<_> =
        (1..=3).filter_map(|back| leg.plan_recovered(at(80), &up, &arrival, back)).map(|o| sent(&o, &packet)).collect();
    assert_eq!(recovered, [(109, 13, 13 * FRAME, frame(13)), (109, 12, 12 * FRAME, frame(12))]);
    assert_eq!(leg.plan_recovered(at(80), &up, &arrival, 1), None, "only once");
    let late = arrive(&mut up, 90, &red(13));
    assert_eq!(leg.plan(at(90), &up, &late), Plan::Drop(DropReason::Duplicate));
    let late = arrive(&mut up, 90, &red(11));
    assert_eq!(sent(&forwarded(&mut leg, &up, &late), &red(11)), (109, 11, 11 * FRAME, frame(11)));
    let (again, bytes) = leg.resend(at(200), &up, 12).unwrap();
    assert_eq!(sent(&again, bytes), (109, 12, 12 * FRAME, frame(12)), "asked for, it is found again");
}

#[test]
fn encryption_keeps_red_whole() {
    let mut up = track();
    let arrival = arrive(&mut up, 0, &red(10));
    let target = Target { spatial: 0, temporal: 0, paused: false };
    let settings = LegSettings {
        ssrc: 9,
        rtx_ssrc: None,
        payloads: vec![payload(Codec::Opus, 109)],
        extensions: Extensions::default(),
        target,
        history_packets: 256,
        encrypted: Some([7; 24]),
        adds_red: false,
        playout: None,
        first_sequence: 0,
        first_timestamp: 0,
    };
    let mut leg = DownTrack::new(at(0), settings);
    assert_eq!(leg.plan(at(0), &up, &arrival), Plan::Drop(DropReason::NoCodec));
    let silence = leg.poll_injected(at(5_000), &track()).unwrap();
    assert!(written(&silence).ends_with(&[7; 24]), "told from what was encrypted");
}

#[test]
fn padding_closes_up() {
    let (mut up, mut leg) = (track(), opus_leg());
    let first = arrive(&mut up, 0, &opus(10));
    forwarded(&mut leg, &up, &first);
    let mut padding = [header(OPUS_PT, 11), vec![0, 0, 0, 4]].concat();
    padding[0] |= 0x20;
    let arrival = arrive(&mut up, 20, &padding);
    assert_eq!(leg.plan(at(20), &up, &arrival), Plan::Drop(DropReason::Padding));
    let next = arrive(&mut up, 40, &opus(12));
    assert_eq!(sent(&forwarded(&mut leg, &up, &next), &opus(12)), (109, 11, 12 * FRAME, frame(12)));
    assert_eq!((up.stats().packets, up.stats().lost), (3, 0), "it was received all the same");
}

#[test]
fn mute_ends_in_silence_and_unmute_continues_the_series() {
    let (mut up, mut leg) = (track(), opus_leg());
    let first = arrive(&mut up, 0, &opus(10));
    forwarded(&mut leg, &up, &first);
    leg.set_muted(at(20), true);
    let muted = arrive(&mut up, 20, &opus(11));
    assert_eq!(leg.plan(at(20), &up, &muted), Plan::Drop(DropReason::Muted));
    let mut silence = Vec::new();
    for ms in 20..3_000 {
        silence.extend(std::iter::from_fn(|| leg.poll_injected(at(ms), &up)));
    }
    assert_eq!(silence.len(), 50);
    for (n, injected) in (1u16..).zip(&silence) {
        assert_eq!((injected.header.sequence, injected.header.timestamp), (10 + n, FRAME * u32::from(10 + n)));
        assert_eq!((injected.header.payload_type, written(injected).len(), written(injected)[0]), (109, 80, 0xF8));
    }
    leg.set_muted(at(3_000), false);
    let packet = opus(160);
    let arrival = arrive(&mut up, 3_000, &packet);
    let Plan::Forward(outgoing) = leg.plan(at(3_000), &up, &arrival) else { panic!("not forwarded") };
    assert_eq!(sent(&outgoing, &packet), (109, 61, 160 * FRAME, frame(160)));
}

#[test]
fn a_leg_that_ends_does_so_in_silence() {
    let (mut up, mut leg) = (track(), opus_leg());
    assert!(!leg.say_farewell(at(0)), "nothing was heard of it");
    let first = arrive(&mut up, 0, &opus(10));
    forwarded(&mut leg, &up, &first);
    assert!(leg.say_farewell(at(20)));
    let silence: Vec<_> =
        (20..1_000).flat_map(|ms| std::iter::from_fn(|| leg.poll_farewell(at(ms))).collect::<Vec<_>>()).collect();
    assert_eq!((silence.len(), leg.farewell_deadline()), (10, None));
    for (n, injected) in (11u16..).zip(&silence) {
        assert_eq!((injected.header.sequence, injected.header.timestamp), (n, FRAME * u32::from(n)));
        assert_eq!((injected.header.marker, written(injected).len()), (false, 80));
    }
}

#[test]
fn a_leg_of_a_silent_track_shows_that_it_is_there() {
    let (up, mut leg) = (track(), opus_leg());
    let first = leg.poll_injected(at(100), &up).unwrap();
    assert_eq!((first.header.sequence, first.header.timestamp), (40, 4_000));
    let mut started = track();
    arrive(&mut started, 0, &opus(1));
    assert_eq!(opus_leg().poll_injected(at(100), &started), None);
}

#[test]
fn receiver_reports_come_each_second_and_nacks_in_between() {
    let mut up = track();
    let mut out = Vec::new();
    let mut reports = Vec::new();
    let mut nacked = Vec::new();
    for ms in 0..3_500u64 {
        if ms.is_multiple_of(20) && ms != 1_500 {
            arrive(&mut up, ms, &opus((ms / 20) as u16));
        }
        out.clear();
        up.poll_feedback(at(ms), 5, Duration::from_millis(100), &mut out);
        for packet in packets(&out) {
            match packet {
                Packet::ReceiverReport { mut blocks, .. } => reports.push((ms, blocks.next().unwrap())),
                Packet::Nack { media_ssrc: 1, lost, .. } => nacked.push((ms, lost.collect::<Vec<_>>())),
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
    assert_eq!(reports.iter().map(|r| r.0).collect::<Vec<_>>(), [1_000, 2_000, 3_000]);
    let fraction: Vec<_> = reports.iter().map(|r| (r.1.fraction_lost, r.1.cumulative_lost)).collect();
    assert_eq!(fraction, [(0, 0), (5, 1), (0, 1)]);
    assert_eq!(nacked.len(), 5);
    assert_eq!(nacked[0], (1_530, vec![75]));
}

#[test]
fn loudness_comes_from_the_level_extension() {
    let mut up = track();
    for n in 0..50u16 {
        arrive(&mut up, u64::from(n) * 20, &opus(n));
    }
    let loudness = up.poll_loudness(at(1_000)).unwrap();
    assert!(loudness.active && loudness.level > 0.08, "{loudness:?}");
    assert!(!up.poll_loudness(at(3_000)).unwrap().active);
}

#[test]
fn plain_opus_becomes_red_where_that_is_wanted() {
    let mut up = track();
    let target = Target { spatial: 0, temporal: 0, paused: false };
    let settings = LegSettings {
        ssrc: 9,
        rtx_ssrc: None,
        payloads: vec![payload(Codec::Red, 64), payload(Codec::Opus, 109)],
        extensions: Extensions::default(),
        target,
        history_packets: 256,
        encrypted: None,
        adds_red: true,
        playout: None,
        first_sequence: 0,
        first_timestamp: 0,
    };
    let mut leg = DownTrack::new(at(0), settings);
    let mut blocks = Vec::new();
    for n in [10, 11, 12, 14] {
        let packet = opus(n);
        let arrival = arrive(&mut up, u64::from(n) * 20, &packet);
        let outgoing = forwarded(&mut leg, &up, &arrival);
        assert_eq!(outgoing.header.payload_type, 64);
        let mut red = [0; RED_BYTES_MAX];
        let span = outgoing.redundancy.unwrap().write(&up, outgoing.payload.in_packet(&packet), &mut red).unwrap();
        let all = red::blocks(span.in_packet(&red)).unwrap();
        blocks.push(all.map(|b| (b.payload_type, b.timestamp_offset, b.payload.to_vec())).collect::<Vec<_>>());
    }
    let block = |n: u16, back: u16| (109, back * FRAME as u16, frame(n));
    assert_eq!(blocks[0], [block(10, 0)]);
    assert_eq!(blocks[1], [block(10, 1), block(11, 0)]);
    assert_eq!(blocks[2], [block(10, 2), block(11, 1), block(12, 0)]);
    assert_eq!(blocks[3], [block(12, 2), block(14, 0)], "what was lost cannot be repeated");
    let (again, packet) = leg.resend(at(600), &up, 12).unwrap();
    assert_eq!((again.header.payload_type, packet), (64, &opus(12)[..]));
    let long = [header(OPUS_PT, 15), vec![1; 1_024]].concat();
    let arrival = arrive(&mut up, 300, &long);
    let plain = forwarded(&mut leg, &up, &arrival);
    assert_eq!((plain.header.payload_type, plain.redundancy), (109, None), "too long a frame");
}
