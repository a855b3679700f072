//! One shard with real sockets and keys, as its subscribers see it.

#[path = "support/plane.rs"]
mod plane;

use lkops::shard::{Command, Degradation, Event};
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

/// What each watcher's room was told of its leg since the last look: paused or not.
fn told(plane: &mut Plane) -> Vec<Vec<bool>> {
    let paused = |event| if let Event::StreamState { legs, .. } = event { legs } else { Vec::new() };
    let of = |watcher: &mut plane::Caller| {
        let events: Vec<Event> = std::iter::from_fn(|| watcher.events.try_recv().ok()).collect();
        events.into_iter().flat_map(paused).map(|(_, paused)| paused).collect()
    };
    plane.watchers.iter_mut().map(of).collect()
}

#[test]
fn an_overloaded_node_takes_video_away_and_gives_it_back() {
    let mut plane = Plane::start(2, 500_000);
    // Until the layers that flow are known.
    assert!(show(&mut plane, 90).iter().all(|got| *got > 90));
    for (step, gets, says) in [
        (Degradation::FrameRate, true, vec![]),
        (Degradation::Video, false, vec![true]),
        (Degradation::Video, false, vec![]),
        (Degradation::None, true, vec![false]),
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
    plane.shard.send(Command::RemoveTrack { track: plane.track });
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
