//! A probe again and again, with its results on a page for Prometheus. Called by `commands`.

use super::exposition::Exposition;
use super::page;
use super::report::Report;
use super::run::probe;
use super::settings::Settings;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Probes at each interval, one probe at a time, tells each report, and never ends but by an error of the page.
pub async fn run(
    settings: &Settings,
    every: Duration,
    metrics_port: Option<u16>,
    mut each: impl FnMut(&Report),
) -> std::io::Result<()> {
    let shared = Arc::new(Mutex::new(Exposition::new(&settings.url)));
    let probing = async {
        let mut due = interval(every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            let report = probe(settings).await;
            each(&report);
            shared.lock().unwrap_or_else(PoisonError::into_inner).take(report);
        }
    };
    let Some(port) = metrics_port else {
        probing.await;
        return Ok(());
    };
    let (_, serving) = page::serve(port, shared.clone()).await?;
    tokio::select! {
        result = serving => result,
        () = probing => Ok(()),
    }
}
