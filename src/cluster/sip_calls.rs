//! Telephone calls from the side of the server that is asked to make one (CLUSTER.md §2.3).

use super::call::{Caller, Patience, RpcError};
use super::io::IoInfo;
use super::{method, sip};
use crate::limits::{SIP_ANSWER_TIMEOUT, SIP_CALL_TIMEOUT};
use crate::proto::psrpc::ErrorCode;
use crate::proto::{
    CreateSipParticipantRequest, ParticipantInfo, SipOutboundTrunkInfo, SipParticipantInfo,
    TransferSipParticipantRequest, id,
};
use rand::seq::IndexedRandom;
use std::sync::Arc;
use std::time::Duration;

pub struct SipCalls {
    caller: Caller,
    io: Arc<IoInfo>,
}

impl SipCalls {
    pub fn new(caller: Caller, io: Arc<IoInfo>) -> SipCalls {
        SipCalls { caller, io }
    }

    /// Returns when the call is a participant, or is answered if the request waits for that. `limit` is how long the asking
    /// side waits. Never tried twice: somebody's telephone rings.
    pub async fn create(
        &self,
        request: &CreateSipParticipantRequest,
        limit: Option<Duration>,
    ) -> Result<SipParticipantInfo, RpcError> {
        let trunk = self.trunk(&request.sip_trunk_id).await?;
        let number = trunk.as_ref().and_then(|trunk| trunk.numbers.choose(&mut rand::rng()));
        let call_id = id::random("SCL_");
        let order = sip::participant_request(request, trunk.as_ref(), number.map(String::as_str), &call_id);
        let order =
            order.ok_or_else(|| RpcError::new(ErrorCode::FailedPrecondition, "no numbers on outbound trunk"))?;
        let usual = if request.wait_until_answered { SIP_ANSWER_TIMEOUT } else { SIP_CALL_TIMEOUT };
        let patience = Patience::once(limit.unwrap_or(usual));
        let made = self.caller.call(&method::CREATE_SIP_PARTICIPANT, &[""], &order, patience).await?;
        Ok(SipParticipantInfo {
            participant_id: made.participant_id,
            participant_identity: made.participant_identity,
            room_name: request.room_name.clone(),
            sip_call_id: call_id,
        })
    }

    async fn trunk(&self, id: &str) -> Result<Option<SipOutboundTrunkInfo>, RpcError> {
        if id.is_empty() {
            return Ok(None);
        }
        let missing = || RpcError::new(ErrorCode::NotFound, "requested sip trunk does not exist");
        self.io.outbound_trunk(id).await?.ok_or_else(missing).map(Some)
    }

    /// `participant` is the call that is to go elsewhere, as the store has it.
    pub async fn transfer(
        &self,
        request: &TransferSipParticipantRequest,
        participant: &ParticipantInfo,
        limit: Option<Duration>,
    ) -> Result<(), RpcError> {
        let none = || RpcError::new(ErrorCode::InvalidArgument, "no SIP session associated with participant");
        let call_id = participant.attributes.get(sip::ATTRIBUTE_CALL_ID).ok_or_else(none)?;
        let ringing = request.ringing_timeout.as_ref().map(|d| {
            let (seconds, nanos) = (u64::try_from(d.seconds).unwrap_or_default(), u32::try_from(d.nanos));
            Duration::from_secs(seconds) + Duration::from_nanos(nanos.unwrap_or_default().into())
        });
        let patience = ringing.unwrap_or(SIP_CALL_TIMEOUT).min(limit.unwrap_or(Duration::MAX));
        let order = sip::transfer_request(request, call_id, patience);
        self.caller.call(&method::TRANSFER_SIP_PARTICIPANT, &[call_id], &order, Patience::once(patience)).await
    }
}
