//! Participants whose WebSockets other nodes have (CLUSTER.md §3.1): they get the same sessions as those who came here.

use super::routes::Gate;
use super::start_session;
use crate::cluster::Arrival;
use crate::room::session::SessionStart;
use tokio::sync::mpsc;
use tracing::Instrument;

/// Takes them in until the node stops.
pub async fn receive(gate: Gate, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        let gate = gate.clone();
        let span = tracing::info_span!("signal", room = arrival.start.room_name, participant = arrival.start.identity);
        tokio::spawn(async move { gate.welcome(arrival).await }.instrument(span));
    }
}

impl Gate {
    async fn welcome(&self, arrival: Arrival) {
        let start = match start_session::from_proto((*arrival.start).clone()) {
            Ok(start) => start,
            Err(error) => return arrival.refuse(&error.to_string()),
        };
        if !self.is_here(&start).await {
            return arrival.send_away().await;
        }
        match self.open_here(start).await {
            Ok(session) => arrival.carry(session.requests, session.responses).await,
            Err(error) => {
                tracing::info!(%error, "a session of another node was refused");
                arrival.refuse(&error.to_string());
            }
        }
    }

    /// The other node may have known an older map.
    async fn is_here(&self, start: &SessionStart) -> bool {
        self.directory.exists(&start.room) || self.cluster.is_given_to_us(&start.room).await
    }
}
