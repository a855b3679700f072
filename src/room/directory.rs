//! The rooms of this node by name: opens sessions, creates and ends rooms, and carries the server API's calls into them.
//! Called by `signal` (sessions), `api` (calls) and `server` (drain). Knows nothing of what happens inside a room.

use super::close::CloseReason;
use super::context::RoomContext;
use super::error::RoomError;
use super::ledger::Ledger;
use super::registry::{Occupancy, Registry};
use super::run::{self, Call, Mailbox};
use super::session::{OpenError, Session, SessionStart};
use super::settings::RoomSettings;
use super::state::Room;
use super::{resume, settings};
use crate::proto;

use futures_util::future::join_all;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// How often a session is tried when its room closes under it.
const OPEN_ATTEMPTS: usize = 3;

pub struct Directory {
    ctx: Arc<RoomContext>,
    registry: Arc<Registry>,
}

impl Directory {
    pub fn new(ctx: Arc<RoomContext>) -> Arc<Directory> {
        Arc::new(Directory { ctx, registry: Arc::default() })
    }

    /// Joins or resumes. The session's first message (`join`, `reconnect` or `leave`) is queued already.
    pub async fn open(&self, start: SessionStart) -> Result<Session, OpenError> {
        settings::check_token(&self.ctx.config.limit, &start.claims)?;
        for _ in 0..OPEN_ATTEMPTS {
            let Some(room) = self.room_for(&start)? else {
                return Ok(resume::refused(start.client.protocol));
            };
            let (reply, answer) = oneshot::channel();
            let opening = Call::Open(Box::new(start.clone()), reply);
            if room.send(opening).await.is_ok()
                && let Ok(result) = answer.await
            {
                return result;
            }
        }
        Err(OpenError::Refused { why: "the room closed three times while joining".to_owned() })
    }

    /// The room to open in; `None` for a resume whose room is gone.
    fn room_for(&self, start: &SessionStart) -> Result<Option<Mailbox>, OpenError> {
        if let Some(room) = self.registry.find(&start.room) {
            return Ok(Some(room));
        }
        if start.reconnect {
            return Ok(None);
        }
        let may_create = start.claims.video.as_ref().is_some_and(|v| v.room_create);
        if !may_create && !self.ctx.config.room.auto_create {
            return Err(OpenError::NoRoom);
        }
        let settings = RoomSettings::from_token(&self.ctx.config.room, start)
            .map_err(|e| OpenError::Refused { why: e.to_string() })?;
        Ok(Some(self.start(settings)))
    }

    /// The live room of that name, started with these settings if there is none.
    fn start(&self, settings: RoomSettings) -> Mailbox {
        let name = settings.name.clone();
        self.registry
            .find_or_insert(&name, |seat| run::spawn(|events| Room::new(self.ctx.clone(), settings, seat, events)))
    }

    /// Returns a live room unchanged (WIRE.md §5.1).
    /// `inherited` is the room as another node left it.
    pub async fn create(
        &self,
        request: proto::CreateRoomRequest,
        inherited: Option<Box<proto::Room>>,
    ) -> Result<proto::Room, RoomError> {
        let settings = RoomSettings::from_request(&self.ctx.config, &request, inherited)?;
        self.start(settings);
        self.ask(&request.name, |room| room.info()).await
    }

    /// Rooms by name, unknown ones skipped; all if no name is given.
    pub async fn list(&self, names: &[String]) -> Vec<proto::Room> {
        let wanted = self.registry.names().into_iter().filter(|n| names.is_empty() || names.contains(n));
        let asked = wanted.map(|name| async move { self.ask(&name, |room| room.info()).await });
        join_all(asked).await.into_iter().flatten().collect()
    }

    pub fn exists(&self, name: &str) -> bool {
        self.registry.find(name).is_some()
    }

    /// Everybody gets Leave ROOM_DELETED; when this returns the name is free.
    pub async fn delete(&self, name: &str) -> Result<(), RoomError> {
        self.ask(name, |room| room.close(CloseReason::Deleted)).await?;
        Ok(())
    }

    /// Nobody if the room is unknown.
    pub async fn participants(&self, room: &str) -> Vec<proto::ParticipantInfo> {
        self.ask(room, |room| room.participant_infos()).await.unwrap_or_default()
    }

