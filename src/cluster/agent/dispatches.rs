//! The dispatches of the rooms here (CLUSTER.md §2.1, §4): which agents were asked for, and the jobs that came of it. What a
//! dispatch is told of the room is what others may know of it.

use super::Launcher;
use crate::cluster::call::RpcError;
use crate::cluster::hosted::Record;
use crate::cluster::keys;
use crate::cluster::redis::{Redis, StoreError};
use crate::proto::participant_info::Kind;
use crate::proto::psrpc::ErrorCode;
use crate::proto::rpc::JobTerminateReason;
use crate::proto::{AgentDispatch, AgentDispatchState, Job, JobType, ParticipantInfo};
use prost::Message;
use redis::Cmd;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

pub struct Dispatches {
    redis: Redis,
    launcher: Arc<Launcher>,
    rooms: Mutex<HashMap<String, BTreeMap<String, AgentDispatch>>>,
}

impl Dispatches {
    pub fn new(redis: Redis, launcher: Arc<Launcher>) -> Arc<Dispatches> {
        Arc::new(Dispatches { redis, launcher, rooms: Mutex::default() })
    }

    /// Jobs for the room and for the people in it begin to be offered. The caller made the id.
    pub async fn create(self: &Arc<Self>, record: &Record, dispatch: AgentDispatch) -> Result<AgentDispatch, RpcError> {
        let created_at = self.redis.clock().unix_ns();
        let state = Some(AgentDispatchState { created_at, ..AgentDispatchState::default() });
        let dispatch = AgentDispatch { state, ..dispatch };
        let room = &record.room.name;
        self.lock().entry(room.clone()).or_default().insert(dispatch.id.clone(), dispatch.clone());
        let key = keys::agent_dispatches(room);
        self.redis.query::<()>(&Cmd::hset(key, &dispatch.id, dispatch.encode_to_vec())).await?;
        for job in jobs(record, &dispatch) {
            let launched = self.launcher.launch(job);
            tokio::spawn(self.clone().note(room.clone(), launched));
        }
        Ok(dispatch)
    }

    /// With the jobs it had, which are ended. Its record stays as long as the room does.
    pub fn delete(self: &Arc<Self>, room: &str, id: &str) -> Result<AgentDispatch, RpcError> {
        let missing = || RpcError::new(ErrorCode::NotFound, "dispatch ID not found");
        let removed = self.lock().get_mut(room).and_then(|dispatches| dispatches.remove(id));
        let dispatch = removed.ok_or_else(missing)?;
        for job in dispatch.state.iter().flat_map(|state| &state.jobs) {
            tokio::spawn(self.clone().end(job.id.clone()));
        }
        Ok(dispatch)
    }

    /// One, or all of the room.
    pub fn list(&self, room: &str, id: &str) -> Vec<AgentDispatch> {
        let rooms = self.lock();
        let all = rooms.get(room).into_iter().flat_map(BTreeMap::values);
        all.filter(|dispatch| id.is_empty() || dispatch.id == id).cloned().collect()
    }

    /// The room has ended here.
    pub fn forget(&self, room: &str) {
        self.lock().remove(room);
    }

    async fn note(self: Arc<Self>, room: String, mut launched: mpsc::Receiver<Job>) {
        while let Some(job) = launched.recv().await {
            if let Err(error) = self.store_job(&room, &job).await {
                tracing::warn!(room, job = job.id, %error, "the store does not know of an agent's job");
            }
            if !self.keep(&room, job.clone()) {
                // The dispatch was deleted while its job was on the way.
                self.clone().end(job.id).await;
            }
        }
    }

    fn keep(&self, room: &str, job: Job) -> bool {
        let mut rooms = self.lock();
        let dispatch = rooms.get_mut(room).and_then(|dispatches| dispatches.get_mut(&job.dispatch_id));
        let is_known = dispatch.is_some();
        if let Some(state) = dispatch.and_then(|dispatch| dispatch.state.as_mut()) {
            state.jobs.push(job);
        }
        is_known
    }

    async fn store_job(&self, room: &str, job: &Job) -> Result<(), StoreError> {
        let field = job.id.clone();
        self.redis.query(&Cmd::hset(keys::agent_jobs(room), field, stored(job.clone()).encode_to_vec())).await
    }

    async fn end(self: Arc<Self>, job_id: String) {
        if let Err(error) = self.launcher.terminate(&job_id, JobTerminateReason::TerminationRequested).await {
            tracing::info!(job = job_id, %error, "an agent's job could not be ended");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<String, AgentDispatch>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the room, and of the participant only who it is.
fn stored(job: Job) -> Job {
    let identity = |p: ParticipantInfo| ParticipantInfo { identity: p.identity, ..ParticipantInfo::default() };
    Job { room: None, participant: job.participant.map(identity), ..job }
}

/// One for the room, and for everybody in it who is no agent or recorder: one for each who publishes, one for each.
fn jobs(record: &Record, dispatch: &AgentDispatch) -> Vec<Job> {
    let people = record.participants.iter().filter(|p| !is_dependent(p));
    let job = |job_type: JobType, participant: Option<&ParticipantInfo>| Job {
        dispatch_id: dispatch.id.clone(),
        r#type: job_type as i32,
        room: Some(record.room.clone()),
        participant: participant.cloned(),
        metadata: dispatch.metadata.clone(),
        agent_name: dispatch.agent_name.clone(),
        deployment: dispatch.deployment.clone(),
        attributes: dispatch.attributes.clone(),
        ..Job::default()
    };
    let publishers = people.clone().filter(|p| p.is_publisher).map(|p| job(JobType::JtPublisher, Some(p)));
    let participants = people.clone().map(|p| job(JobType::JtParticipant, Some(p)));
    [job(JobType::JtRoom, None)].into_iter().chain(publishers).chain(participants).collect()
}

fn is_dependent(participant: &ParticipantInfo) -> bool {
    matches!(participant.kind(), Kind::Agent | Kind::Egress)
        || participant.permission.as_ref().is_some_and(is_agent_or_recorder)
}

/// Deprecated grants that older agents and recorders come with.
#[allow(deprecated)]
fn is_agent_or_recorder(permission: &crate::proto::ParticipantPermission) -> bool {
    permission.agent || permission.recorder
}
