//! What a client's description says of its transport. With BUNDLE the first section that is not rejected speaks for all
//! (RFC 8843 §7), with the session's lines as defaults.

use super::NegotiateError;
use crate::limits::SDP_SECTION_ITEMS_MAX;
use crate::sdp::{Media, Section, Session, Setup, Transport};
use crate::shard::{IceCredentials, RemoteSctp, RemoteTransport};

/// Of a peer that does not say how much it takes (RFC 8841 §6.1).
const MESSAGE_BYTES_DEFAULT: u32 = 65_536;
const SCTP_PORT_DEFAULT: u16 = 5_000;

/// The section that speaks for the transport, if any is left that is not rejected.
pub(super) fn tagged(session: &Session) -> Option<&Section> {
    session.sections.iter().find(|s| !s.is_rejected())
}

pub(super) fn setup(session: &Session, tagged: &Section) -> Option<Setup> {
    tagged.transport.setup.or(session.transport.setup)
}

pub(super) fn transport(
    session: &Session,
    tagged: &Section,
    dtls_active: bool,
) -> Result<RemoteTransport, NegotiateError> {
    let (own, default) = (&tagged.transport, &session.transport);
    Ok(RemoteTransport {
        creds: credentials(own, default)?,
        ice_lite: session.ice_lite,
        fingerprints: fingerprints(own, default)?,
        dtls_active,
        sctp: session.sections.iter().find(|s| is_data(s)).map(sctp),
        candidates: candidates(session),
    })
}

/// A section for data channels (RFC 8841).
pub(super) fn is_data(section: &Section) -> bool {
    !section.is_rejected()
        && section.media == Media::Application
        && section.protocol.ends_with("DTLS/SCTP")
        && section.formats.iter().any(|f| f == "webrtc-datachannel")
}

fn credentials(own: &Transport, default: &Transport) -> Result<IceCredentials, NegotiateError> {
    let ufrag = own.ufrag.as_ref().or(default.ufrag.as_ref());
    let pwd = own.pwd.as_ref().or(default.pwd.as_ref());
    match (ufrag, pwd) {
        (Some(ufrag), Some(pwd)) => Ok(IceCredentials { ufrag: ufrag.clone(), pwd: pwd.clone() }),
        _ => Err(NegotiateError::Unreadable("it has no ICE credentials".to_owned())),
    }
}

fn fingerprints(own: &Transport, default: &Transport) -> Result<Vec<(String, Vec<u8>)>, NegotiateError> {
    let list = if own.fingerprints.is_empty() { &default.fingerprints } else { &own.fingerprints };
    if list.is_empty() {
        return Err(NegotiateError::Unreadable("it has no certificate fingerprint".to_owned()));
    }
    Ok(list.iter().map(|f| (f.hash.clone(), f.digest.clone())).collect())
}

fn sctp(section: &Section) -> RemoteSctp {
    RemoteSctp {
        port: section.sctp_port.unwrap_or(SCTP_PORT_DEFAULT),
        max_message_bytes: section.max_message_size.unwrap_or(MESSAGE_BYTES_DEFAULT),
    }
}

/// A browser that has gathered already repeats its candidates in every section that could be unbundled.
fn candidates(session: &Session) -> Vec<String> {
    let mut candidates: Vec<String> = Vec::new();
    let live = session.sections.iter().filter(|s| !s.is_rejected());
    let all = session.transport.candidates.iter().chain(live.flat_map(|s| &s.transport.candidates));
    for candidate in all {
        if candidates.len() < SDP_SECTION_ITEMS_MAX && !candidates.contains(candidate) {
            candidates.push(candidate.clone());
        }
    }
    candidates
}
