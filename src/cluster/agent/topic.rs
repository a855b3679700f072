//! What jobs and workers must have in common.

use crate::proto::{Job, JobType};

/// The jobs a worker takes. Two that are equal are asked under one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kind {
    pub agent_name: String,
    pub namespace: String,
    pub job_type: JobType,
    pub deployment: String,
}

impl Kind {
    #[allow(deprecated)] // workers without a name still have namespaces
    pub fn of(job: &Job) -> Kind {
        Kind {
            agent_name: job.agent_name.clone(),
            namespace: job.namespace.clone(),
            job_type: job.r#type(),
            deployment: job.deployment.clone(),
        }
    }

    /// The job, offered in that namespace.
    #[allow(deprecated)] // as above
    pub fn within(job: Job, namespace: String) -> Job {
        Job { namespace, ..job }
    }

    /// The two elements of the topic; an empty first one vanishes from the channel's name.
    pub fn topic(&self) -> [String; 2] {
        let mut name = match (self.agent_name.as_str(), self.namespace.as_str()) {
            ("", namespace) => namespace.to_owned(),
            (name, "") => name.to_owned(),
            (name, namespace) => format!("{name}_{namespace}"),
        };
        if !self.deployment.is_empty() {
            name = format!("{name}_{}", self.deployment);
        }
        [name, job_type_topic(self.job_type).to_owned()]
    }
}

fn job_type_topic(job_type: JobType) -> &'static str {
    match job_type {
        JobType::JtRoom => "room",
        JobType::JtPublisher => "publisher",
        JobType::JtParticipant => "participant",
    }
}
