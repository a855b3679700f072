//! Shards with real sockets and keys, as its subscribers see it.

#[path = "support/plane.rs"]
mod plane;

use lkops::shard::{Command, Degradation, Event, Kept, LegTarget};
use lkops::wire::codec::vp8;
use lkops::wire::rtp::RtpHeader;
use plane::Plane;
use std::time::Duration;

const FRAME: Duration = Duration::from_millis(33);

/// Sends that many pictures, a key frame first; answers what each watcher got of them.
fn show(plane: &mut Plane, pictures: usize) -> Vec<usize> {
    let before = plane.receive();
    plane.picture.request_key_frame();
    for _ in 0..pictures {
        plane.send_picture();
        plane.turn();
        plane.now += FRAME;
        plane.turn();
        plane.receive();
    }
    plane.receive().iter().zip(before).map(|(after, before)| after - before).collect()
}

/// What each watcher's room was told of its leg since the last look: paused or not, and which layers are left of it.
fn told(plane: &mut Plane) -> Vec<(Vec<bool>, Vec<Kept>)> {
    let of = |watcher: &mut plane::Caller| {
        let (mut paused, mut kept) = (Vec::new(), Vec::new());
        while let Ok(event) = watcher.events.try_recv() {
            match event {
                Event::StreamState { legs, .. } => paused.extend(legs.into_iter().map(|(_, paused)| paused)),
                Event::Kept { kept: left, .. } => kept.push(left),
                _ => {}
            }
        }
        (paused, kept)
    };
    plane.watchers.iter_mut().map(of).collect()
}

#[test]
fn an_overloaded_node_takes_video_away_and_gives_it_back() {
    let mut plane = Plane::start(2, 500_000);
    // Until the layers that flow are known.
    assert!(show(&mut plane, 90).iter().all(|got| *got > 90));
    for (step, gets, says) in [
        (Degradation::FrameRate, true, (vec![], vec![Kept::UpTo(0)])),
        (Degradation::Video, false, (vec![true], vec![Kept::Nothing])),
        (Degradation::Video, false, (vec![], vec![])),
        (Degradation::None, true, (vec![false], vec![Kept::All])),
    ] {
        told(&mut plane);
        plane.shard.send(Command::Degrade(step));
        plane.turn();
        assert!(show(&mut plane, 20).iter().all(|got| (*got > 0) == gets), "{step:?}");
        assert!(told(&mut plane).iter().all(|told| *told == says), "{step:?}");
    }
}

#[test]
fn a_track_ends_in_black_pictures() {
    let mut plane = Plane::start(2, 500_000);
    show(&mut plane, 10);
    let before = plane.receive();
    plane.spread.send(Command::RemoveTrack { track: plane.track });
    for _ in 0..50 {
        plane.turn();
        plane.now += Duration::from_millis(10);
    }
    plane.turn();
    let got: Vec<usize> = plane.receive().iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(got, [6, 6], "a fifth of a second at 30 a second");
    for watcher in &plane.watchers {
        let header = RtpHeader::parse(&watcher.last).unwrap();
        assert!(header.marker);
        assert_eq!(vp8::key_frame_size(header.payload(&watcher.last)), Some((8, 8)));
    }
}

#[test]
fn watchers_on_another_shard_see_what_those_beside_the_camera_see() {
    let mut plane = Plane::start_wide(2, 4, 500_000);
    let got = show(&mut plane, 30);
    assert!(got[0] >= 30 && got.iter().all(|n| *n == got[0]), "{got:?}");
    let pictures: Vec<&[u8]> = plane.watchers.iter().map(|w| payload(&w.last)).collect();
    assert!(pictures.iter().all(|picture| tail(picture) == tail(pictures[0])));
}

#[test]
fn a_key_frame_missed_on_another_shard_is_asked_of_the_camera() {
    let mut plane = Plane::start_wide(2, 2, 500_000);
    show(&mut plane, 30);
    let before = plane.camera.wishes;
    let far = plane.watchers[1].leg;
    let paused = LegTarget { spatial: 2, temporal: 3, paused: true, priority: 0 };
    plane.spread.send(Command::SetLeg { leg: far, target: paused });
    assert_eq!(show(&mut plane, 10)[1], 0);
    plane.spread.send(Command::SetLeg { leg: far, target: LegTarget { paused: false, ..paused } });
    for _ in 0..200 {
        plane.turn();
        plane.now += Duration::from_millis(10);
        plane.receive();
    }
    assert!(plane.camera.wishes > before, "the leg cannot go on without");
    assert!(show(&mut plane, 10)[1] > 0);
}

#[test]
fn a_mirror_is_muted_and_ends_with_its_track() {
    let mut plane = Plane::start_wide(2, 2, 500_000);
    show(&mut plane, 10);
    let track = plane.track;
    plane.spread.send(Command::MuteTrack { track, muted: true });
    assert_eq!(show(&mut plane, 5), [0, 0]);
    plane.spread.send(Command::MuteTrack { track, muted: false });
    assert!(show(&mut plane, 5).iter().all(|got| *got > 0));
    plane.spread.send(Command::RemoveTrack { track });
    show(&mut plane, 10);
    assert_eq!(show(&mut plane, 5), [0, 0]);
}

fn payload(packet: &[u8]) -> &[u8] {
    RtpHeader::parse(packet).unwrap().payload(packet)
}

/// Behind the descriptor, whose numbers are each leg's own.
fn tail(payload: &[u8]) -> &[u8] {
    &payload[payload.len().min(8)..]
}
