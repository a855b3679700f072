//! What a call becomes by the rule it met.

use super::media::{merged, upgraded};
use super::rule::room_and_pin;
use super::*;
use crate::proto::rpc::{EvaluateSipDispatchRulesResponse, Seconds, SipDispatchResult};
use crate::proto::sip_dispatch_rule::Rule;
use crate::proto::{SipDispatchRuleInfo, SipFeature, SipInboundTrunkInfo, SipMediaConfig};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::fmt::Write;

/// `ending` is random, for rooms that are to be one for each call.
pub fn dispatch(
    trunk: Option<&SipInboundTrunkInfo>,
    rule: &SipDispatchRuleInfo,
    request: &EvaluateSipDispatchRulesRequest,
    ending: &str,
) -> Result<EvaluateSipDispatchRulesResponse, SipError> {
    let call = call_to_dispatch(request);
    let (_, pin) = room_and_pin(rule)?;
    let start = addressed(trunk, rule, request);
    if !pin.is_empty() && request.pin.is_empty() {
        return Ok(EvaluateSipDispatchRulesResponse {
            result: SipDispatchResult::RequestPin as i32,
            request_pin: true,
            ..start
        });
    }
    if !pin.is_empty() && request.pin != pin {
        return Err(SipError::WrongPin);
    }
    let caller = Caller::new(&call, rule.hide_phone_number);
    let accepted = EvaluateSipDispatchRulesResponse {
        result: SipDispatchResult::Accept as i32,
        room_name: room(rule, &caller.number, end(call.to.as_ref()).0, ending),
        participant_attributes: attributes(trunk, rule, request, &call),
        participant_identity: caller.identity,
        participant_name: format!("Phone {}", caller.number),
        participant_metadata: rule.metadata.clone(),
        room_preset: rule.room_preset.clone(),
        room_config: rule.room_config.clone(),
        enabled_features: features(trunk, rule),
        ..start
    };
    Ok(with_trunk(accepted, trunk))
}

/// What both answers have.
fn addressed(
    trunk: Option<&SipInboundTrunkInfo>,
    rule: &SipDispatchRuleInfo,
    request: &EvaluateSipDispatchRulesRequest,
) -> EvaluateSipDispatchRulesResponse {
    let media = media(trunk, rule);
    EvaluateSipDispatchRulesResponse {
        sip_trunk_id: trunk.map_or(&request.sip_trunk_id, |trunk| &trunk.sip_trunk_id).clone(),
        sip_dispatch_rule_id: rule.sip_dispatch_rule_id.clone(),
        media_encryption: media.encryption.unwrap_or_default(),
        media: Some(media),
        ..EvaluateSipDispatchRulesResponse::default()
    }
}

#[allow(deprecated)] // the field for encryption that `media` came after
fn media(trunk: Option<&SipInboundTrunkInfo>, rule: &SipDispatchRuleInfo) -> SipMediaConfig {
    let of_trunk = trunk.map(|trunk| upgraded(trunk.media.as_ref(), trunk.media_encryption));
    merged(of_trunk, upgraded(rule.media.as_ref(), rule.media_encryption))
}

/// Who calls, as the room may see it.
struct Caller {
    number: String,
    identity: String,
}

impl Caller {
    /// A hidden number leaves its end, and an identity that is the same at each call.
    fn new(call: &SipCall, is_hidden: bool) -> Caller {
        let (number, _) = end(call.from.as_ref());
        if !is_hidden {
            return Caller { number: number.to_owned(), identity: format!("sip_{number}") };
        }
        let shown = if number.chars().count() <= 4 { 1 } else { 4 };
        let skipped = number.chars().count().saturating_sub(shown);
        Caller { number: number.chars().skip(skipped).collect(), identity: format!("sip_{}", mask(number)) }
    }
}

fn mask(number: &str) -> String {
    let hash = digest(&SHA256, number.as_bytes());
    hash.as_ref()[..8].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn attributes(
    trunk: Option<&SipInboundTrunkInfo>,
    rule: &SipDispatchRuleInfo,
    request: &EvaluateSipDispatchRulesRequest,
    call: &SipCall,
) -> BTreeMap<String, String> {
    let mut attributes: BTreeMap<String, String> = rule.attributes.clone().into_iter().collect();
    attributes.extend(request.extra_attributes.clone());
    let mut set = |name: &str, value: &str| drop(attributes.insert(name.to_owned(), value.to_owned()));
    set(ATTRIBUTE_CALL_ID, &call.lk_call_id);
    set(ATTRIBUTE_TRUNK_ID, trunk.map_or(&request.sip_trunk_id, |trunk| &trunk.sip_trunk_id));
    set(ATTRIBUTE_RULE_ID, &rule.sip_dispatch_rule_id);
    if !rule.hide_phone_number {
        let (number, host) = end(call.from.as_ref());
        set(ATTRIBUTE_PHONE_NUMBER, number);
        set(ATTRIBUTE_HOST_NAME, host);
        set(ATTRIBUTE_TRUNK_NUMBER, end(call.to.as_ref()).0);
    }
    attributes
}

fn room(info: &SipDispatchRuleInfo, from: &str, to: &str, ending: &str) -> String {
    let joined = |prefix: &str, number: &str, is_random: bool| {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}_") };
        let ending = if is_random { format!("_{ending}") } else { String::new() };
        format!("{prefix}{number}{ending}")
    };
    match info.rule.as_ref().and_then(|r| r.rule.as_ref()) {
        Some(Rule::DispatchRuleDirect(rule)) => rule.room_name.clone(),
        Some(Rule::DispatchRuleIndividual(rule)) => joined(&rule.room_prefix, from, !rule.no_randomness),
        Some(Rule::DispatchRuleCallee(rule)) => joined(&rule.room_prefix, to, rule.randomize),
        None => String::new(),
    }
}

fn features(trunk: Option<&SipInboundTrunkInfo>, rule: &SipDispatchRuleInfo) -> Vec<i32> {
    let is_on = rule.krisp_enabled || trunk.is_some_and(|trunk| trunk.krisp_enabled);
    is_on.then_some(SipFeature::KrispEnabled as i32).into_iter().collect()
}

fn with_trunk(
    answer: EvaluateSipDispatchRulesResponse,
    trunk: Option<&SipInboundTrunkInfo>,
) -> EvaluateSipDispatchRulesResponse {
    let Some(trunk) = trunk else { return answer };
    let seconds = |seconds, nanos| Seconds { seconds, nanos };
    EvaluateSipDispatchRulesResponse {
        headers: trunk.headers.clone().into_iter().collect(),
        headers_to_attributes: trunk.headers_to_attributes.clone().into_iter().collect(),
        attributes_to_headers: trunk.attributes_to_headers.clone().into_iter().collect(),
        include_headers: trunk.include_headers,
        ringing_timeout: trunk.ringing_timeout.as_ref().map(|d| seconds(d.seconds, d.nanos)),
        max_call_duration: trunk.max_call_duration.as_ref().map(|d| seconds(d.seconds, d.nanos)),
        ..answer
    }
}
