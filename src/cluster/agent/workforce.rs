//! The agent workers whose connections this node has, as the other nodes see them: which kinds there are, how well a job would
//! be placed here, and the job itself.

use super::Kind;
use crate::cluster::bus::Bus;
use crate::cluster::call::RpcError;
use crate::cluster::channel;
use crate::cluster::method;
use crate::cluster::serve::Server;
use crate::cluster::table::Registration;
use crate::proto::psrpc::{ErrorCode, Wrapped};
use crate::proto::rpc::*;
use crate::proto::{Job, JobState, JobStatus, JobType};
use futures_util::future::BoxFuture;
use rand::Rng;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One worker.
pub trait Worker: Send + Sync {
    fn kind(&self) -> &Kind;

    /// It said that it takes jobs.
    fn is_available(&self) -> bool;

    /// 0 to 1, as it says.
    fn load(&self) -> f32;

    /// Returns when it has taken the job, or has not.
    fn assign(&self, job: Job) -> BoxFuture<'_, Result<JobState, Refusal>>;

    fn terminate(&self, job_id: String, reason: JobTerminateReason) -> BoxFuture<'_, Result<JobState, RpcError>>;
}

/// Why a worker has not taken a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Another may.
    Busy,
    /// The job is lost.
    Failed(RpcError),
}

pub struct Workforce {
    bus: Bus,
    server: Server,
    target_load: f32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    workers: HashMap<u64, Arc<dyn Worker>>,
    /// By kind, while there is a worker of it.
    topics: HashMap<Kind, Registration>,
    jobs: HashMap<String, Running>,
}

struct Running {
    worker: u64,
    _served: Registration,
}

/// The worker is there until this is dropped.
pub struct Presence {
    workforce: Arc<Workforce>,
    number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.workforce.leave(self.number);
    }
}

impl Workforce {
    pub fn new(bus: Bus, server: Server, target_load: f32) -> Arc<Workforce> {
        Arc::new(Workforce { bus, server, target_load, state: Mutex::default() })
    }

    /// The first of a kind is announced, so that nobody goes on believing there is none.
    pub fn enter(self: &Arc<Self>, worker: Arc<dyn Worker>) -> Presence {
        let kind = worker.kind().clone();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.workers.insert(number, worker);
        let is_first = !state.topics.contains_key(&kind);
        if is_first {
            let served = self.serve_kind(&kind);
            state.topics.insert(kind, served);
        }
        drop(state);
        if is_first {
            tokio::spawn(announce(self.bus.clone()));
        }
        Presence { workforce: self.clone(), number }
    }

    fn serve_kind(self: &Arc<Self>, kind: &Kind) -> Registration {
        let topic = kind.topic();
        let (judge, giver) = (Arc::downgrade(self), Arc::downgrade(self));
        let affinity = move |job: &Job| judge.upgrade().map_or(-1.0, |workforce| workforce.affinity(job));
        let give = move |job| give(giver.clone(), job);
        let topic = [topic[0].as_str(), topic[1].as_str()];
        self.server.methods().with_affinity(&method::JOB_REQUEST, &topic, affinity, give).serve()
    }

    fn leave(&self, number: u64) {
        let mut state = self.lock();
        let Some(gone) = state.workers.remove(&number) else { return };
        if !state.workers.values().any(|worker| worker.kind() == gone.kind()) {
            state.topics.remove(gone.kind());
        }
        state.jobs.retain(|_, job| job.worker != number);
    }

    /// What this node says when it is asked which workers it has.
    pub fn enabled(&self) -> CheckEnabledResponse {
        let state = self.lock();
        let has = |job_type| state.topics.keys().any(|kind| kind.job_type == job_type);
        let all = |of: fn(&Kind) -> &String| {
            state.topics.keys().map(of).collect::<BTreeSet<_>>().into_iter().cloned().collect()
        };
        CheckEnabledResponse {
            room_enabled: has(JobType::JtRoom),
            publisher_enabled: has(JobType::JtPublisher),
            participant_enabled: has(JobType::JtParticipant),
            namespaces: all(|kind| &kind.namespace),
            agent_names: all(|kind| &kind.agent_name),
        }
    }

