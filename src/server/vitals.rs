//! Gathers the node's statistics, every `node_stats.stats_update_interval`. That it comes round in time is the health check.

use crate::api::health::Pulse;
use crate::room::clock::unix_ms;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// A shorter interval would only cost.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Never returns.
pub async fn run(pulse: Pulse, every: Duration) {
    let mut ticks = interval(every.max(INTERVAL_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pulse.beat(unix_ms());
    }
}