    pub async fn participant(&self, room: &str, identity: &str) -> Result<proto::ParticipantInfo, RoomError> {
        let identity = identity.to_owned();
        self.ask(room, move |room| room.participant_info(&identity)).await?
    }

    pub async fn remove_participant(&self, room: &str, identity: &str) -> Result<(), RoomError> {
        let identity = identity.to_owned();
        self.ask(room, move |room| room.remove_participant(&identity)).await?
    }

    /// `None` if the participant has no such track, which is no error (WIRE.md §12 no. 4).
    pub async fn mute_published_track(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> Result<Option<proto::TrackInfo>, RoomError> {
        let (identity, sid) = (identity.to_owned(), track_sid.to_owned());
        self.ask(room, move |room| room.mute_published_track(&identity, &sid, muted)).await?
    }

    pub async fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Result<proto::ParticipantInfo, RoomError> {
        let limit = &self.ctx.config.limit;
        settings::check_update(limit, &request.name, &request.metadata, &request.attributes)?;
        let name = request.room.clone();
        self.ask(&name, move |room| room.update_participant(request)).await?
    }

    pub async fn update_subscriptions(&self, request: proto::UpdateSubscriptionsRequest) -> Result<(), RoomError> {
        let name = request.room.clone();
        self.ask(&name, move |room| room.update_subscriptions(request)).await?
    }

    pub async fn send_data(&self, request: proto::SendDataRequest) -> Result<(), RoomError> {
        let name = request.room.clone();
        self.ask(&name, move |room| room.send_data(request)).await?
    }

    /// Returns when every participant's message is queued.
    pub async fn update_metadata(&self, room: &str, metadata: &str) -> Result<proto::Room, RoomError> {
        let most = self.ctx.config.limit.max_metadata_size;
        settings::at_most(metadata.len(), most, "metadata size exceeds limits")?;
        let metadata = metadata.to_owned();
        self.ask(room, move |room| room.update_metadata(metadata)).await?
    }

    /// The destination's answer; errors of either side come as [`RoomError::Rpc`].
    pub async fn perform_rpc(&self, request: proto::PerformRpcRequest) -> Result<String, RoomError> {
        let name = request.room.clone();
        let answer = self.ask(&name, move |room| room.perform_rpc(request)).await??;
        answer.await.unwrap_or(Err(RoomError::Unavailable))
    }

    /// Rooms and participants now, and as they change.
    pub fn occupancy(&self) -> watch::Receiver<Occupancy> {
        self.registry.occupancy()
    }

    /// Rooms with people in them: (name, participants).
    pub fn holders(&self) -> Vec<(String, usize)> {
        self.registry.holders()
    }

    /// Another node has the room: everybody gets a token of what they are now and is told to reconnect, and finds it there.
    pub async fn give_up(&self, name: &str) {
        let _ = self.ask(name, |room| room.close(CloseReason::Elsewhere)).await;
    }

    /// Everybody gets Leave SERVER_SHUTDOWN.
    pub async fn close_all(&self) {
        let closing = self.registry.names().into_iter().map(|name| async move {
            let _ = self.ask(&name, |room| room.close(CloseReason::ServerShutdown)).await;
        });
        join_all(closing).await;
    }

    /// Makes a room's task fail, to see what becomes of its people.
    #[cfg(test)]
    pub(super) async fn break_room(&self, name: &str) {
        let failed: Result<(), _> = self.ask(name, |_| panic!("a test asked for this")).await;
        assert_eq!(failed, Err(RoomError::Unavailable));
    }

    /// What other nodes may know of the rooms here.
    pub fn ledger(&self) -> &Ledger {
        &self.ctx.ledger
    }

    /// Runs `question` inside the room's task.
    async fn ask<T: Send + 'static>(
        &self,
        name: &str,
        question: impl FnOnce(&mut Room) -> T + Send + 'static,
    ) -> Result<T, RoomError> {
        let room = self.registry.find(name).ok_or(RoomError::NO_ROOM)?;
        let (reply, answer) = oneshot::channel();
        let ask = Call::Ask(Box::new(move |room| drop(reply.send(question(room)))));
        room.send(ask).await.map_err(|_| RoomError::NO_ROOM)?;
        answer.await.map_err(|_| RoomError::Unavailable)
    }
}
