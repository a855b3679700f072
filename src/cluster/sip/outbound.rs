//! What a SIP worker is told of a call it is to make.

use super::media::{merged, upgraded};
use super::*;
use crate::proto::rpc::{InternalCreateSipParticipantRequest, InternalTransferSipParticipantRequest, Seconds};
use crate::proto::{
    CreateSipParticipantRequest, SipFeature, SipOutboundConfig, SipOutboundTrunkInfo, TransferSipParticipantRequest,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The call `call_id`, by a trunk of the store, else by the one in the request. `number` is one of the trunk's, for requests
/// that name none; `None` where there is none either.
#[allow(deprecated)] // the field for encryption that `media` came after
pub fn participant_request(
    request: &CreateSipParticipantRequest,
    trunk: Option<&SipOutboundTrunkInfo>,
    number: Option<&str>,
    call_id: &str,
) -> Option<InternalCreateSipParticipantRequest> {
    let line = Line::new(request, trunk);
    let number = match request.sip_number.as_str() {
        "" => number?,
        number => number,
    };
    let number = with_plus(number, line.address);
    let trunk_id = trunk.filter(|_| request.sip_trunk_id.is_empty()).map_or(&request.sip_trunk_id, |t| &t.sip_trunk_id);
    let media = merged(line.media.clone(), upgraded(request.media.as_ref(), request.media_encryption));
    let features = request.krisp_enabled.then_some(SipFeature::KrispEnabled as i32);
    Some(InternalCreateSipParticipantRequest {
        sip_call_id: call_id.to_owned(),
        sip_trunk_id: trunk_id.clone(),
        participant_attributes: attributes(request, line.address, &number, trunk_id, call_id),
        number,
        address: line.address.to_owned(),
        hostname: line.from_host.to_owned(),
        transport: line.transport,
        destination_country: line.country.to_owned(),
        username: line.username.to_owned(),
        password: line.password.to_owned(),
        headers: sorted([line.headers, Some(&request.headers)]),
        headers_to_attributes: sorted([line.headers_to_attributes]),
        attributes_to_headers: sorted([line.attributes_to_headers]),
        include_headers: if request.include_headers == 0 { line.include_headers } else { request.include_headers },
        sip_request_uri: request.sip_request_uri.clone(),
        sip_from_header: request.sip_from_header.clone(),
        sip_to_header: request.sip_to_header.clone(),
        call_to: request.sip_call_to.clone(),
        room_name: request.room_name.clone(),
        participant_identity: identity(request),
        participant_name: request.participant_name.clone(),
        participant_metadata: request.participant_metadata.clone(),
        dtmf: request.dtmf.clone(),
        play_dialtone: request.play_dialtone || plays_ringtone(request),
        enabled_features: features.into_iter().collect(),
        ringing_timeout: request.ringing_timeout.as_ref().map(|d| Seconds { seconds: d.seconds, nanos: d.nanos }),
        max_call_duration: request.max_call_duration.as_ref().map(|d| Seconds { seconds: d.seconds, nanos: d.nanos }),
        media_encryption: media.encryption.unwrap_or_default(),
        media: Some(media),
        wait_until_answered: request.wait_until_answered,
        display_name: request.display_name.clone(),
        destination: request.destination.clone(),
        ..InternalCreateSipParticipantRequest::default()
    })
}

/// By which way the call leaves.
#[derive(Default)]
struct Line<'a> {
    address: &'a str,
    from_host: &'a str,
    transport: i32,
    country: &'a str,
    username: &'a str,
    password: &'a str,
    headers: Option<&'a HashMap<String, String>>,
    headers_to_attributes: Option<&'a HashMap<String, String>>,
    attributes_to_headers: Option<&'a HashMap<String, String>>,
    include_headers: i32,
    media: Option<crate::proto::SipMediaConfig>,
}

