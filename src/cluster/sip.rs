//! Telephone calls: which trunk and which rule an incoming one meets, and what it becomes (CLUSTER.md §2.4); what an outgoing
//! one is ordered with. Pure: trunks and rules are told, so are random endings.

mod dispatch;
mod media;
mod number;
mod outbound;
mod rule;
mod trunk;

#[cfg(test)]
mod tests;

pub use dispatch::dispatch;
pub use outbound::{participant_request, transfer_request};
pub use rule::match_rule;
pub use trunk::{allows_called, as_inbound, authentication, match_trunk};

use crate::proto::SipUri;
use crate::proto::rpc::{EvaluateSipDispatchRulesRequest, GetSipTrunkAuthenticationRequest, SipCall};
use std::net::SocketAddr;

/// Attributes of a participant that is a call.
pub const ATTRIBUTE_CALL_ID: &str = "sip.callID";
const ATTRIBUTE_TRUNK_ID: &str = "sip.trunkID";
const ATTRIBUTE_RULE_ID: &str = "sip.ruleID";
const ATTRIBUTE_TRUNK_NUMBER: &str = "sip.trunkPhoneNumber";
const ATTRIBUTE_PHONE_NUMBER: &str = "sip.phoneNumber";
const ATTRIBUTE_HOST_NAME: &str = "sip.hostname";

/// Why a call is not let in. The texts are the reference's, which sends them without a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SipError {
    #[error("twirp error failed_precondition: Multiple SIP Trunks matched for {0:?}")]
    TrunksConflict(String),
    #[error("twirp error failed_precondition: Multiple default SIP Trunks matched for {0:?}")]
    DefaultTrunksConflict(String),
    #[error(
        "twirp error invalid_argument: Dispatch rule for the same trunk, inbound number, number, and PIN combination \
         already exists in dispatch rule {id:?} {name:?}"
    )]
    RulesConflict { id: String, name: String },
    #[error("unsupported SIP Dispatch Rule: <nil>")]
    EmptyRule,
    #[error("twirp error permission_denied: Incorrect PIN for SIP room")]
    WrongPin,
}

/// The call, from whichever fields of the request say it.
pub fn call_to_authenticate(request: &GetSipTrunkAuthenticationRequest) -> SipCall {
    let GetSipTrunkAuthenticationRequest { from, to, src_address, to_host, sip_call_id, from_host, call } = request;
    let from_fields = || call_of(sip_call_id, src_address, uri(from, from_host), uri(to, to_host));
    call.clone().unwrap_or_else(from_fields)
}

pub fn call_to_dispatch(request: &EvaluateSipDispatchRulesRequest) -> SipCall {
    let from = || uri(&request.calling_number, &request.calling_host);
    let to = || uri(&request.called_number, &request.called_host);
    let from_fields = || call_of(&request.sip_call_id, &request.src_address, from(), to());
    request.call.clone().unwrap_or_else(from_fields)
}

fn call_of(id: &str, source: &str, from: SipUri, to: SipUri) -> SipCall {
    let source_ip = source.parse::<SocketAddr>().map_or_else(|_| source.to_owned(), |a| a.ip().to_string());
    SipCall {
        lk_call_id: id.to_owned(),
        source_ip,
        address: Some(to.clone()),
        from: Some(from),
        to: Some(to),
        ..SipCall::default()
    }
}

fn uri(user: &str, host: &str) -> SipUri {
    SipUri { user: user.to_owned(), host: host.to_owned(), ..SipUri::default() }
}

/// Number and host of an end of the call; empty where there is none.
fn end(uri: Option<&SipUri>) -> (&str, &str) {
    uri.map_or(("", ""), |uri| (&uri.user, &uri.host))
}
