//! A VP8 simulcast track with three temporal layers: switches, drops, loss, retransmission, reports.

use super::*;
use crate::limits::RESENDS_MAX;
use crate::media::allocate::LegAllowance;
use crate::wire::codec::vp8;

#[test]
fn the_first_source_keeps_its_numbers() {
    let mut world = World::new(1, PERFECT, target(2, 3));
    world.run(1_000, &[0, 1, 2]);
    let (first, received) = world.subscriber.received.first_key_value().unwrap();
    let original = &world.encoders[2].sent[&(*first as u16)];
    assert_eq!(received.packet[12..], original[12..]);
    assert_eq!(received.timestamp, RtpHeader::parse(original).unwrap().timestamp);
    world.check_series();
    world.check_gapless();
}

#[test]
fn layer_switches_keep_every_series_continuous() {
    let mut wrapped = 0;
    for seed in 0..20 {
        let mut world = World::new(seed, PERFECT, target(2, 3));
        world.run(3_000, &[0, 1, 2]);
        for spatial in [0, 1, 2, 0, 2, 1] {
            let before = world.newest();
            world.subscriber.leg.set_target(target(spatial, 3));
            world.run(3_000, &[0, 1, 2]);
            assert_eq!(world.layers_since(before).last(), Some(&spatial), "seed {seed}");
            assert_eq!(world.subscriber.leg.current_layer(), Some(spatial), "seed {seed}");
        }
        world.check_series();
        world.check_gapless();
        wrapped += usize::from(world.newest() > 1 << 17);
    }
    assert!(wrapped > 10, "sequence numbers wrapped in {wrapped} runs only");
}

#[test]
fn switches_follow_the_sender_reports() {
    let mut world = World::new(3, PERFECT, target(0, 3));
    world.run(3_000, &[0, 1, 2]);
    world.subscriber.leg.set_target(target(2, 3));
    world.run(3_000, &[0, 1, 2]);
    let all: Vec<_> = world.subscriber.received.values().collect();
    let switch = all.windows(2).find(|pair| pair[0].content.layer != pair[1].content.layer).unwrap();
    let frames = switch[1].content.frame - switch[0].content.frame;
    let ticks = switch[1].timestamp.wrapping_sub(switch[0].timestamp) as i32;
    let exact = (frames * FRAME_MS as u32 * 90) as i32;
    assert!((ticks - exact).abs() <= 90 || (frames == 0 && ticks == 1), "{ticks} ticks over {frames} frames");
}

#[test]
fn temporal_layers_are_dropped_without_gaps() {
    for (temporal, per_second) in [(0, 7.5), (1, 15.0), (2, 30.0)] {
        let mut world = World::new(4, PERFECT, target(1, temporal));
        world.run(10_000, &[0, 1, 2]);
        world.check_series();
        world.check_gapless();
        let pictures = world.subscriber.received.values().filter(|r| r.content.part == 0).count() as f64;
        assert!(world.subscriber.received.values().all(|r| r.content.tid <= temporal));
        assert!((pictures - per_second * 10.0).abs() < per_second, "{pictures} pictures at temporal {temporal}");
    }
}

#[test]
fn loss_and_reordering_never_break_the_series() {
    for seed in 0..30 {
        let mut world = World::new(seed, POOR, target(2, 3));
        world.run(2_000, &[0, 1, 2]);
        for _ in 0..8 {
            let wanted = target(world.rng.random_range(0..3), world.rng.random_range(0..3));
            world.subscriber.leg.set_target(wanted);
            world.run(1_500, &[0, 1, 2]);
        }
        world.check_series();
        assert!(world.subscriber.received.len() > 300, "seed {seed}");
    }
}

/// With retransmission the publisher's losses are mended: nearly all of what was forwarded arrives.
#[test]
fn the_publishers_losses_are_asked_for_again() {
    for seed in 0..10 {
        let mut world = World::new(seed, POOR, target(2, 3));
        world.run(10_000, &[0, 1, 2]);
        let sequences: Vec<u64> = world.subscriber.received.keys().copied().collect();
        let span = sequences.last().unwrap() - sequences[0] + 1;
        let missing = span - sequences.len() as u64;
        assert!(missing * 200 < span, "seed {seed}: {missing} of {span} missing");
    }
}

