//! Opens sessions wherever the room is: here, or on another node that is then spoken to as if it were here. Called by the
//! routes; what comes out is the same either way.

use super::refusal::Refusal;
use super::routes::Gate;
use super::start_session;
use crate::cluster::{Place, PlaceError, RpcError};
use crate::proto::SignalResponse;
use crate::room::resume;
use crate::room::session::{OpenError, Session, SessionStart};
use std::time::Duration;
use tokio::time::timeout;

/// A room and its socket in one process: what the reference's three tries of 3, 4 and 5 s take together.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(12);

/// The first try on another node; each further one waits as much longer.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a try failed.
enum Failure {
    /// Another may succeed: the other node was gone, or had not got the room.
    Again(Refusal),
    Final(Refusal),
}

impl Gate {
    /// The session and the response it begins with, which decides whether there is an upgrade at all.
    pub(super) async fn open(&self, start: SessionStart) -> Result<(SignalResponse, Session), Refusal> {
        let attempts = self.config.signal_relay.connect_attempts.max(1);
        let mut last = Refusal::timed_out();
        for attempt in 1..=attempts {
            match self.open_once(&start, REMOTE_TIMEOUT * attempt).await {
                Ok(opened) => return Ok(opened),
                Err(Failure::Final(refusal)) => return Err(refusal),
                Err(Failure::Again(refusal)) => last = refusal,
            }
        }
        Err(last)
    }

    async fn open_once(&self, start: &SessionStart, patience: Duration) -> Result<(SignalResponse, Session), Failure> {
        match self.place(start).await.map_err(|e| Failure::Final(e.into()))? {
            Place::Here => {
                let opening = async {
                    let session = self.open_here(start.clone()).await.map_err(refused)?;
                    first_of(session).await
                };
                let late = |_| Err(Refusal::timed_out());
                timeout(LOCAL_TIMEOUT, opening).await.unwrap_or_else(late).map_err(Failure::Final)
            }
            Place::There(node) => {
                let opening = async {
                    let session = self.open_there(&node, start).await.map_err(|error| {
                        tracing::info!(node, %error, "another node does not take a participant");
                        Refusal::timed_out()
                    })?;
                    first_of(session).await
                };
                let late = |_| Err(Refusal::timed_out());
                timeout(patience, opening).await.unwrap_or_else(late).map_err(Failure::Again)
            }
        }
    }

    /// A room that lives here is not asked about: it works without the others.
    async fn place(&self, start: &SessionStart) -> Result<Place, PlaceError> {
        if self.directory.exists(&start.room) {
            return Ok(Place::Here);
        }
        match start.reconnect {
            // There is nothing to resume in a room that is nowhere; the session is refused here.
            true => Ok(self.cluster.find(&start.room).await?.unwrap_or(Place::Here)),
            false => self.cluster.place(&start.room, None).await,
        }
    }

    /// Also for participants whose WebSocket another node has. Returns when others can find the participant.
    pub(super) async fn open_here(&self, mut start: SessionStart) -> Result<Session, OpenError> {
        let room = start.room.clone();
        if !self.directory.exists(&room) {
            start.inherited = self.cluster.inheritance(&room).await.map(Box::new);
        }
        let session = self.directory.open(start).await?;
        self.cluster.settle(self.directory.ledger().settled(&room)).await;
        Ok(session)
    }

    async fn open_there(&self, node: &str, start: &SessionStart) -> Result<Session, RpcError> {
        let farewell = resume::farewell(start.client.protocol);
        let relayed = self.cluster.relay(node, start_session::to_proto(start), farewell).await?;
        Ok(Session { requests: relayed.outgoing, responses: relayed.incoming })
    }
}

async fn first_of(mut session: Session) -> Result<(SignalResponse, Session), Refusal> {
    let first = session.responses.recv().await.ok_or_else(Refusal::closed_by_media)?;
    Ok((first, session))
}

/// The client is told little, so the log is told why.
fn refused(error: OpenError) -> Refusal {
    if let OpenError::Refused { why } = &error {
        tracing::info!(why, "a session was refused");
    }
    error.into()
}
