//! What coordinator and workers write to each other, as JSON.

use super::clock::Offset;
use super::harvest::Harvest;
use crate::client::Mode;
use crate::client::api::Keys;
use crate::load::run::Progress;
use crate::load::setup::Setup;
use crate::load::shape::Shape;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What all workers are to do together; each does its part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub url: String,
    pub key: String,
    pub secret: String,
    pub shape: Shape,
    pub shape_text: String,
    pub room: String,
    pub identity_prefix: String,
    pub per_second: f64,
    pub single_connection: bool,
}

/// From a coordinator to a worker. Answers go to the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub run: String,
    pub what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum What {
    /// Begin with every `of`-th arrival from the `index`-th on, when Redis's clock says `start_us`.
    Begin { task: Box<Task>, index: usize, of: usize, start_us: i64 },
    /// What counts is measured from then on.
    Measure { at_us: i64 },
    /// To then.
    Collect { at_us: i64 },
    /// All have handed over: say goodbye.
    Leave,
    /// The coordinator lives.
    Alive,
}

/// From a worker to the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub worker: String,
    pub said: Said,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Said {
    /// It will begin.
    Ready { offset: Offset },
    /// Each second.
    Progress(Box<Progress>),
    /// What it counted: the last thing it says.
    Done { harvest: Box<Harvest>, offset: Offset },
    /// It cannot go on.
    Failed(String),
}

impl Task {
    pub fn of(setup: &Setup) -> Task {
        Task {
            url: setup.url.clone(),
            key: setup.keys.key.clone(),
            secret: setup.keys.secret.clone(),
            shape: setup.shape.clone(),
            shape_text: setup.shape_text.clone(),
            room: setup.room.clone(),
            identity_prefix: setup.identity_prefix.clone(),
            per_second: setup.per_second,
            single_connection: setup.mode == Mode::Single,
        }
    }

    /// How a worker runs it: the window's length is the coordinator's business.
    pub fn setup(self, threads: usize) -> Setup {
        Setup {
            url: self.url,
            keys: Keys { key: self.key, secret: self.secret },
            shape: self.shape,
            shape_text: self.shape_text,
            room: self.room,
            identity_prefix: self.identity_prefix,
            per_second: self.per_second,
            duration: None::<Duration>,
            threads,
            mode: if self.single_connection { Mode::Single } else { Mode::Dual },
            server_pid: None,
            metrics_url: None,
        }
    }
}