impl<'a> Line<'a> {
    fn new(request: &'a CreateSipParticipantRequest, trunk: Option<&'a SipOutboundTrunkInfo>) -> Line<'a> {
        let inline_host = request.trunk.as_ref().map_or("", |t| t.from_host.as_str());
        match (trunk, &request.trunk) {
            (Some(trunk), _) => {
                let line = Line::of_trunk(trunk);
                let from_host = if line.from_host.is_empty() { inline_host } else { line.from_host };
                Line { from_host, ..line }
            }
            (None, Some(inline)) => Line::of_request(inline),
            (None, None) => Line::default(),
        }
    }

    #[allow(deprecated)] // as above
    fn of_trunk(trunk: &'a SipOutboundTrunkInfo) -> Line<'a> {
        Line {
            address: &trunk.address,
            from_host: &trunk.from_host,
            transport: trunk.transport,
            country: &trunk.destination_country,
            username: &trunk.auth_username,
            password: &trunk.auth_password,
            headers: Some(&trunk.headers),
            headers_to_attributes: Some(&trunk.headers_to_attributes),
            attributes_to_headers: Some(&trunk.attributes_to_headers),
            include_headers: trunk.include_headers,
            media: Some(upgraded(trunk.media.as_ref(), trunk.media_encryption)),
        }
    }

    fn of_request(inline: &'a SipOutboundConfig) -> Line<'a> {
        Line {
            address: &inline.hostname,
            from_host: &inline.from_host,
            transport: inline.transport,
            country: &inline.destination_country,
            username: &inline.auth_username,
            password: &inline.auth_password,
            headers_to_attributes: Some(&inline.headers_to_attributes),
            attributes_to_headers: Some(&inline.attributes_to_headers),
            ..Line::default()
        }
    }
}

/// This provider takes no number without one.
fn with_plus(number: &str, address: &str) -> String {
    match address.ends_with("twilio.com") && !number.starts_with('+') {
        true => format!("+{number}"),
        false => number.to_owned(),
    }
}

fn attributes(
    request: &CreateSipParticipantRequest,
    address: &str,
    number: &str,
    trunk_id: &str,
    call_id: &str,
) -> BTreeMap<String, String> {
    let mut attributes = sorted([Some(&request.participant_attributes)]);
    let mut set = |name: &str, value: &str| drop(attributes.insert(name.to_owned(), value.to_owned()));
    set(ATTRIBUTE_CALL_ID, call_id);
    set(ATTRIBUTE_TRUNK_ID, trunk_id);
    if !request.hide_phone_number {
        set(ATTRIBUTE_PHONE_NUMBER, &request.sip_call_to);
        set(ATTRIBUTE_HOST_NAME, address);
        set(ATTRIBUTE_TRUNK_NUMBER, number);
    }
    attributes
}

fn identity(request: &CreateSipParticipantRequest) -> String {
    match request.participant_identity.as_str() {
        "" => format!("sip_{}", request.sip_call_to),
        identity => identity.to_owned(),
    }
}

/// Deprecated, and the same as the dial tone.
#[allow(deprecated)]
fn plays_ringtone(request: &CreateSipParticipantRequest) -> bool {
    request.play_ringtone
}

/// The later goes before the former.
fn sorted<const N: usize>(maps: [Option<&HashMap<String, String>>; N]) -> BTreeMap<String, String> {
    let all = maps.into_iter().flatten().flatten();
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The worker is told how long the server waits, so that it does not go on when nobody does.
pub fn transfer_request(
    request: &TransferSipParticipantRequest,
    call_id: &str,
    patience: Duration,
) -> InternalTransferSipParticipantRequest {
    InternalTransferSipParticipantRequest {
        sip_call_id: call_id.to_owned(),
        transfer_to: request.transfer_to.clone(),
        play_dialtone: request.play_dialtone,
        headers: sorted([Some(&request.headers)]),
        ringing_timeout: Some(patience.into()),
        ..InternalTransferSipParticipantRequest::default()
    }
}
