//! Finds a worker for a job, on whichever node one is.

use super::Kind;
use super::census::Census;
use crate::cluster::call::{Caller, Patience, RpcError};
use crate::cluster::method;
use crate::config::Agents;
use crate::limits::{AGENT_JOB_TIMEOUT, AGENT_JOBS_MAX};
use crate::proto::rpc::{JobTerminateReason, JobTerminateRequest};
use crate::proto::{Job, JobState, id};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

pub struct Launcher {
    caller: Caller,
    census: Census,
    enable_recording: bool,
    enable_redaction: bool,
}

impl Launcher {
    pub fn new(caller: Caller, census: Census, config: &Agents) -> Launcher {
        let (enable_recording, enable_redaction) =
            (config.enable_user_data_recording, config.enable_user_data_redaction);
        Launcher { caller, census, enable_recording, enable_redaction }
    }

    /// Offers the job, under an id of its own, to the workers of every namespace that might take it. Those that are taken come
    /// with their state; the channel ends when no more will.
    pub fn launch(self: &Arc<Self>, job: Job) -> mpsc::Receiver<Job> {
        let (taken, jobs) = mpsc::channel(AGENT_JOBS_MAX);
        tokio::spawn(self.clone().offer(job, taken));
        jobs
    }

    async fn offer(self: Arc<Self>, job: Job, taken: mpsc::Sender<Job>) {
        let mut known = self.census.look();
        let mut asked = BTreeSet::new();
        loop {
            let (new, is_complete) = {
                let known = known.borrow_and_update();
                let all = known.namespaces(&job.agent_name, job.r#type());
                let new: Vec<String> = all.into_iter().flatten().filter(|n| !asked.contains(*n)).cloned().collect();
                (new, known.is_complete)
            };
            asked.extend(new.iter().cloned());
            for namespace in new {
                tokio::spawn(self.clone().request(Kind::within(job.clone(), namespace), taken.clone()));
            }
            if is_complete || known.changed().await.is_err() {
                break;
            }
        }
        if asked.is_empty() {
            tracing::info!(agent = job.agent_name, "no worker is there for the job");
        }
    }

    async fn request(self: Arc<Self>, job: Job, taken: mpsc::Sender<Job>) {
        let (enable_recording, enable_redaction) = (self.enable_recording, self.enable_redaction);
        let job = Job { id: id::random("AJ_"), enable_recording, enable_redaction, ..job };
        let topic = Kind::of(&job).topic();
        let topic = [topic[0].as_str(), topic[1].as_str()];
        match self.caller.call(&method::JOB_REQUEST, &topic, &job, Patience::once(AGENT_JOB_TIMEOUT)).await {
            Ok(answer) => drop(taken.send(Job { state: answer.state, ..job }).await),
            Err(error) => {
                tracing::info!(agent = job.agent_name, topic = topic[0], %error, "no worker took the job")
            }
        }
    }

    pub async fn terminate(&self, job_id: &str, reason: JobTerminateReason) -> Result<Option<JobState>, RpcError> {
        let request = JobTerminateRequest { job_id: job_id.to_owned(), reason: reason as i32 };
        let patience = Patience::once(AGENT_JOB_TIMEOUT);
        Ok(self.caller.call(&method::JOB_TERMINATE, &[job_id], &request, patience).await?.state)
    }
}