    /// The room there is for such jobs, over all workers.
    fn affinity(&self, job: &Job) -> f32 {
        let kind = Kind::of(job);
        let state = self.lock();
        let matching = state.workers.values().filter(|worker| *worker.kind() == kind && worker.is_available());
        matching.map(|worker| (self.target_load - worker.load()).max(0.0)).sum()
    }

    /// One of those that would take the job, the idler the likelier.
    fn choose(&self, kind: &Kind, tried: &[u64]) -> Option<(u64, Arc<dyn Worker>)> {
        let state = self.lock();
        let weight = |worker: &Arc<dyn Worker>| (1.0 - worker.load()).max(0.0);
        let is_open = |number: &u64, worker: &Arc<dyn Worker>| {
            worker.kind() == kind && worker.is_available() && !tried.contains(number) && weight(worker) > 0.0
        };
        let open: Vec<_> = state.workers.iter().filter(|(number, worker)| is_open(number, worker)).collect();
        let mut left = rand::rng().random::<f32>() * open.iter().map(|(_, worker)| weight(worker)).sum::<f32>();
        let chosen = open.iter().find(|(_, worker)| {
            left -= weight(worker);
            left <= 0.0
        });
        chosen.or(open.last()).map(|(number, worker)| (**number, (*worker).clone()))
    }

    fn note_job(self: &Arc<Self>, job_id: &str, worker: u64) {
        let weak = Arc::downgrade(self);
        let served = self
            .server
            .methods()
            .with(&method::JOB_TERMINATE, &[job_id], move |request| terminate(weak.clone(), request));
        self.lock().jobs.insert(job_id.to_owned(), Running { worker, _served: served.serve() });
    }

    /// The worker has done with it.
    pub fn job_ended(&self, job_id: &str) {
        self.lock().jobs.remove(job_id);
    }

    fn worker_of(&self, job_id: &str) -> Option<Arc<dyn Worker>> {
        let state = self.lock();
        state.jobs.get(job_id).and_then(|job| state.workers.get(&job.worker)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not before jobs can come: whoever hears of it asks at once.
async fn announce(bus: Bus) {
    bus.all_confirmed().await;
    bus.publish(channel::request(method::AGENT_INTERNAL, method::WORKER_REGISTERED, &[]), ().wrap());
}

async fn give(workforce: Weak<Workforce>, job: Job) -> Result<JobRequestResponse, RpcError> {
    let (kind, mut tried) = (Kind::of(&job), Vec::new());
    while let Some(workforce) = workforce.upgrade() {
        let Some((number, worker)) = workforce.choose(&kind, &tried) else { break };
        tried.push(number);
        match worker.assign(job.clone()).await {
            Ok(state) => {
                if state.status() == JobStatus::JsRunning {
                    workforce.note_job(&job.id, number);
                }
                return Ok(JobRequestResponse { state: Some(state) });
            }
            Err(Refusal::Busy) => (),
            Err(Refusal::Failed(error)) => return Err(error),
        }
    }
    Err(RpcError::new(ErrorCode::ResourceExhausted, "no workers with sufficient capacity"))
}

async fn terminate(workforce: Weak<Workforce>, request: JobTerminateRequest) -> Result<JobTerminateResponse, RpcError> {
    let missing = || RpcError::new(ErrorCode::NotFound, "no worker for jobID");
    let worker = workforce.upgrade().and_then(|workforce| workforce.worker_of(&request.job_id)).ok_or_else(missing)?;
    let reason = request.reason();
    let state = worker.terminate(request.job_id, reason).await?;
    Ok(JobTerminateResponse { state: Some(state) })
}
