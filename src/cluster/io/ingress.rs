//! Ingress in the store (CLUSTER.md §4). What belongs together changes together, by scripts that look whether it is still as
//! it was read: the reference does the same by WATCH, which a connection shared by many cannot have.

use super::{Event, IoInfo};
use crate::cluster::call::RpcError;
use crate::cluster::keys;
use crate::cluster::redis::StoreError;
use crate::limits::INGRESS_WRITE_ATTEMPTS;
use crate::proto::ingress_state::Status;
use crate::proto::psrpc::ErrorCode;
use crate::proto::rpc::{GetIngressInfoRequest, GetIngressInfoResponse, UpdateIngressStateRequest};
use crate::proto::{IngressInfo, IngressInput, IngressState};
use prost::Message;
use redis::{Cmd, Script};
use std::sync::LazyLock;

/// `KEYS`: ingress, stream keys, the former room's set, the new room's. `ARGV`: id, the info as it was read (empty: none), the
/// new one, its stream key, whether there was a room, whether there is one. Answers 0 if another was faster.
static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
        if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[4], ARGV[1]) end
        if KEYS[3] ~= KEYS[4] then
            if ARGV[5] == '1' then redis.call('SREM', KEYS[3], ARGV[1]) end
            if ARGV[6] == '1' then redis.call('SADD', KEYS[4], ARGV[1]) end
        end
        return 1",
    )
});

/// `KEYS`: the state. `ARGV`: the state as it was read (`-`: none, for it may be empty), the new one.
static STORE_STATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if (redis.call('GET', KEYS[1]) or '-') ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[2])
        return 1",
    )
});

/// `KEYS`: ingress, stream keys, the room's set, the state. `ARGV`: id, stream key.
static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        redis.call('SREM', KEYS[3], ARGV[1])
        if ARGV[2] ~= '' then redis.call('HDEL', KEYS[2], ARGV[2]) end
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('DEL', KEYS[4])
        return 1",
    )
});

impl IoInfo {
    pub async fn create_ingress(&self, info: IngressInfo) -> Result<(), RpcError> {
        self.write_ingress(&info).await?;
        self.write_ingress_state(&info.ingress_id, &IngressState::default()).await?;
        self.raise(Event::IngressCreated(info));
        Ok(())
    }

    pub(super) async fn ingress_info(
        &self,
        request: &GetIngressInfoRequest,
    ) -> Result<GetIngressInfoResponse, RpcError> {
        let info = match (request.ingress_id.as_str(), request.stream_key.as_str()) {
            ("", "") => {
                let what = "request needs to specify either IngressId or StreamKey";
                return Err(RpcError::new(ErrorCode::Unknown, what));
            }
            ("", key) => {
                let id: Option<String> = self.redis.query(&Cmd::hget(keys::STREAM_KEYS, key)).await?;
                self.ingress(&id.ok_or_else(missing)?).await?
            }
            (id, _) => self.ingress(id).await?,
        };
        Ok(GetIngressInfoResponse { info: Some(info), ..GetIngressInfoResponse::default() })
    }

    /// With its state, if it ever had one.
    pub async fn ingress(&self, id: &str) -> Result<IngressInfo, RpcError> {
        let info: IngressInfo = self.store.entry(keys::INGRESS, id).await?.ok_or_else(missing)?;
        self.with_state(info).await
    }

    /// Of a room, or all.
    pub async fn list_ingress(&self, room: &str) -> Result<Vec<IngressInfo>, RpcError> {
        let infos: Vec<IngressInfo> = match room {
            "" => self.store.entries(keys::INGRESS).await?,
            room => {
                let ids: Vec<String> = self.redis.query(&Cmd::smembers(keys::room_ingress(room))).await?;
                self.store.entries_of(keys::INGRESS, &ids).await?
            }
        };
        let mut with_states = Vec::with_capacity(infos.len());
        for info in infos {
            with_states.push(self.with_state(info).await?);
        }
        Ok(with_states)
    }

    async fn with_state(&self, info: IngressInfo) -> Result<IngressInfo, RpcError> {
        match self.raw_state(&info.ingress_id).await? {
            Some(raw) => Ok(IngressInfo { state: Some(state_of(&raw)?), ..info }),
            None => Ok(info),
        }
    }

