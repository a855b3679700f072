//! Trunks and dispatch rules of the store, and what calls make of them (CLUSTER.md §2.4).

use super::IoInfo;
use crate::cluster::call::RpcError;
use crate::cluster::keys;
use crate::cluster::redis::StoreError;
use crate::cluster::sip::{self, SipError};
use crate::proto::psrpc::ErrorCode;
use crate::proto::rpc::*;
use crate::proto::{SipDispatchRuleInfo, SipInboundTrunkInfo, SipOutboundTrunkInfo, SipTrunkInfo, id};
use std::net::IpAddr;

impl IoInfo {
    pub(super) async fn sip_trunk_authentication(
        &self,
        request: &GetSipTrunkAuthenticationRequest,
    ) -> Result<GetSipTrunkAuthenticationResponse, RpcError> {
        let call = sip::call_to_authenticate(request);
        check_address(&call)?;
        let trunk = self.matching_trunk("", &call).await?;
        Ok(trunk.as_ref().map(sip::authentication).unwrap_or_default())
    }

    /// That no rule is for the call is an answer, too.
    pub(super) async fn evaluate_sip_dispatch_rules(
        &self,
        request: &EvaluateSipDispatchRulesRequest,
    ) -> Result<EvaluateSipDispatchRulesResponse, RpcError> {
        let call = sip::call_to_dispatch(request);
        check_address(&call)?;
        let trunk = self.matching_trunk(&request.sip_trunk_id, &call).await?;
        let trunk_id = trunk.as_ref().map(|trunk| trunk.sip_trunk_id.clone()).unwrap_or_default();
        let rules = self.rules_of(&trunk_id).await?;
        let answer = match sip::match_rule(trunk.as_ref(), &rules, request)? {
            Some(rule) => sip::dispatch(trunk.as_ref(), rule, request, &id::random(""))?,
            None => EvaluateSipDispatchRulesResponse {
                result: SipDispatchResult::Drop as i32,
                ..EvaluateSipDispatchRulesResponse::default()
            },
        };
        Ok(EvaluateSipDispatchRulesResponse { sip_trunk_id: trunk_id, ..answer })
    }

    /// The trunk of before, if there is one by that id, is the only one asked.
    async fn matching_trunk(&self, id: &str, call: &SipCall) -> Result<Option<SipInboundTrunkInfo>, RpcError> {
        if !id.is_empty()
            && let Some(trunk) = self.inbound_trunk(id).await?
            && let Ok(found) = sip::match_trunk([&trunk], call)
        {
            return Ok(found.cloned());
        }
        let called = call.to.as_ref().map_or("", |to| to.user.as_str());
        let trunks = self.trunks_for(called).await?;
        Ok(sip::match_trunk(&trunks, call)?.cloned())
    }

    async fn inbound_trunk(&self, id: &str) -> Result<Option<SipInboundTrunkInfo>, StoreError> {
        if let Some(trunk) = self.store.entry(keys::SIP_INBOUND_TRUNKS, id).await? {
            return Ok(Some(trunk));
        }
        let old: Option<SipTrunkInfo> = self.store.entry(keys::SIP_TRUNKS, id).await?;
        Ok(old.and_then(sip::as_inbound))
    }

    /// Those that could be for that number, by id.
    async fn trunks_for(&self, called: &str) -> Result<Vec<SipInboundTrunkInfo>, StoreError> {
        let mut trunks: Vec<SipInboundTrunkInfo> = self.store.entries(keys::SIP_INBOUND_TRUNKS).await?;
        let old: Vec<SipTrunkInfo> = self.store.entries(keys::SIP_TRUNKS).await?;
        trunks.extend(old.into_iter().filter_map(sip::as_inbound));
        trunks.retain(|trunk| sip::allows_called(trunk, called));
        trunks.sort_by(|a, b| a.sip_trunk_id.cmp(&b.sip_trunk_id));
        Ok(trunks)
    }

    /// Those that could be for calls by that trunk, by id.
    async fn rules_of(&self, trunk: &str) -> Result<Vec<SipDispatchRuleInfo>, StoreError> {
        let mut rules: Vec<SipDispatchRuleInfo> = self.store.entries(keys::SIP_DISPATCH_RULES).await?;
        rules.retain(|rule| {
            trunk.is_empty() || rule.trunk_ids.is_empty() || rule.trunk_ids.iter().any(|named| named == trunk)
        });
        rules.sort_by(|a, b| a.sip_dispatch_rule_id.cmp(&b.sip_dispatch_rule_id));
        Ok(rules)
    }

    /// For a call that is to be made.
    pub async fn outbound_trunk(&self, id: &str) -> Result<Option<SipOutboundTrunkInfo>, RpcError> {
        Ok(self.store.entry(keys::SIP_OUTBOUND_TRUNKS, id).await?)
    }
}

/// An address may be missing, but not be something else.
fn check_address(call: &SipCall) -> Result<(), RpcError> {
    let ip = call.source_ip.as_str();
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        let what = format!("twirp error invalid_argument: ParseAddr({ip:?}): unable to parse IP");
        return Err(RpcError::new(ErrorCode::Unknown, what));
    }
    Ok(())
}

impl From<SipError> for RpcError {
    fn from(error: SipError) -> RpcError {
        let code = match &error {
            SipError::EmptyRule => ErrorCode::InvalidArgument,
            _ => ErrorCode::Unknown,
        };
        RpcError::new(code, error.to_string())
    }
}