#[test]
fn a_layer_that_stops_is_left_and_returned_to() {
    let mut world = World::new(5, PERFECT, target(2, 3));
    world.run(3_000, &[0, 1, 2]);
    assert_eq!(world.up.flowing(), 0b111);
    world.run(3_000, &[0, 1]);
    assert_eq!((world.up.flowing(), world.subscriber.leg.current_layer()), (0b011, Some(1)));
    world.run(12_000, &[0, 1, 2]);
    assert_eq!((world.up.flowing(), world.subscriber.leg.current_layer()), (0b111, Some(2)));
    world.check_series();
}

#[test]
fn pausing_and_muting_resume_with_a_key_frame_and_continue_the_series() {
    let mut world = World::new(6, PERFECT, target(1, 3));
    world.run(3_000, &[0, 1, 2]);
    let before = world.newest();
    world.subscriber.leg.set_target(Target { paused: true, ..target(1, 3) });
    world.run(2_000, &[0, 1, 2]);
    assert_eq!(world.newest(), before);
    world.subscriber.leg.set_target(target(1, 3));
    world.run(2_000, &[0, 1, 2]);
    world.subscriber.leg.set_muted(world.now(), true);
    world.run(1_000, &[0, 1, 2]);
    world.subscriber.leg.set_muted(world.now(), false);
    world.run(2_000, &[0, 1, 2]);
    world.check_series();
    world.check_gapless();
    assert!(world.subscriber.received[&(before + 1)].content.key);
    let timestamp = |sequence| world.subscriber.received[&sequence].timestamp;
    let gap = timestamp(before + 1).wrapping_sub(timestamp(before));
    assert!((90 * 2_000..90 * 3_500).contains(&gap), "{gap} ticks over the pause");
}

#[test]
fn a_publisher_that_starts_over_is_followed() {
    let mut world = World::new(7, PERFECT, target(1, 3));
    world.run(3_000, &[0, 1, 2]);
    for encoder in &mut world.encoders {
        encoder.sequence = encoder.sequence.wrapping_sub(20_000);
        encoder.timestamp = encoder.timestamp.wrapping_add(1 << 30);
    }
    let before = world.newest();
    world.run(5_000, &[0, 1, 2]);
    assert!(world.newest() > before + 150, "{} after {before}", world.newest());
    world.check_series();
}

#[test]
fn nacks_are_answered_with_what_was_sent() {
    for seed in 0..10 {
        let mut world = World::new(seed, POOR, target(2, 1));
        world.run(4_000, &[0, 1, 2]);
        world.subscriber.leg.set_target(target(0, 3));
        world.run(4_000, &[0, 1, 2]);
        let newest = world.newest();
        let mut answered = 0;
        // Less than a second of the lowest layer: what is kept at least.
        for (sequence, received) in world.subscriber.received.range(newest - 25..) {
            let now = test_epoch() + Duration::from_millis(world.ms);
            let (outgoing, packet) = world.subscriber.leg.resend(now, &world.up, *sequence as u16).unwrap();
            let mut out = vec![0; 1_500];
            let length = outgoing.write(packet, &[], &mut out).unwrap();
            let header = RtpHeader::parse(&out[..length]).unwrap();
            assert_eq!((header.ssrc, header.payload_type), (8, RTX_PT), "seed {seed}");
            assert_eq!((header.timestamp, header.marker), (received.timestamp, received.marker), "seed {seed}");
            assert_eq!(out[12..14], (*sequence as u16).to_be_bytes(), "seed {seed}");
            assert_eq!(out[14..length], received.packet[12..], "seed {seed}");
            answered += 1;
            assert_eq!(header.sequence, 1_000u16.wrapping_add(answered), "seed {seed}");
        }
        assert!(answered > 20, "seed {seed}");
    }
}

