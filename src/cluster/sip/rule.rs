//! Which dispatch rule a call meets.

use super::{SipError, number};
use crate::proto::rpc::EvaluateSipDispatchRulesRequest;
use crate::proto::sip_dispatch_rule::Rule;
use crate::proto::{SipDispatchRuleInfo, SipInboundTrunkInfo};
use std::collections::HashMap;

/// Added for each list of numbers a rule has not got: the more special rule goes first.
const ANY_NUMBER: u32 = 1000;

/// The best rule for that call: rules that name its trunk before those that name none. `None` if no rule is for it; an error
/// if two rules are for the very same calls.
pub fn match_rule<'a>(
    trunk: Option<&SipInboundTrunkInfo>,
    rules: &'a [SipDispatchRuleInfo],
    request: &EvaluateSipDispatchRulesRequest,
) -> Result<Option<&'a SipDispatchRuleInfo>, SipError> {
    check(rules)?;
    let matching = rules.iter().filter(|rule| is_for(rule, trunk, request));
    let (of_trunk, of_any): (Vec<_>, Vec<_>) = matching.partition(|rule| !rule.trunk_ids.is_empty());
    Ok(best(of_trunk).or_else(|| best(of_any)))
}

fn is_for(
    rule: &SipDispatchRuleInfo,
    trunk: Option<&SipInboundTrunkInfo>,
    request: &EvaluateSipDispatchRulesRequest,
) -> bool {
    let names = |list: &[String], number: &String| list.is_empty() || list.contains(number);
    let Ok((_, pin)) = room_and_pin(rule) else { return false };
    names(&rule.inbound_numbers, &request.calling_number)
        && names(&rule.numbers, &request.called_number)
        && is_pin_for(pin, request)
        && (rule.trunk_ids.is_empty() || trunk.is_some_and(|trunk| rule.trunk_ids.contains(&trunk.sip_trunk_id)))
}

/// Who has entered a pin meets no open rule, so that a mistyped one does not lead into another room.
fn is_pin_for(pin: &str, request: &EvaluateSipDispatchRulesRequest) -> bool {
    match (request.no_pin, request.pin.as_str()) {
        (true, _) => pin.is_empty(),
        (false, "") => true,
        (false, entered) => entered == pin,
    }
}

/// The first of the best.
fn best(rules: Vec<&SipDispatchRuleInfo>) -> Option<&SipDispatchRuleInfo> {
    rules.into_iter().min_by(|a, b| rank(a).cmp(&rank(b)))
}

/// Rules with a pin first, then direct ones, by caller, by callee; then those for special numbers.
fn rank(info: &SipDispatchRuleInfo) -> (u32, &str) {
    let (kind, room, pin) = match info.rule.as_ref().and_then(|r| r.rule.as_ref()) {
        Some(Rule::DispatchRuleDirect(rule)) => (0, &rule.room_name, &rule.pin),
        Some(Rule::DispatchRuleIndividual(rule)) => (1, &rule.room_prefix, &rule.pin),
        Some(Rule::DispatchRuleCallee(rule)) => (2, &rule.room_prefix, &rule.pin),
        None => return (u32::MAX, ""),
    };
    let open = if pin.is_empty() { 100 } else { 0 };
    let any = [&info.inbound_numbers, &info.numbers].iter().filter(|list| list.is_empty()).count();
    (kind + open + ANY_NUMBER * u32::try_from(any).unwrap_or(u32::MAX), room)
}

/// The room, or what its name begins with, and the pin.
pub fn room_and_pin(info: &SipDispatchRuleInfo) -> Result<(&str, &str), SipError> {
    match info.rule.as_ref().and_then(|r| r.rule.as_ref()) {
        Some(Rule::DispatchRuleDirect(rule)) => Ok((&rule.room_name, &rule.pin)),
        Some(Rule::DispatchRuleIndividual(rule)) => Ok((&rule.room_prefix, &rule.pin)),
        Some(Rule::DispatchRuleCallee(rule)) => Ok((&rule.room_prefix, &rule.pin)),
        None => Err(SipError::EmptyRule),
    }
}

/// By pin, trunk, calling and called number.
type Key<'a> = (&'a str, &'a str, String, String);

/// No two rules may be for the same calls.
fn check(rules: &[SipDispatchRuleInfo]) -> Result<(), SipError> {
    let mut taken: HashMap<Key<'_>, &SipDispatchRuleInfo> = HashMap::new();
    for rule in rules {
        for key in keys(rule)? {
            if let Some(other) = taken.insert(key, rule) {
                return Err(conflict(other));
            }
        }
    }
    Ok(())
}

fn keys(rule: &SipDispatchRuleInfo) -> Result<Vec<Key<'_>>, SipError> {
    let (_, pin) = room_and_pin(rule)?;
    let mut keys = Vec::new();
    for trunk in or_any(&rule.trunk_ids) {
        for calling in or_any(&rule.inbound_numbers) {
            for called in or_any(&rule.numbers) {
                keys.push((pin, trunk, number::normalize(calling), number::normalize(called)));
            }
        }
    }
    Ok(keys)
}

/// An empty list stands for one empty entry.
fn or_any(list: &[String]) -> Vec<&str> {
    if list.is_empty() { vec![""] } else { list.iter().map(String::as_str).collect() }
}

fn conflict(other: &SipDispatchRuleInfo) -> SipError {
    let or = |text: &str, instead: &str| if text.is_empty() { instead.to_owned() } else { text.to_owned() };
    SipError::RulesConflict { id: or(&other.sip_dispatch_rule_id, "<new>"), name: or(&other.name, "<blank name>") }
}
