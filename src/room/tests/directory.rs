use super::world::{config, dual};
use crate::proto::signal_response::Message;
use crate::proto::{CreateRoomRequest, DisconnectReason, SignalResponse};
use crate::room::context::{Node, RoomContext};
use crate::room::directory::Directory;
use crate::room::error::RoomError;
use crate::room::registry::Occupancy;
use crate::room::session::{OpenError, Session, SessionStart};
use crate::shard::{Command, Shard, Shards};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// The receiver keeps the shard's queue open.
fn directory(change: impl FnOnce(&mut crate::config::Config)) -> (Arc<Directory>, Receiver<Command>) {
    let (shard, commands) = Shard::unstarted();
    let mut config = config();
    config.room.auto_create = true;
    config.limit.max_metadata_size = 10;
    change(&mut config);
    let ctx = RoomContext {
        config: Arc::new(config),
        shards: Shards::new(vec![shard]),
        node: Node::default(),
        ice_servers: Arc::new(|_| Vec::new()),
        ledger: Default::default(),
    };
    (Directory::new(Arc::new(ctx)), commands)
}

fn create(name: &str) -> CreateRoomRequest {
    CreateRoomRequest { name: name.into(), metadata: "m".into(), ..CreateRoomRequest::default() }
}

async fn leave_reason(session: &mut Session) -> Option<DisconnectReason> {
    while let Some(SignalResponse { message }) = session.responses.recv().await {
        if let Some(Message::Leave(leave)) = message {
            return Some(leave.reason());
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn rooms_are_created_listed_and_deleted() {
    let (directory, _commands) = directory(|_| ());
    let room = directory.create(create("a"), None).await.unwrap();
    assert_eq!((room.name.as_str(), room.metadata.as_str(), room.num_participants), ("a", "m", 0));
    let again = directory.create(CreateRoomRequest { metadata: "n".into(), ..create("a") }, None).await.unwrap();
    assert_eq!(again, room, "a live room is returned unchanged");
    directory.create(create("b"), None).await.unwrap();
    assert_eq!(directory.list(&[]).await.len(), 2);
    assert_eq!(directory.list(&["b".into(), "c".into()]).await.len(), 1);
    directory.delete("a").await.unwrap();
    assert!(!directory.exists("a") && directory.exists("b"));
    assert_eq!(directory.delete("a").await, Err(RoomError::NO_ROOM));
    assert_ne!(directory.create(create("a"), None).await.unwrap().sid, room.sid);
}

#[tokio::test(start_paused = true)]
async fn joining_creates_and_deleting_sends_away_and_joining_works_again() {
    let (directory, _commands) = directory(|_| ());
    let mut ann = directory.open(dual("ann")).await.unwrap();
    assert_eq!(directory.participants("r").await.len(), 1);
    assert_eq!(directory.holders(), [("r".to_owned(), 1)]);
    assert_eq!(*directory.occupancy().borrow(), Occupancy { rooms: 1, participants: 1 });
    directory.delete("r").await.unwrap();
    assert_eq!(leave_reason(&mut ann).await, Some(DisconnectReason::RoomDeleted));
    assert!(ann.responses.recv().await.is_none());
    let _again = directory.open(dual("ann")).await.unwrap();
    assert_eq!(directory.participants("r").await.len(), 1);
    assert!(directory.participants("none").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rooms_come_into_being_only_if_allowed() {
    let (directory, _commands) = directory(|c| c.room.auto_create = false);
    assert_eq!(directory.open(dual("ann")).await.err(), Some(OpenError::NoRoom));
    let mut creator = dual("ann");
    creator.claims.video.as_mut().unwrap().room_create = true;
    assert!(directory.open(creator).await.is_ok());
    assert!(directory.open(dual("bob")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_resume_does_not_create_a_room() {
    let (directory, _commands) = directory(|_| ());
    let mut ann = directory.open(SessionStart { reconnect: true, ..dual("ann") }).await.unwrap();
    assert_eq!(leave_reason(&mut ann).await, Some(DisconnectReason::StateMismatch));
    assert!(!directory.exists("r"));
}

#[tokio::test(start_paused = true)]
async fn oversized_tokens_and_updates_are_refused() {
    let (directory, _commands) = directory(|_| ());
    let mut start = dual("ann");
    start.claims.metadata = "12345678901".into();
    assert!(matches!(directory.open(start).await, Err(OpenError::Refused { .. })));
    let error = directory.update_metadata("none", "12345678901").await.unwrap_err();
    assert_eq!(error.to_string(), "metadata size exceeds limits 10");
    assert_eq!(directory.update_metadata("none", "1").await, Err(RoomError::NO_ROOM));
}

#[tokio::test(start_paused = true)]
async fn an_idle_room_leaves_the_directory() {
    let (directory, _commands) = directory(|_| ());
    directory.create(create("a"), None).await.unwrap();
    let mut occupancy = directory.occupancy();
    occupancy.wait_for(|o| o.rooms == 0).await.unwrap();
    assert!(!directory.exists("a"));
}

#[tokio::test(start_paused = true)]
async fn closing_all_says_goodbye_and_empties_the_node() {
    let (directory, _commands) = directory(|_| ());
    let mut ann = directory.open(dual("ann")).await.unwrap();
    let mut other = dual("bob");
    other.room = "s".into();
    let mut bob = directory.open(other).await.unwrap();
    directory.close_all().await;
    assert_eq!(leave_reason(&mut ann).await, Some(DisconnectReason::ServerShutdown));
    assert_eq!(leave_reason(&mut bob).await, Some(DisconnectReason::ServerShutdown));
    directory.occupancy().wait_for(|o| *o == Occupancy::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_room_that_fails_ends_alone_and_tells_its_people() {
    let (directory, _commands) = directory(|_| ());
    let mut ann = directory.open(dual("ann")).await.unwrap();
    directory.create(create("other"), None).await.unwrap();
    directory.break_room("r").await;
    assert_eq!(leave_reason(&mut ann).await, Some(DisconnectReason::StateMismatch));
    assert!(!directory.exists("r") && directory.exists("other"));
}

#[tokio::test(start_paused = true)]
async fn requests_reach_the_room_and_hanging_up_is_noticed() {
    use crate::proto::signal_request::Message as Ask;
    use crate::proto::{LeaveRequest, SignalRequest};
    let (directory, _commands) = directory(|_| ());
    let mut ann = directory.open(dual("ann")).await.unwrap();
    let bob = directory.open(dual("bob")).await.unwrap();
    let leave = SignalRequest { message: Some(Ask::Leave(LeaveRequest::default())) };
    ann.requests.send(leave).await.unwrap();
    assert_eq!(leave_reason(&mut ann).await, Some(DisconnectReason::ClientInitiated));
    let mut occupancy = directory.occupancy();
    occupancy.wait_for(|o| o.participants == 1).await.unwrap();
    drop(bob);
    occupancy.wait_for(|o| o.participants == 0).await.unwrap();
    assert!(directory.exists("r") && directory.holders().is_empty());
}
