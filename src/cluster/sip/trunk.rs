//! Which inbound trunk a call comes by.

use super::{SipError, end, number};
use crate::config::Cidr;
use crate::proto::rpc::{GetSipTrunkAuthenticationResponse, SipCall};
use crate::proto::sip_trunk_info::TrunkKind;
use crate::proto::{ProviderInfo, ProviderType, SipInboundTrunkInfo, SipTrunkInfo};
use std::net::IpAddr;

/// The trunk of the called number, else the only one without numbers. Two of the same rank are a mistake of whoever set them
/// up.
pub fn match_trunk<'a>(
    trunks: impl IntoIterator<Item = &'a SipInboundTrunkInfo>,
    call: &SipCall,
) -> Result<Option<&'a SipInboundTrunkInfo>, SipError> {
    let (called, _) = end(call.to.as_ref());
    let (mut selected, mut defaults) = (None, Vec::new());
    for trunk in trunks.into_iter().filter(|trunk| admits(trunk, call)) {
        if trunk.numbers.is_empty() {
            defaults.push(trunk);
        } else if number::is_allowed(called, &trunk.numbers) && selected.replace(trunk).is_some() {
            return Err(SipError::TrunksConflict(called.to_owned()));
        }
    }
    match (selected, defaults.as_slice()) {
        (Some(trunk), _) => Ok(Some(trunk)),
        (None, [_, _, ..]) => Err(SipError::DefaultTrunksConflict(called.to_owned())),
        (None, defaults) => Ok(defaults.first().copied()),
    }
}

/// Whether calls from there may come by this trunk.
fn admits(trunk: &SipInboundTrunkInfo, call: &SipCall) -> bool {
    let (calling, host) = end(call.from.as_ref());
    number::is_allowed(calling, &trunk.allowed_numbers) && is_address_allowed(call, host, &trunk.allowed_addresses)
}

/// A call without a readable address is not held against the list.
fn is_address_allowed(call: &SipCall, host: &str, masks: &[String]) -> bool {
    let Ok(ip) = call.source_ip.parse::<IpAddr>() else { return true };
    let mut masks = masks.iter().filter(|mask| is_mask(mask)).peekable();
    masks.peek().is_none() || masks.any(|mask| mask == host || holds(mask, ip))
}

/// Addresses, blocks and host names; old entries hold other things, which do not count.
fn is_mask(mask: &str) -> bool {
    !mask.contains(|c: char| "()+*;, \t\n\r".contains(c)) && !mask.contains("://")
}

fn holds(mask: &str, ip: IpAddr) -> bool {
    match mask.contains('/') {
        true => Cidr::parse(mask).is_some_and(|block| block.contains(ip)),
        false => mask.parse() == Ok(ip),
    }
}

/// Whether the trunk could be for that number.
pub fn allows_called(trunk: &SipInboundTrunkInfo, called: &str) -> bool {
    number::is_allowed(called, &trunk.numbers)
}

/// A trunk of before there were two kinds; `None` if it was for outgoing calls.
pub fn as_inbound(old: SipTrunkInfo) -> Option<SipInboundTrunkInfo> {
    if old.kind() == TrunkKind::TrunkOutbound {
        return None;
    }
    Some(SipInboundTrunkInfo {
        sip_trunk_id: old.sip_trunk_id,
        name: old.name,
        metadata: old.metadata,
        numbers: Some(old.outbound_number).filter(|n| !n.is_empty()).into_iter().collect(),
        allowed_addresses: old.inbound_addresses,
        allowed_numbers: old.inbound_numbers,
        auth_username: old.inbound_username,
        auth_password: old.inbound_password,
        ..SipInboundTrunkInfo::default()
    })
}

/// What the caller has to know.
pub fn authentication(trunk: &SipInboundTrunkInfo) -> GetSipTrunkAuthenticationResponse {
    let provider = ProviderInfo {
        id: trunk.sip_trunk_id.clone(),
        name: trunk.name.clone(),
        r#type: ProviderType::External as i32,
        ..ProviderInfo::default()
    };
    GetSipTrunkAuthenticationResponse {
        sip_trunk_id: trunk.sip_trunk_id.clone(),
        username: trunk.auth_username.clone(),
        password: trunk.auth_password.clone(),
        realm: trunk.auth_realm.clone(),
        provider_info: Some(provider),
        ..GetSipTrunkAuthenticationResponse::default()
    }
}
