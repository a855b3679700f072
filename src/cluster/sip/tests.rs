//! Cases beyond what is held against the reference itself (`tests/stock/workers`).

use super::*;
use crate::proto::rpc::SipDispatchResult;
use crate::proto::sip_dispatch_rule::Rule;
use crate::proto::{
    SipDispatchRule, SipDispatchRuleDirect, SipDispatchRuleIndividual, SipDispatchRuleInfo, SipInboundTrunkInfo,
};

fn trunk(id: &str, numbers: &[&str]) -> SipInboundTrunkInfo {
    let numbers = numbers.iter().map(|n| (*n).to_owned()).collect();
    SipInboundTrunkInfo { sip_trunk_id: id.into(), numbers, ..SipInboundTrunkInfo::default() }
}

fn call(from: &str, to: &str) -> SipCall {
    SipCall { from: Some(uri(from, "a")), to: Some(uri(to, "b")), ..SipCall::default() }
}

fn rule(id: &str, rule: Rule) -> SipDispatchRuleInfo {
    let rule = Some(SipDispatchRule { rule: Some(rule) });
    SipDispatchRuleInfo { sip_dispatch_rule_id: id.into(), rule, ..SipDispatchRuleInfo::default() }
}

fn direct(room: &str, pin: &str) -> Rule {
    Rule::DispatchRuleDirect(SipDispatchRuleDirect { room_name: room.into(), pin: pin.into() })
}

fn request(pin: &str) -> EvaluateSipDispatchRulesRequest {
    let call = Some(call("+491", "+1555"));
    EvaluateSipDispatchRulesRequest { pin: pin.into(), call, ..EvaluateSipDispatchRulesRequest::default() }
}

#[test]
fn the_number_goes_before_the_default_and_two_of_a_rank_are_refused() {
    let (own, other) = (trunk("own", &["+1 555"]), trunk("other", &["+1666"]));
    let (any, any_too) = (trunk("any", &[]), trunk("any too", &[]));
    let found = |trunks: &[&SipInboundTrunkInfo], to: &str| {
        match_trunk(trunks.iter().copied(), &call("+491", to)).map(|t| t.map(|t| t.sip_trunk_id.clone()))
    };
    assert_eq!(found(&[&any, &own, &other], "1555"), Ok(Some("own".into())));
    assert_eq!(found(&[&own, &any], "1777"), Ok(Some("any".into())));
    assert_eq!(found(&[&own], "1777"), Ok(None));
    assert_eq!(found(&[&own, &own], "1555"), Err(SipError::TrunksConflict("1555".into())));
    assert_eq!(found(&[&any, &any_too], "1"), Err(SipError::DefaultTrunksConflict("1".into())));
    assert_eq!(found(&[&any, &any_too, &own], "1555"), Ok(Some("own".into())));
}

#[test]
fn pins_choose_among_rules() {
    let rules = [rule("open", direct("lobby", "")), rule("locked", direct("vault", "12"))];
    let met = |request: &EvaluateSipDispatchRulesRequest| {
        match_rule(None, &rules, request).unwrap().map(|r| r.sip_dispatch_rule_id.clone())
    };
    assert_eq!(met(&request("")).as_deref(), Some("locked"));
    assert_eq!(met(&request("12")).as_deref(), Some("locked"));
    assert_eq!(met(&request("13")), None);
    let no_pin = EvaluateSipDispatchRulesRequest { no_pin: true, ..request("") };
    assert_eq!(met(&no_pin).as_deref(), Some("open"));
    let asked = dispatch(None, &rules[1], &request(""), "").unwrap();
    assert_eq!((asked.result(), asked.request_pin), (SipDispatchResult::RequestPin, true));
    let entered = dispatch(None, &rules[1], &request("12"), "").unwrap();
    assert_eq!((entered.result(), entered.room_name.as_str()), (SipDispatchResult::Accept, "vault"));
    assert_eq!(dispatch(None, &rules[1], &request("1"), ""), Err(SipError::WrongPin));
}

#[test]
fn two_rules_for_the_same_calls_are_a_mistake() {
    let rules = [rule("SDR_1", direct("a", "")), rule("SDR_2", direct("b", ""))];
    let expected = SipError::RulesConflict { id: "SDR_1".into(), name: "<blank name>".into() };
    assert_eq!(match_rule(None, &rules, &request("")), Err(expected));
    assert_eq!(match_rule(None, &[SipDispatchRuleInfo::default()], &request("")), Err(SipError::EmptyRule));
}

#[test]
fn a_room_for_each_call_ends_as_it_is_told() {
    let each = rule("each", Rule::DispatchRuleIndividual(SipDispatchRuleIndividual::default()));
    assert_eq!(dispatch(None, &each, &request(""), "x7").unwrap().room_name, "+491_x7");
}

#[test]
fn a_call_without_a_trunk_needs_a_number() {
    let request = crate::proto::CreateSipParticipantRequest::default();
    assert_eq!(participant_request(&request, None, None, "SCL_1"), None);
    let twilio = crate::proto::SipOutboundTrunkInfo { address: "x.twilio.com".into(), ..Default::default() };
    let order = participant_request(&request, Some(&twilio), Some("1555"), "SCL_1").unwrap();
    assert_eq!((order.number.as_str(), order.participant_identity.as_str()), ("+1555", "sip_"));
}
