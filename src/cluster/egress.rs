//! Recordings from the side of the server that is asked for one (CLUSTER.md §1.10, §2.3): a worker is found, told, and what it
//! says is stored. Workers may take long to free up or to be started, so a start is tried again and again.

use super::call::{Caller, Patience, RpcError};
use super::io::IoInfo;
use super::method;
use crate::limits::{EGRESS_START_ATTEMPTS, EGRESS_START_PAUSE, EGRESS_START_TIMEOUT};
use crate::proto::psrpc::ErrorCode;
use crate::proto::rpc::StartEgressRequest;
use crate::proto::{EgressInfo, EgressStatus, Kept, StopEgressRequest, UpdateStreamRequest, id};
use rand::Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

pub struct EgressLauncher {
    caller: Caller,
    io: Arc<IoInfo>,
    patience: Patience,
}

impl EgressLauncher {
    pub fn new(caller: Caller, io: Arc<IoInfo>, patience: Patience) -> EgressLauncher {
        EgressLauncher { caller, io, patience }
    }

    /// Id and room sid are filled in where they are missing. May take minutes where no worker is.
    pub async fn start(&self, mut request: StartEgressRequest) -> Result<EgressInfo, RpcError> {
        if request.egress_id.is_empty() {
            request.egress_id = id::random("EG_");
        }
        if request.room_id.is_empty() {
            request.room_id = self.room_id(&request).await?;
        }
        let info = self.launch(&request).await?;
        if let Err(error) = self.io.create_egress(info.clone()).await {
            tracing::warn!(egress = info.egress_id, %error, "a recording that has begun is not in the store");
        }
        Ok(info.into_message())
    }

    async fn room_id(&self, request: &StartEgressRequest) -> Result<String, RpcError> {
        match request.request.as_ref().map_or("", |request| request.room_name()) {
            "" => Ok(String::new()),
            room => self.io.room_sid(room).await,
        }
    }

    async fn launch(&self, request: &StartEgressRequest) -> Result<Kept<EgressInfo>, RpcError> {
        for _ in 1..self.patience.attempts.max(1) {
            match self.launch_series(request).await {
                Err(error) if error.is_transient() => (),
                result => return result,
            }
        }
        self.launch_series(request).await
    }

    async fn launch_series(&self, request: &StartEgressRequest) -> Result<Kept<EgressInfo>, RpcError> {
        let mut attempt = 0;
        loop {
            let patience = Patience::once(self.first_timeout() * (1 << attempt));
            let result = self.caller.call(&method::START_EGRESS, &[""], request, patience).await;
            attempt += 1;
            match result {
                Err(error) if attempt < EGRESS_START_ATTEMPTS && may_help(&error) => sleep(pause(attempt)).await,
                result => return result,
            }
        }
    }

    fn first_timeout(&self) -> Duration {
        self.patience.timeout.max(EGRESS_START_TIMEOUT)
    }

    /// A worker that nobody hears from counts as slow, not as missing.
    pub async fn stop(&self, request: &StopEgressRequest) -> Result<EgressInfo, RpcError> {
        let stopped = self.caller.call(&method::STOP_EGRESS, &[&request.egress_id], request, self.patience).await;
        let error = match stopped {
            Ok(info) => return Ok(info),
            Err(error) => error,
        };
        Err(match self.explain(&request.egress_id, error, "stopped").await {
            error if error == RpcError::no_response() => RpcError::overdue(),
            error => error,
        })
    }

    pub async fn update_stream(&self, request: &UpdateStreamRequest) -> Result<EgressInfo, RpcError> {
        match self.caller.call(&method::UPDATE_STREAM, &[&request.egress_id], request, self.patience).await {
            Err(error) => Err(self.explain(&request.egress_id, error, "updated").await),
            result => result,
        }
    }

    /// A recording that is over has nobody who would answer.
    async fn explain(&self, id: &str, error: RpcError, what: &str) -> RpcError {
        match self.io.egress(id).await {
            Err(error) => error,
            Ok(info) if matches!(info.status(), EgressStatus::EgressStarting | EgressStatus::EgressActive) => error,
            Ok(info) => {
                let status = info.status().as_str_name();
                RpcError::new(ErrorCode::FailedPrecondition, format!("egress with status {status} cannot be {what}"))
            }
        }
    }
}

fn may_help(error: &RpcError) -> bool {
    error.is_transient() || error.code == ErrorCode::ResourceExhausted
}

fn pause(attempt: u32) -> Duration {
    EGRESS_START_PAUSE.mul_f64(f64::from(1_u32 << (attempt - 1)) * rand::rng().random_range(1.0..2.0))
}
