//! Tracks in more than one codec: who is sent which, and what the publisher is told (WIRE.md §2.8, §4.7).

use super::world::*;
use crate::config::EnabledCodec;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{
    AddTrackRequest, BackupCodecPolicy, LeaveRequest, SessionDescription, SimulcastCodec, SubscribedAudioCodecUpdate,
    SubscribedQualityUpdate, TrackSource,
};
use crate::shard::{Codec, Command};

/// The description with another codec in the place of VP8.
fn in_vp9(sdp: &str) -> String {
    sdp.replace("VP8/90000", "VP9/90000\r\na=fmtp:96 profile-id=0")
}

fn codec(codec: &str, cid: &str) -> SimulcastCodec {
    SimulcastCodec { codec: codec.into(), cid: cid.into(), ..SimulcastCodec::default() }
}

/// Announced in VP9 with VP8 behind it, and sent in VP9; the request with the track's sid.
fn publish_vp9(world: &mut World, ann: &mut Client, policy: BackupCodecPolicy) -> AddTrackRequest {
    let request = AddTrackRequest {
        simulcast_codecs: vec![codec("vp9", "cam"), codec("vp8", "")],
        backup_codec_policy: policy as i32,
        ..add_track("cam", TrackSource::Camera)
    };
    world.say(ann, Ask::AddTrack(request.clone()));
    world.say(ann, Ask::Offer(offer(&in_vp9(&publisher_offer(&[(TrackSource::Camera, "cam")])), 1)));
    let info = world.room.participant_info("ann").unwrap().tracks.remove(0);
    assert_eq!(info.mime_type, "video/VP9");
    AddTrackRequest { sid: info.sid, ..request }
}

/// Sends the track in VP8 too.
fn publish_backup(world: &mut World, ann: &mut Client, track: AddTrackRequest) {
    ann.heard();
    let backup =
        AddTrackRequest { cid: "backup".into(), simulcast_codecs: vec![codec("vp8", "backup")], ..track.clone() };
    world.say(ann, Ask::AddTrack(backup));
    assert_eq!(names(&ann.heard()), ["track_published"]);
    let sections = publisher_offer(&[(TrackSource::Camera, "cam"), (TrackSource::Camera, "backup")]);
    let (first, second) = sections.split_at(sections.rfind("m=video").unwrap());
    world.say(ann, Ask::Offer(offer(&(in_vp9(first) + second), 2)));
}

fn offer_to(client: &mut Client) -> Option<SessionDescription> {
    client.heard().into_iter().find_map(|m| if let Message::Offer(o) = m { Some(o) } else { None })
}

fn answer_without_vp9(world: &mut World, client: &mut Client) {
    let mut asked = offer_to(client).unwrap();
    asked.sdp = asked.sdp.replace("VP9/90000", "NONE/90000");
    world.answer(client, &asked);
}

/// Whether each codec is wanted at all, as the publisher was told last.
fn last_wanted(publisher: &mut Client) -> Option<Vec<(String, bool)>> {
    let told = |m| if let Message::SubscribedQualityUpdate(u) = m { Some(u) } else { None };
    let update: SubscribedQualityUpdate = publisher.heard().into_iter().filter_map(told).next_back()?;
    let codecs = update.subscribed_codecs.into_iter();
    Some(codecs.map(|c| (c.codec, c.qualities.iter().any(|q| q.enabled))).collect())
}

fn wanted(codecs: &[(&str, bool)]) -> Option<Vec<(String, bool)>> {
    Some(codecs.iter().map(|(codec, wanted)| ((*codec).to_owned(), *wanted)).collect())
}