#[test]
fn after_a_picture_loss_nacks_wait_for_the_key_frame_where_bandwidth_is_short() {
    let mut world = World::new(8, PERFECT, target(0, 3));
    world.run(3_000, &[0, 1, 2]);
    let (now, newest) = (world.now(), world.newest() as u16);
    world.subscriber.leg.handle_picture_loss(now, &world.up);
    assert!(world.subscriber.leg.resend(now, &world.up, newest).is_ok(), "there is room");
    world.run(1_000, &[0, 1, 2]);
    world.subscriber.leg.set_allowed(Some(LegAllowance { spatial: 2, temporal: 3, paused: false }));
    let now = world.now();
    assert_eq!(world.subscriber.leg.handle_picture_loss(now, &world.up), Some(0));
    let newest = world.newest() as u16;
    let again = world.subscriber.leg.resend(now, &world.up, newest);
    assert_eq!(again.err(), Some(DropReason::KeyFrameComing));
    let keys = world.subscriber.keys_of.len();
    world.up.request_key_frame(0);
    world.run(1_000, &[0, 1, 2]);
    assert_eq!(world.subscriber.keys_of.len(), keys + 1);
    assert!(world.subscriber.leg.resend(world.now(), &world.up, world.newest() as u16).is_ok());
}

/// What the subscriber asks for in vain it will not stop asking for: only a key frame helps.
#[test]
fn a_packet_resent_too_often_makes_way_for_a_key_frame() {
    let mut world = World::new(8, PERFECT, target(0, 3));
    world.run(3_000, &[0, 1, 2]);
    let (mut now, newest) = (world.now(), world.newest() as u16);
    for _ in 0..RESENDS_MAX {
        assert_eq!(world.subscriber.leg.wants_key_frame(now, &world.up), None);
        assert!(world.subscriber.leg.resend(now, &world.up, newest).is_ok());
        now += Duration::from_millis(150);
    }
    let again = world.subscriber.leg.resend(now, &world.up, newest);
    assert_eq!(again.err(), Some(DropReason::ResentOften));
    assert_eq!(world.subscriber.leg.wants_key_frame(now, &world.up), Some(0));
    world.up.request_key_frame(0);
    world.run(1_000, &[0, 1, 2]);
    assert_eq!(world.subscriber.leg.wants_key_frame(world.now(), &world.up), None);
}

#[test]
fn who_asks_in_vain_for_a_while_gets_a_key_frame() {
    let mut world = World::new(8, PERFECT, target(0, 3));
    world.run(3_000, &[0, 1, 2]);
    let now = world.now();
    let wish_after = |leg: &mut DownTrack, up: &UpTrack, ms| {
        leg.refuse_resend(now + Duration::from_millis(ms));
        leg.wants_key_frame(now + Duration::from_millis(ms), up)
    };
    assert_eq!(wish_after(&mut world.subscriber.leg, &world.up, 0), None);
    assert_eq!(wish_after(&mut world.subscriber.leg, &world.up, 100), None);
    assert_eq!(wish_after(&mut world.subscriber.leg, &world.up, 150), Some(0));
    world.up.request_key_frame(0);
    world.run(1_000, &[0, 1, 2]);
    assert_eq!(world.subscriber.leg.wants_key_frame(world.now(), &world.up), None);
}

#[test]
fn sender_reports_translate_the_publishers_clock() {
    let mut world = World::new(9, PERFECT, target(2, 3));
    world.run(3_000, &[0, 1, 2]);
    world.subscriber.leg.set_target(target(0, 3));
    world.run(3_000, &[0, 1, 2]);
    let (now, ntp) = (world.now(), world.ntp());
    let info = world.subscriber.leg.poll_sender_report(now, ntp, &world.up).unwrap();
    assert_eq!((info.ntp, u64::from(info.packets)), (ntp, world.subscriber.received.len() as u64));
    let last = world.subscriber.received.last_key_value().unwrap().1;
    // The last frame forwarded was encoded 20 ms before it came, at most a frame ago.
    let ahead = info.rtp_timestamp.wrapping_sub(last.timestamp) as i32 / 90;
    assert!((20..=54).contains(&ahead), "{ahead} ms");
    assert_eq!(world.subscriber.leg.poll_sender_report(now + Duration::from_millis(2_999), ntp, &world.up), None);
    assert!(world.subscriber.leg.poll_sender_report(now + Duration::from_secs(3), ntp, &world.up).is_some());
}

