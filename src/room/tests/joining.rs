use super::world::*;
use crate::proto::participant_info::State;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{AddTrackRequest, TrackSource, TrickleRequest};
use crate::room::session::OpenError;
use crate::shard::{Channel, Command};

#[tokio::test(start_paused = true)]
async fn a_dual_client_is_joined_offered_and_given_a_token() {
    let mut world = World::new();
    let mut ann = world.join(dual("ann"));
    let heard = ann.heard();
    assert_eq!(names(&heard), ["join", "offer", "trickle", "refresh_token"]);
    let Message::Join(join) = &heard[0] else { panic!() };
    assert!(join.subscriber_primary && join.fast_publish);
    assert_eq!((join.ping_interval, join.ping_timeout), (5, 15));
    assert_eq!(join.server_info.as_ref().unwrap().protocol, 17);
    assert_eq!(join.participant.as_ref().unwrap().state(), State::Joining);
    assert!(join.sif_trailer.len() >= 16 && !join.room.as_ref().unwrap().sid.is_empty());
    assert_eq!(join.room.as_ref().unwrap().num_participants, 1);
    let Message::Trickle(TrickleRequest { target, r#final, .. }) = &heard[2] else { panic!() };
    assert_eq!((*target, *r#final), (1, true));
}

#[tokio::test(start_paused = true)]
async fn the_server_opens_its_channels_before_the_first_offer() {
    let mut world = World::new();
    let session = world.room.open(dual("ann")).unwrap();
    let opened = world.commands().into_iter().filter_map(|c| match c {
        Command::OpenChannel { channel, .. } => Some(channel),
        _ => None,
    });
    assert_eq!(opened.collect::<Vec<_>>(), [Channel::Reliable, Channel::Lossy, Channel::DataTrack]);
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn a_single_client_is_answered_and_never_offered() {
    let mut world = World::new();
    let mut start = single("ann");
    start.publisher_offer = Some(offer(&single_offer(), 7));
    start.add_track_requests = vec![add_track("mic", TrackSource::Microphone)];
    let mut ann = world.join(start);
    let heard = ann.heard();
    assert_eq!(names(&heard), ["join", "track_published", "answer", "trickle", "refresh_token"]);
    let Message::Join(join) = &heard[0] else { panic!() };
    assert!(!join.subscriber_primary);
    let Message::Answer(answer) = &heard[2] else { panic!() };
    assert_eq!((answer.id, answer.r#type.as_str()), (7, "answer"));
    let Message::Trickle(trickle) = &heard[3] else { panic!() };
    assert_eq!(trickle.target, 0);
}

#[tokio::test(start_paused = true)]
async fn without_subscribing_the_publisher_connection_is_primary() {
    let mut world = World::new();
    let mut ann = world.join(granted(dual("ann"), |v| v.can_subscribe = Some(false)));
    let heard = ann.heard();
    assert_eq!(names(&heard), ["join", "refresh_token"]);
    let Message::Join(join) = &heard[0] else { panic!() };
    assert!(!join.subscriber_primary);
    world.connect(ann.publisher);
    assert_eq!(world.room.participant_info("ann").unwrap().state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn the_primary_transport_makes_a_participant_active() {
    let mut world = World::new();
    let ann = world.join(dual("ann"));
    world.connect(ann.publisher);
    assert_eq!(world.room.participant_info("ann").unwrap().state(), State::Joined);
    world.connect(ann.subscriber);
    assert_eq!(world.room.participant_info("ann").unwrap().state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_appears_to_others_within_three_seconds() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.pass_ms(3000).await;
    ann.heard();
    let _bob = world.join_active(dual("bob"));
    assert!(updated(&ann.heard()).is_empty());
    world.pass_ms(3000).await;
    let updates = updated(&ann.heard());
    assert_eq!(updates.len(), 1);
    assert_eq!((updates[0].identity.as_str(), updates[0].state()), ("bob", State::Active));
}

#[tokio::test(start_paused = true)]
async fn joiners_see_everybody_but_the_hidden() {
    let mut world = World::new();
    let _ann = world.join(dual("ann"));
    let _eve = world.join(granted(dual("eve"), |v| v.hidden = true));
    let mut bob = world.join(dual("bob"));
    let heard = bob.heard();
    let Message::Join(join) = &heard[0] else { panic!() };
    let others: Vec<_> = join.other_participants.iter().map(|p| p.identity.as_str()).collect();
    assert_eq!(others, ["ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_room_refuses_but_dependents_do_not_count() {
    let mut world = World::with(config(), |s| s.max_participants = 1);
    let agent = || {
        let mut start = dual("agent");
        start.claims.kind = "agent".into();
        start
    };
    let _agent = world.join(agent());
    let _ann = world.join(dual("ann"));
    assert!(matches!(world.try_join(dual("bob")), Err(OpenError::Refused { .. })));
    world.join(agent());
    assert_eq!(world.room.info().num_participants, 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_session_of_an_identity_replaces_the_first() {
    let mut world = World::new();
    let mut watcher = world.join_active(dual("watcher"));
    let mut old_watcher = world.join_active(with_protocol(dual("old"), 11));
    let mut first = world.join_active(dual("ann"));
    let before = world.room.participant_info("ann").unwrap().sid;
    world.pass_ms(3000).await;
    watcher.heard();
    old_watcher.heard();
    first.heard();
    let _second = world.join(dual("ann"));
    let heard = first.heard();
    let Some(Message::Leave(leave)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!(leave.reason(), crate::proto::DisconnectReason::DuplicateIdentity);
    assert!(first.is_closed());
    assert_ne!(world.room.participant_info("ann").unwrap().sid, before);
    world.pass_ms(3000).await;
    let gone = |client: &mut Client| {
        let updates = updated(&client.heard());
        updates.iter().any(|p| p.sid == before && p.state() == State::Disconnected)
    };
    assert!(!gone(&mut watcher) && gone(&mut old_watcher));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_refreshed_every_five_minutes() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.pass_ms(300_000).await;
    assert!(names(&ann.heard()).contains(&"refresh_token"));
}

#[tokio::test(start_paused = true)]
async fn unannounced_and_excessive_tracks_are_refused() {
    use crate::proto::request_response::Reason;
    let mut world = World::new();
    let mut ann = world.join(granted(dual("ann"), |v| v.can_publish_sources = vec!["microphone".into()]));
    ann.heard();
    let refused = |client: &mut Client| match client.heard().pop() {
        Some(Message::RequestResponse(r)) => r.reason(),
        other => panic!("{other:?}"),
    };
    world.say(&ann, Ask::AddTrack(add_track("a", TrackSource::Camera)));
    assert_eq!(refused(&mut ann), Reason::NotAllowed);
    let data = AddTrackRequest { r#type: 2, ..add_track("a", TrackSource::Microphone) };
    world.say(&ann, Ask::AddTrack(data));
    assert_eq!(refused(&mut ann), Reason::UnsupportedType);
    let unknown = AddTrackRequest { sid: "TR_none".into(), ..add_track("a", TrackSource::Microphone) };
    world.say(&ann, Ask::AddTrack(unknown));
    assert_eq!(refused(&mut ann), Reason::NotFound);
    for i in 0..20 {
        world.say(&ann, Ask::AddTrack(add_track(&format!("c{i}"), TrackSource::Microphone)));
    }
    ann.heard();
    world.say(&ann, Ask::AddTrack(add_track("c20", TrackSource::Microphone)));
    assert_eq!(refused(&mut ann), Reason::LimitExceeded);
}

#[tokio::test(start_paused = true)]
async fn bad_candidates_are_answered_and_good_ones_wait_for_the_description() {
    let mut world = World::new();
    let mut ann = world.join(dual("ann"));
    ann.heard();
    world.commands();
    let trickle = |text: &str| Ask::Trickle(TrickleRequest { candidate_init: text.into(), ..Default::default() });
    world.say(&ann, trickle("not json"));
    assert_eq!(names(&ann.heard()), ["request_response"]);
    world.say(&ann, trickle(r#"{"candidate":"candidate:1 1 udp 1 10.0.0.1 9 typ host","sdpMid":"0"}"#));
    world.say(&ann, trickle(r#"{"candidate":"candidate:1 1 udp 1 x.local 9 typ host","sdpMid":"0"}"#));
    assert!(world.commands().is_empty());
    world.say(&ann, Ask::Offer(offer(&publisher_offer(&[]), 1)));
    let commands = world.commands();
    assert!(matches!(commands[0], Command::SetRemote { .. }));
    assert!(matches!(&commands[1], Command::AddCandidate { candidate, .. } if candidate.contains("10.0.0.1")));
    assert_eq!(commands.len(), 2);
}
