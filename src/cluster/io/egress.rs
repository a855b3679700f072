//! Recordings in the store (CLUSTER.md §2.4, §4): hash `egress`, a set a room, and when they ended.

use super::{Event, IoInfo};
use crate::cluster::call::RpcError;
use crate::cluster::keys;
use crate::cluster::redis::StoreError;
use crate::limits::{EGRESS_KEPT, EGRESS_SWEEP_INTERVAL};
use crate::proto::psrpc::ErrorCode;
use crate::proto::rpc::UpdateMetricsRequest;
use crate::proto::{EgressInfo, EgressStatus, Kept, ListEgressRequest, ListEgressResponse};
use redis::Cmd;
use std::collections::HashMap;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

impl IoInfo {
    /// Does nothing if it is there already: server and worker both report it.
    pub async fn create_egress(&self, info: Kept<EgressInfo>) -> Result<(), RpcError> {
        if self.store.entry::<EgressInfo>(keys::EGRESS, &info.egress_id).await?.is_some() {
            return Ok(());
        }
        self.write_egress(&info).await?;
        self.redis.query::<()>(&Cmd::sadd(keys::room_egress(&info.room_name), &info.egress_id)).await?;
        self.raise(Event::EgressStarted(info.into_message()));
        Ok(())
    }

    pub async fn update_egress(&self, info: Kept<EgressInfo>) -> Result<(), RpcError> {
        let written = self.write_changed_egress(&info).await;
        match info.status() {
            EgressStatus::EgressStarting => (),
            EgressStatus::EgressActive | EgressStatus::EgressEnding => {
                self.raise(Event::EgressUpdated(info.into_message()))
            }
            EgressStatus::EgressComplete
            | EgressStatus::EgressFailed
            | EgressStatus::EgressAborted
            | EgressStatus::EgressLimitReached => self.raise(Event::EgressEnded(info.into_message())),
        }
        Ok(written?)
    }

    async fn write_changed_egress(&self, info: &Kept<EgressInfo>) -> Result<(), StoreError> {
        self.write_egress(info).await?;
        if info.ended_at != 0 {
            let ended = format!("{}|{}", info.room_name, info.ended_at);
            self.redis.query::<()>(&Cmd::hset(keys::ENDED_EGRESS, &info.egress_id, ended)).await?;
        }
        Ok(())
    }

    async fn write_egress(&self, info: &Kept<EgressInfo>) -> Result<(), StoreError> {
        self.redis.query(&Cmd::hset(keys::EGRESS, &info.egress_id, info.bytes())).await
    }

    pub async fn egress(&self, id: &str) -> Result<Kept<EgressInfo>, RpcError> {
        let missing = || RpcError::new(ErrorCode::NotFound, "egress does not exist");
        self.store.entry(keys::EGRESS, id).await?.ok_or_else(missing)
    }

    pub async fn list_egress(&self, request: &ListEgressRequest) -> Result<ListEgressResponse, RpcError> {
        if !request.egress_id.is_empty() {
            let items = vec![self.egress(&request.egress_id).await?.into_message()];
            return Ok(ListEgressResponse { items, ..ListEgressResponse::default() });
        }
        let mut items: Vec<EgressInfo> = match request.room_name.as_str() {
            "" => self.store.entries(keys::EGRESS).await?,
            room => {
                let ids: Vec<String> = self.redis.query(&Cmd::smembers(keys::room_egress(room))).await?;
                self.store.entries_of(keys::EGRESS, &ids).await?
            }
        };
        items.retain(|info| !request.active || is_active(info));
        Ok(ListEgressResponse { items, ..ListEgressResponse::default() })
    }

    /// The room must be there.
    pub(in crate::cluster) async fn room_sid(&self, room: &str) -> Result<String, RpcError> {
        let missing = || RpcError::new(ErrorCode::NotFound, "requested room does not exist");
        Ok(self.store.room(room).await?.ok_or_else(missing)?.sid)
    }

    pub(super) fn update_metrics(&self, request: &UpdateMetricsRequest) -> Result<(), RpcError> {
        let egress = request.info.as_ref().map_or("", |info| info.egress_id.as_str());
        tracing::info!(
            egress,
            cpu = request.avg_cpu_usage,
            cpu_max = request.max_cpu_usage,
            "an egress worker reports its load"
        );
        Ok(())
    }

    /// Forgets, again and again, what ended long ago. Never returns.
    pub async fn keep_swept(&self) {
        let mut ticks = interval_at(Instant::now() + EGRESS_SWEEP_INTERVAL, EGRESS_SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.sweep_egress().await {
                tracing::debug!(%error, "old recordings are not forgotten");
            }
        }
    }

    /// The last entry removed is the one that says it is to be removed, so that a sweep cut short is done again.
    pub async fn sweep_egress(&self) -> Result<(), StoreError> {
        let ended: HashMap<String, String> = self.redis.query(&Cmd::hgetall(keys::ENDED_EGRESS)).await?;
        let until = self.redis.clock().unix_ns() - i64::try_from(EGRESS_KEPT.as_nanos()).unwrap_or(i64::MAX);
        for (id, value) in ended {
            let Some((room, at)) = ended_at(&value) else { continue };
            if at < until {
                self.redis.query::<()>(&Cmd::srem(keys::room_egress(room), &id)).await?;
                self.redis.query::<()>(&Cmd::hdel(keys::EGRESS, &id)).await?;
                self.redis.query::<()>(&Cmd::hdel(keys::ENDED_EGRESS, &id)).await?;
            }
        }
        Ok(())
    }
}

/// A room's name may have a bar in it, which stops the reference's sweep.
fn ended_at(value: &str) -> Option<(&str, i64)> {
    let (room, at) = value.rsplit_once('|')?;
    Some((room, at.parse().ok()?))
}

fn is_active(info: &EgressInfo) -> bool {
    info.status < EgressStatus::EgressComplete as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_recording_is_read_whatever_the_room_is_called() {
        assert_eq!(ended_at("r|12"), Some(("r", 12)));
        assert_eq!(ended_at("a|b|12"), Some(("a|b", 12)));
        assert_eq!(ended_at("|12"), Some(("", 12)));
        assert_eq!((ended_at("r"), ended_at("r|x")), (None, None));
    }
}