/// The first packet of a key frame is lost and recovered after the rest of the frame has gone by: the leg begins with
/// it, and the subscriber gets the rest by asking.
#[test]
fn a_key_frame_recovered_late_is_completed_by_nack() {
    let mut world = World::new(10, PERFECT, target(0, 3));
    let frame = world.encoders[2].encode();
    let handle = |world: &mut World, packet: &[u8]| {
        let header = RtpHeader::parse(packet).unwrap();
        let arrival = world.up.handle_rtp(test_epoch(), &header, packet, 2).unwrap();
        world.subscriber.leg.plan(test_epoch(), &world.up, &arrival)
    };
    world.subscriber.leg.set_target(target(2, 3));
    let before = world.encoders[2].sequence.wrapping_sub(frame.len() as u16);
    let mut earlier = frame[0].clone();
    earlier[2..4].copy_from_slice(&before.to_be_bytes());
    earlier[12] &= !0x10; // no frame begins here
    assert_eq!(handle(&mut world, &earlier), Plan::Drop(DropReason::AwaitsKeyFrame));
    for packet in &frame[1..] {
        assert_eq!(handle(&mut world, packet), Plan::Drop(DropReason::AwaitsKeyFrame));
    }
    let rtx = world.encoders[2].retransmit(before.wrapping_add(1)).unwrap();
    let Plan::Forward(first) = handle(&mut world, &rtx) else { panic!("the key frame is not taken") };
    let second = first.header.sequence.wrapping_add(1);
    let resend = |world: &mut World, lost| world.subscriber.leg.resend(test_epoch(), &world.up, lost).err();
    assert_eq!(resend(&mut world, second), Some(DropReason::NotSent), "nobody can miss it yet");
    let follower = world.encoders[2].encode();
    assert!(matches!(handle(&mut world, &follower[0]), Plan::Forward(_)));
    for (n, original) in frame.iter().enumerate().skip(1) {
        let lost = first.header.sequence.wrapping_add(n as u16);
        let (outgoing, packet) = world.subscriber.leg.resend(test_epoch(), &world.up, lost).unwrap();
        assert_eq!((outgoing.original_sequence, packet), (Some(lost), &original[..]));
    }
}

#[test]
fn a_leg_that_ends_leaves_black_pictures_behind() {
    let mut world = World::new(9, PERFECT, target(2, 3));
    world.run(1_000, &[0, 1, 2]);
    let (newest, (_, last)) = (world.newest(), world.subscriber.received.last_key_value().unwrap());
    let timestamp = last.timestamp;
    let before = vp8::Descriptor::parse(RtpHeader::parse(&last.packet).unwrap().payload(&last.packet)).unwrap();
    let at = |ms| test_epoch() + Duration::from_millis(ms);
    let leg = &mut world.subscriber.leg;
    assert!(leg.say_farewell(at(1_010)));
    let mut blank = Vec::new();
    for ms in 1_010..3_000 {
        blank.extend(std::iter::from_fn(|| leg.poll_farewell(at(ms))));
    }
    assert_eq!(blank.len(), 6);
    for (n, injected) in (1..).zip(&blank) {
        let mut out = [0; 200];
        let length = injected.write(&[], &mut out).unwrap();
        let header = RtpHeader::parse(&out[..length]).unwrap();
        let payload = header.payload(&out[..length]);
        assert_eq!((header.ssrc, header.payload_type, header.marker), (7, VP8_PT, true));
        assert_eq!((header.sequence, header.timestamp), (newest.wrapping_add(n) as u16, timestamp + 3_000 * n as u32));
        assert_eq!(vp8::key_frame_size(payload), Some((8, 8)));
        let descriptor = vp8::Descriptor::parse(payload).unwrap();
        let id = |d: &vp8::Descriptor| d.picture_id.unwrap().value();
        assert_eq!(id(&descriptor), (id(&before) + n as u16) & 0x7FFF);
        assert_eq!(descriptor.key_idx.unwrap(), (before.key_idx.unwrap() + n as u8) & 0x1F);
    }
}
