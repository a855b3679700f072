//! How rooms and the server end: full, draining, stopped.

use super::server::{PATIENCE, Server, engine, keys};
use lkops::client::media::{AudioSource, VideoSource};
use lkops::client::{ClientError, Ended, Options, Participant, SignalError, View};
use lkops::proto::{CreateRoomRequest, DisconnectReason, leave_request::Action, participant_info::State};
use lkops::token::VideoGrant;

#[tokio::test]
async fn a_full_room_takes_nobody_until_somebody_leaves() {
    let server = Server::start().await;
    let request = CreateRoomRequest { name: "r".into(), max_participants: 2, ..CreateRoomRequest::default() };
    server.api().create_room(&request).await.unwrap();
    let (a, b) = (server.join("r", "a").await, server.join("r", "b").await);
    let refused = Participant::join(engine(), server.options("r", "c")).await.err();
    let Some(ClientError::Signal(SignalError::Refused { status, text })) = refused else { panic!("{refused:?}") };
    assert_eq!((status, text.trim()), (500, "connection closed by media"));
    a.leave().await.unwrap();
    b.until("a has left", PATIENCE, |view| view.others.is_empty()).await.unwrap();
    server.join("r", "c").await;
}

#[tokio::test]
async fn a_draining_server_serves_its_rooms_to_the_last_participant() {
    let mut server = Server::start().await;
    let (a, b) = (server.join("r", "a").await, server.join("r", "b").await);
    server.signal("TERM").await;
    assert!(server.logged(|line| line["fields"]["mode"] == "draining").await);
    let c = server.join("r", "c").await;
    a.leave().await.unwrap();
    b.leave().await.unwrap();
    c.until("alone", PATIENCE, |view| view.others.is_empty()).await.unwrap();
    assert!(server.is_alive());
    c.leave().await.unwrap();
    assert_eq!(server.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_server_and_tells_everybody() {
    let mut server = Server::start().await;
    let people = [server.join("r", "a").await, server.join("s", "b").await];
    for _ in 0..2 {
        server.signal("TERM").await;
        assert!(server.logged(|line| line["fields"]["mode"] == "draining").await);
    }
    for participant in &people {
        participant.until("dismissed", PATIENCE, |view| view.ended.is_some()).await.unwrap();
        let dismissed = Ended::Dismissed { reason: DisconnectReason::ServerShutdown, action: Action::Disconnect };
        assert_eq!(participant.view().ended, Some(dismissed));
    }
    assert_eq!(server.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_track_without_permission_is_refused() {
    let server = Server::start().await;
    let grant = VideoGrant {
        room_join: true,
        room: "r".into(),
        can_publish_sources: vec!["camera".into()],
        ..VideoGrant::default()
    };
    let a = server.join_with(Options::new(&server.url, keys().mint("a", grant))).await;
    let refused = a.publish_audio("mic", AudioSource::default()).await;
    assert!(matches!(&refused, Err(ClientError::Refused(why)) if why.starts_with("NOT_ALLOWED")), "{refused:?}");
    a.publish_video("cam", VideoSource::p360(100_000)).await.unwrap();
}

#[tokio::test]
async fn the_api_sees_and_removes_participants() {
    let server = Server::start().await;
    let (a, b) = (server.join("r", "a").await, server.join("r", "b").await);
    let api = server.api();
    let active = |view: &View| view.others.values().any(|other| other.state() == State::Active);
    a.until("b is active", PATIENCE, active).await.unwrap();
    b.until("a is active", PATIENCE, active).await.unwrap();
    let mut people = api.list_participants("r").await.unwrap();
    people.sort_unstable_by(|x, y| x.identity.cmp(&y.identity));
    let told: Vec<_> = people.iter().map(|p| (p.identity.as_str(), p.state())).collect();
    assert_eq!(told, [("a", State::Active), ("b", State::Active)]);
    api.remove_participant("r", "a").await.unwrap();
    a.until("removed", PATIENCE, |view| view.ended.is_some()).await.unwrap();
    b.until("alone", PATIENCE, |view| view.others.is_empty()).await.unwrap();
    api.delete_room("r").await.unwrap();
    b.until("dismissed", PATIENCE, |view| view.ended.is_some()).await.unwrap();
    assert_eq!(api.list_rooms().await.unwrap(), []);
}
