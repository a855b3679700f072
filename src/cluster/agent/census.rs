//! Which agents there are workers for, anywhere. All nodes are asked; what they say is used as it comes, and believed for a
//! minute or until a node has a worker of a new kind.

use crate::cluster::bus::Bus;
use crate::cluster::call::Caller;
use crate::cluster::table::{Registration, Sink};
use crate::cluster::{channel, method};
use crate::limits::{AGENT_CENSUS_KEPT, AGENT_CENSUS_TIMEOUT, AGENT_NAMES_MAX};
use crate::proto::JobType;
use crate::proto::rpc::{CheckEnabledRequest, CheckEnabledResponse};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    kinds: [Names; 3],
    /// Nobody else will answer.
    pub is_complete: bool,
}

#[derive(Clone, Debug, Default)]
struct Names {
    namespaces: BTreeSet<String>,
    agents: BTreeSet<String>,
}

impl Known {
    /// An answer does not say which of its names is of which type: all are of all that it has.
    fn note(&mut self, answer: &CheckEnabledResponse) {
        let types = [answer.room_enabled, answer.publisher_enabled, answer.participant_enabled];
        for (names, _) in self.kinds.iter_mut().zip(types).filter(|(_, enabled)| *enabled) {
            add(&mut names.namespaces, &answer.namespaces);
            add(&mut names.agents, &answer.agent_names);
        }
    }

    /// The namespaces to ask for a worker of that agent; `None` while none is known.
    pub fn namespaces(&self, agent: &str, job_type: JobType) -> Option<&BTreeSet<String>> {
        let names = &self.kinds[job_type as usize];
        (agent.is_empty() || names.agents.contains(agent)).then_some(&names.namespaces)
    }
}

fn add(known: &mut BTreeSet<String>, more: &[String]) {
    let room = AGENT_NAMES_MAX.saturating_sub(known.len());
    known.extend(more.iter().take(room).cloned());
}

pub struct Census {
    caller: Caller,
    latest: Arc<Mutex<Option<Taken>>>,
    _announcements: Registration,
}

struct Taken {
    at: Instant,
    known: watch::Receiver<Known>,
}

impl Census {
    pub fn new(caller: Caller, bus: &Bus) -> Census {
        let latest: Arc<Mutex<Option<Taken>>> = Arc::default();
        let to_forget = latest.clone();
        let forget: Sink = Arc::new(move |_| *to_forget.lock().unwrap_or_else(PoisonError::into_inner) = None);
        let name = channel::request(method::AGENT_INTERNAL, method::WORKER_REGISTERED, &[]);
        Census { caller, latest, _announcements: bus.subscribe(vec![(name, forget)]) }
    }

    /// What is known, and what becomes known.
    pub fn look(&self) -> watch::Receiver<Known> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = latest.as_ref().filter(|taken| taken.at.elapsed() < AGENT_CENSUS_KEPT) {
            return taken.known.clone();
        }
        let (learner, known) = watch::channel(Known::default());
        tokio::spawn(ask(self.caller.clone(), learner));
        *latest = Some(Taken { at: Instant::now(), known: known.clone() });
        known
    }
}

async fn ask(caller: Caller, learner: watch::Sender<Known>) {
    let mut answers = caller.ask_all(&method::CHECK_ENABLED, &[], &CheckEnabledRequest {}, AGENT_CENSUS_TIMEOUT);
    while let Some(answer) = answers.next().await {
        learner.send_modify(|known| known.note(&answer));
    }
    learner.send_modify(|known| known.is_complete = true);
}