#[tokio::test(start_paused = true)]
async fn a_backup_codec_is_asked_for_when_somebody_needs_it() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let track = publish_vp9(&mut world, &mut ann, BackupCodecPolicy::PreferRegression);
    world.pass_ms(150).await;
    world.commands();
    ann.heard();
    answer_without_vp9(&mut world, &mut bob);
    assert!(world.added_legs().is_empty(), "nobody sends VP8 yet");
    assert_eq!(last_wanted(&mut ann), wanted(&[("vp9", false), ("vp8", true)]));
    publish_backup(&mut world, &mut ann, track);
    let commands = world.commands();
    let track = commands.iter().find_map(|c| if let Command::AddTrack(t) = c { Some(t.track) } else { None }).unwrap();
    let leg = commands.iter().find_map(|c| if let Command::AddLeg(l) = c { Some(l) } else { None }).unwrap();
    assert_eq!((leg.track, leg.peer), (track, bob.subscriber));
    let info = world.room.participant_info("ann").unwrap();
    assert_eq!(info.tracks.len(), 1);
    assert_eq!(info.tracks[0].codecs.iter().filter(|c| !c.mid.is_empty()).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_policy_decides_whether_all_move_to_the_backup_codec() {
    use BackupCodecPolicy::*;
    for (policy, threshold, moves) in [
        (Simulcast, 5, false),
        (Regression, 1, true),
        (PreferRegression, 5, true),
        (PreferRegression, 3, false),
        (PreferRegression, 0, true),
    ] {
        let mut small = config();
        small.video.codec_regression_threshold = threshold;
        let mut world = World::with(small, |_| ());
        let mut ann = world.join_active(dual("ann"));
        let (mut bob, mut cat) = (world.join_active(dual("bob")), world.join_active(dual("cat")));
        let track = publish_vp9(&mut world, &mut ann, policy);
        world.pass_ms(150).await;
        world.settle(&mut bob);
        answer_without_vp9(&mut world, &mut cat);
        world.commands();
        publish_backup(&mut world, &mut ann, track);
        let removed = world.commands().iter().filter(|c| matches!(c, Command::RemoveLeg { .. })).count();
        world.pass_ms(150).await;
        world.settle(&mut bob);
        let legs = world.added_legs();
        let first: Vec<_> = legs.iter().map(|l| (l.peer, l.payloads[0].codec)).collect();
        let moved = [(bob.subscriber, Codec::Vp8)];
        assert_eq!((removed, &first[..]), (moves.into(), &moved[..moves.into()]), "{policy:?} {threshold}");
        world.pass_ms(5_100).await;
        let left = wanted(&[("vp9", false), ("vp8", true)]).filter(|_| moves);
        assert_eq!(last_wanted(&mut ann).filter(|w| !w[0].1), left, "{policy:?} {threshold}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_audio_track_in_several_codecs_hears_which_are_wanted() {
    let mut with_pcmu = config();
    with_pcmu.room.enabled_codecs.push(EnabledCodec { mime: "audio/PCMU".into(), fmtp_line: String::new() });
    let mut world = World::with(with_pcmu, |_| ());
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    let request = AddTrackRequest {
        simulcast_codecs: vec![codec("opus", "mic"), codec("pcmu", "")],
        ..add_track("mic", TrackSource::Microphone)
    };
    world.say(&ann, Ask::AddTrack(request));
    world.say(&ann, Ask::Offer(offer(&publisher_offer(&[(TrackSource::Microphone, "mic")]), 1)));
    world.pass_ms(150).await;
    world.settle(&mut bob);
    let told = |client: &mut Client| -> Vec<SubscribedAudioCodecUpdate> {
        let update = |m| if let Message::SubscribedAudioCodecUpdate(u) = m { Some(u) } else { None };
        client.heard().into_iter().filter_map(update).collect()
    };
    let flags = |update: &SubscribedAudioCodecUpdate| -> Vec<(String, bool)> {
        update.subscribed_audio_codecs.iter().map(|c| (c.codec.clone(), c.enabled)).collect()
    };
    let first = told(&mut ann);
    assert_eq!(first.iter().map(flags).collect::<Vec<_>>(), [wanted(&[("opus", true), ("pcmu", false)]).unwrap()]);
    world.say(&bob, Ask::Leave(LeaveRequest::default()));
    world.pass_ms(5_100).await;
    let then = told(&mut ann);
    assert_eq!(then.iter().map(flags).collect::<Vec<_>>(), [wanted(&[("opus", false), ("pcmu", false)]).unwrap()]);
}
