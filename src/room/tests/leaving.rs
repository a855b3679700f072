use super::world::*;
use crate::proto::leave_request::Action;
use crate::proto::participant_info::State;
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{DisconnectReason, LeaveRequest, SyncState, TrackInfo, TrackPublishedResponse};
use crate::room::close::CloseReason;
use crate::room::session::SessionStart;
use crate::shard::{Command, Event, PeerFailure};

fn last_leave(client: &mut Client) -> Option<(DisconnectReason, Action)> {
    match client.heard().pop() {
        Some(Message::Leave(leave)) => Some((leave.reason(), leave.action())),
        _ => None,
    }
}

fn resuming(start: SessionStart) -> SessionStart {
    SessionStart { reconnect: true, ..start }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_answered_and_gone() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.commands();
    world.say(&ann, Ask::Leave(LeaveRequest { reason: 11, ..LeaveRequest::default() }));
    assert_eq!(last_leave(&mut ann), Some((DisconnectReason::UserUnavailable, Action::Disconnect)));
    assert!(ann.is_closed());
    assert!(world.room.participant_info("ann").is_err());
    let removed = world.commands().iter().filter(|c| matches!(c, Command::RemovePeer { .. })).count();
    assert_eq!(removed, 2);
}

#[tokio::test(start_paused = true)]
async fn others_hear_of_a_departure_with_its_reason() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let bob = world.join_active(dual("bob"));
    world.pass_ms(3000).await;
    ann.heard();
    world.say(&bob, Ask::Leave(LeaveRequest::default()));
    world.pass_ms(3000).await;
    let updates = updated(&ann.heard());
    assert_eq!(updates.len(), 1);
    assert_eq!(
        (updates[0].state(), updates[0].disconnect_reason()),
        (State::Disconnected, DisconnectReason::ClientInitiated)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_signal_ends_who_never_connected_and_keeps_who_did() {
    let mut world = World::new();
    let mut ann = world.join(dual("ann"));
    let mut bob = world.join_active(dual("bob"));
    world.hang_up(&mut ann);
    world.hang_up(&mut bob);
    assert!(world.room.participant_info("ann").is_err());
    assert!(world.room.participant_info("bob").is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_active_in_a_minute_is_sent_away() {
    let mut world = World::new();
    let mut ann = world.join(dual("ann"));
    world.pass_ms(59_000).await;
    assert!(world.room.participant_info("ann").is_ok());
    world.pass_ms(1_000).await;
    assert_eq!(last_leave(&mut ann), Some((DisconnectReason::JoinFailure, Action::Disconnect)));
}

#[tokio::test(start_paused = true)]
async fn failed_media_asks_for_a_resume_and_waits_five_seconds() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let failed = Event::Failed { peer: ann.subscriber, why: PeerFailure::Ice { tried: Vec::new() } };
    world.room.handle_event(failed);
    assert_eq!(last_leave(&mut ann), Some((DisconnectReason::ConnectionTimeout, Action::Resume)));
    assert!(ann.is_closed());
    world.pass_ms(4_900).await;
    assert!(world.room.participant_info("ann").is_ok());
    world.pass_ms(100).await;
    assert!(world.room.participant_info("ann").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_resume_tells_the_room_again_and_restarts_ice() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let bob = world.join_active(dual("bob"));
    let _cat = world.join_active(dual("cat"));
    world.pass_ms(3000).await;
    let sid = world.room.participant_info("ann").unwrap().sid;
    world.hang_up(&mut ann);
    world.say(&bob, Ask::Leave(LeaveRequest::default()));
    world.pass_ms(3000).await;
    world.commands();
    let session = world.room.open(resuming(dual("ann"))).unwrap();
    assert!(world.commands().iter().any(|c| matches!(c, Command::RestartIce { .. })));
    drop(session);
    let mut again = world.join(resuming(dual("ann")));
    let heard = again.heard();
    assert_eq!(names(&heard), ["reconnect", "update", "update", "room_update", "offer", "trickle", "refresh_token"]);
    let gone = updated(&heard[1..2]);
    assert_eq!((gone[0].identity.as_str(), gone[0].state()), ("bob", State::Disconnected));
    let mut here: Vec<_> = updated(&heard[2..3]).into_iter().map(|p| p.identity).collect();
    here.sort();
    assert_eq!(here, ["ann", "cat"]);
    assert_eq!(world.room.participant_info("ann").unwrap().sid, sid);
}

#[tokio::test(start_paused = true)]
async fn a_resume_saves_the_session_within_the_grace() {
    let mut world = World::new();
    let ann = world.join_active(dual("ann"));
    world.room.handle_event(Event::Failed { peer: ann.subscriber, why: PeerFailure::Ice { tried: Vec::new() } });
    world.commands();
    let mut again = world.join(resuming(dual("ann")));
    world.settle(&mut again);
    world.connect(ann.subscriber);
    world.pass_ms(60_000).await;
    assert!(world.room.participant_info("ann").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_resume_of_nobody_is_told_to_reconnect() {
    let mut world = World::new();
    let mut ann = world.join(resuming(dual("ann")));
    assert_eq!(last_leave(&mut ann), Some((DisconnectReason::StateMismatch, Action::Reconnect)));
    assert!(ann.is_closed());
}

#[tokio::test(start_paused = true)]
async fn unknown_tracks_in_a_sync_state_end_the_session() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    world.say(&ann, Ask::SyncState(SyncState::default()));
    assert!(world.room.participant_info("ann").is_ok());
    let track = Some(TrackInfo { sid: "TR_none".into(), ..TrackInfo::default() });
    let publish_tracks = vec![TrackPublishedResponse { cid: "a".into(), track }];
    world.say(&ann, Ask::SyncState(SyncState { publish_tracks, ..SyncState::default() }));
    assert_eq!(last_leave(&mut ann), Some((DisconnectReason::StateMismatch, Action::Reconnect)));
}

#[tokio::test(start_paused = true)]
async fn an_offer_nobody_answers_ends_the_session_of_a_working_transport() {
    let mut world = World::new();
    let mut ann = world.join(dual("ann"));
    world.connect(ann.subscriber);
    world.pass_ms(15_000).await;
    assert_eq!(last_leave(&mut ann), Some((DisconnectReason::StateMismatch, Action::Reconnect)));
}

#[tokio::test(start_paused = true)]
async fn an_empty_room_closes_after_its_timeouts() {
    let mut world = World::new();
    world.pass_ms(299_900).await;
    assert!(!world.room.is_closed());
    world.pass_ms(100).await;
    assert!(world.room.is_closed());

    let mut world = World::new();
    let ann = world.join_active(dual("ann"));
    world.pass_ms(400_000).await;
    world.say(&ann, Ask::Leave(LeaveRequest::default()));
    world.pass_ms(19_900).await;
    assert!(!world.room.is_closed());
    world.pass_ms(100).await;
    assert!(world.room.is_closed());
}

#[tokio::test(start_paused = true)]
async fn agents_do_not_keep_a_room_open() {
    let mut world = World::new();
    let mut start = dual("agent");
    start.claims.kind = "agent".into();
    let mut agent = world.join_active(start);
    let ann = world.join_active(dual("ann"));
    world.say(&ann, Ask::Leave(LeaveRequest::default()));
    agent.heard();
    world.pass_ms(20_000).await;
    assert!(world.room.is_closed());
    assert_eq!(last_leave(&mut agent), Some((DisconnectReason::RoomClosed, Action::Disconnect)));
}

#[tokio::test(start_paused = true)]
async fn closing_tells_everybody_why() {
    let cases = [
        (CloseReason::Deleted, DisconnectReason::RoomDeleted, Action::Disconnect),
        (CloseReason::ServerShutdown, DisconnectReason::ServerShutdown, Action::Disconnect),
        (CloseReason::Fault, DisconnectReason::StateMismatch, Action::Reconnect),
    ];
    for (why, reason, action) in cases {
        let mut world = World::new();
        let mut ann = world.join_active(dual("ann"));
        world.room.close(why);
        assert_eq!(last_leave(&mut ann), Some((reason, action)));
        assert!(ann.is_closed() && world.room.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_loses_its_connection_and_may_resume() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    for i in 0..=crate::limits::SIGNAL_OUT_MAX {
        world.room.update_metadata(i.to_string()).unwrap();
    }
    assert!(ann.is_closed());
    world.hang_up(&mut ann);
    let mut again = world.join(resuming(dual("ann")));
    assert_eq!(names(&again.heard()).first(), Some(&"reconnect"));
}

#[tokio::test(start_paused = true)]
async fn resumes_can_be_disturbed_on_request() {
    use crate::proto::SimulateScenario;
    use crate::proto::simulate_scenario::Scenario;
    let simulate = |scenario| Ask::Simulate(SimulateScenario { scenario: Some(scenario) });
    let mut world = World::new();
    let ann = world.join_active(dual("ann"));
    world.say(&ann, simulate(Scenario::DisconnectSignalOnResumeNoMessages(true)));
    for _ in 0..3 {
        let mut silent = world.join(resuming(dual("ann")));
        assert!(silent.heard().is_empty() && silent.is_closed());
    }
    let mut again = world.join(resuming(dual("ann")));
    assert_eq!(names(&again.heard()).first(), Some(&"reconnect"));
    world.say(&again, simulate(Scenario::DisconnectSignalOnResume(true)));
    let mut dropped = world.join(resuming(dual("ann")));
    assert_eq!(names(&dropped.heard()).first(), Some(&"reconnect"));
    assert!(dropped.is_closed());
    world.pass_ms(5_000).await;
    let mut fine = world.join(resuming(dual("ann")));
    assert!(!fine.is_closed());
}

#[tokio::test(start_paused = true)]
async fn simulated_failures_end_the_session_without_a_word() {
    use crate::proto::SimulateScenario;
    use crate::proto::simulate_scenario::Scenario;
    let cases = [
        (Scenario::NodeFailure(true), None),
        (Scenario::Migration(true), None),
        (Scenario::ServerLeave(true), Some((DisconnectReason::ServerShutdown, Action::Disconnect))),
        (Scenario::LeaveRequestFullReconnect(true), Some((DisconnectReason::StateMismatch, Action::Reconnect))),
    ];
    for (scenario, leave) in cases {
        let mut world = World::new();
        let mut ann = world.join_active(dual("ann"));
        world.say(&ann, Ask::Simulate(SimulateScenario { scenario: Some(scenario) }));
        assert_eq!(last_leave(&mut ann), leave, "{scenario:?}");
        assert!(ann.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn people_of_a_room_that_moves_come_back_as_who_they_are_now() {
    let mut world = World::new();
    let mut ann = world.join_active(dual("ann"));
    let mut bob = world.join_active(with_protocol(dual("bob"), 12));
    let update = crate::proto::UpdateParticipantRequest {
        identity: "ann".into(),
        metadata: "host".into(),
        ..crate::proto::UpdateParticipantRequest::default()
    };
    world.room.update_participant(update).unwrap();
    ann.heard();
    bob.heard();
    world.room.close(CloseReason::Elsewhere);
    let told = ann.heard();
    let [Message::RefreshToken(token), Message::Leave(leave)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((leave.reason(), leave.action()), (DisconnectReason::Migration, Action::Reconnect));
    let keys = config().keys;
    let claims = crate::token::verify(token, &keys, crate::room::clock::unix_ms() / 1_000).unwrap();
    assert_eq!((claims.sub.as_str(), claims.metadata.as_str()), ("ann", "host"));
    let Some(Message::Leave(leave)) = bob.heard().pop() else { panic!("no leave") };
    assert!(leave.can_reconnect, "as older clients understand it");
    assert!(ann.is_closed() && bob.is_closed());
}
