//! A server seen from outside at one moment: its process, if it runs on this machine, and what it tells of itself. Called by
//! `run` and by the coordinator of workers at the ends of the measuring window.

use super::exposition::Exposition;
use super::setup::{LoadError, Setup};
use super::vitals::Usage;
use crate::client::api::{Api, ApiError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a metrics page is waited for.
pub const PAGE_PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub struct Sight {
    pub at: Instant,
    /// Absent if nobody asked for it or it is gone.
    pub process: Option<Usage>,
    /// Empty if nobody asked for it or it does not answer.
    pub told: Exposition,
}

impl Sight {
    pub async fn now(setup: &Setup) -> Sight {
        let told = exposition(setup).await.unwrap_or_default();
        let process = setup.server_pid.and_then(|pid| Usage::of(&pid.to_string()).ok());
        Sight { at: Instant::now(), process, told }
    }
}

/// Whether what was asked for can be seen.
pub async fn check(setup: &Setup) -> Result<(), LoadError> {
    if let Some(pid) = setup.server_pid {
        Usage::of(&pid.to_string()).map_err(|_| LoadError::Process(pid))?;
    }
    let told = exposition(setup).await.map_err(|error| LoadError::Metrics(error.to_string()));
    told.map(drop)
}

/// The server's own figures, empty if nobody asked for them.
async fn exposition(setup: &Setup) -> Result<Exposition, ApiError> {
    let Some(url) = &setup.metrics_url else { return Ok(Exposition::default()) };
    let page = timeout(PAGE_PATIENCE, Api::page(url)).await;
    let page = page.map_err(|_| ApiError::Answer(format!("{url} does not answer")))??;
    Ok(Exposition::parse(&page))
}