    async fn raw_state(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.redis.query(&Cmd::get(keys::ingress_state(id))).await
    }

    /// Its settings; the state is another matter.
    pub async fn write_ingress(&self, info: &IngressInfo) -> Result<(), RpcError> {
        check(info)?;
        let stored = IngressInfo { state: None, ..info.clone() }.encode_to_vec();
        for _ in 0..INGRESS_WRITE_ATTEMPTS {
            let old: Option<Vec<u8>> = self.redis.query(&Cmd::hget(keys::INGRESS, &info.ingress_id)).await?;
            let old = old.unwrap_or_default();
            let old_room = IngressInfo::decode(old.as_slice()).map(|i| i.room_name).unwrap_or_default();
            let mut script = STORE.key(keys::INGRESS);
            script.key(keys::STREAM_KEYS).key(keys::room_ingress(&old_room)).key(keys::room_ingress(&info.room_name));
            script.arg(&info.ingress_id).arg(&old).arg(&stored).arg(&info.stream_key);
            script.arg(u8::from(!old_room.is_empty())).arg(u8::from(!info.room_name.is_empty()));
            if self.redis.run(&script).await? {
                return Ok(());
            }
        }
        // As the reference: whoever was faster five times running has the word.
        Ok(())
    }

    /// States come by several ways: one of an earlier session is refused, one that is overtaken passed over.
    async fn write_ingress_state(&self, id: &str, state: &IngressState) -> Result<(), RpcError> {
        let new = state.encode_to_vec();
        for _ in 0..INGRESS_WRITE_ATTEMPTS {
            let old = self.raw_state(id).await?;
            let known = old.as_deref().map(state_of).transpose()?.unwrap_or_default();
            match (state.started_at, state.updated_at) {
                (started, _) if started < known.started_at => return Err(out_of_date()),
                (started, updated) if started == known.started_at && updated < known.updated_at => return Ok(()),
                _ => (),
            }
            let mut script = STORE_STATE.key(keys::ingress_state(id));
            script.arg(old.as_deref().unwrap_or(b"-")).arg(&new);
            if self.redis.run(&script).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    pub async fn update_ingress_state(&self, request: UpdateIngressStateRequest) -> Result<(), RpcError> {
        let UpdateIngressStateRequest { ingress_id, state } = request;
        let (info, state) = (self.ingress(&ingress_id).await?, state.unwrap_or_default());
        self.write_ingress_state(&ingress_id, &state).await?;
        let before = info.state.as_ref().map_or(Status::EndpointInactive, IngressState::status);
        let (is_new, now) = (before != state.status(), state.status());
        let info = IngressInfo { state: Some(state), ..info };
        self.raise(match now {
            Status::EndpointPublishing if is_new => Event::IngressStarted(info),
            Status::EndpointError | Status::EndpointInactive | Status::EndpointComplete if is_new => {
                Event::IngressEnded(info)
            }
            _ => Event::IngressUpdated(info),
        });
        Ok(())
    }

    pub async fn delete_ingress(&self, info: &IngressInfo) -> Result<(), RpcError> {
        let mut script = DELETE.key(keys::INGRESS);
        script
            .key(keys::STREAM_KEYS)
            .key(keys::room_ingress(&info.room_name))
            .key(keys::ingress_state(&info.ingress_id));
        script.arg(&info.ingress_id).arg(&info.stream_key);
        Ok(self.redis.run::<()>(&script).await?)
    }
}

fn check(info: &IngressInfo) -> Result<(), RpcError> {
    let refused = |what: &str| Err(RpcError::new(ErrorCode::Unknown, what));
    match info {
        info if info.ingress_id.is_empty() => refused("Missing IngressId"),
        info if info.stream_key.is_empty() && info.input_type() != IngressInput::UrlInput => {
            refused("Missing StreamKey")
        }
        _ => Ok(()),
    }
}

fn state_of(raw: &[u8]) -> Result<IngressState, RpcError> {
    IngressState::decode(raw).map_err(|e| RpcError::new(ErrorCode::Unknown, e.to_string()))
}

fn missing() -> RpcError {
    RpcError::new(ErrorCode::NotFound, "ingress does not exist")
}

/// The spelling is the reference's.
fn out_of_date() -> RpcError {
    RpcError::new(ErrorCode::FailedPrecondition, "trying to ovewrite an ingress with an older version")
}
