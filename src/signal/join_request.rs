//! A connect URL with a `join_request`, v1 (WIRE.md §1.9): base64 of a wrapper around a message that may be gzipped.

use super::refusal::Refusal;
use super::wish::Wish;
use crate::limits::JOIN_REQUEST_BYTES_MAX;
use crate::proto::{JoinRequest, WrappedJoinRequest, wrapped_join_request::Compression};
use crate::room::session::SessionStart;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use flate2::read::MultiGzDecoder;
use prost::Message;
use std::io::Read;

pub fn read(wrapped: &str) -> Result<Wish, Refusal> {
    let bytes =
        URL_SAFE.decode(wrapped).map_err(|_| Refusal::bad_request("cannot base64 decode wrapped join request"))?;
    let wrapper = WrappedJoinRequest::decode(bytes.as_slice())
        .map_err(|_| Refusal::bad_request("cannot unmarshal wrapped join request"))?;
    let inner = bounded(unpack(wrapper)?)?;
    let request =
        JoinRequest::decode(inner.as_slice()).map_err(|_| Refusal::bad_request("cannot unmarshal join request"))?;
    Ok(wish(request))
}

fn unpack(wrapper: WrappedJoinRequest) -> Result<Vec<u8>, Refusal> {
    match wrapper.compression() {
        Compression::None => Ok(wrapper.join_request),
        Compression::Gzip => inflate(&wrapper.join_request),
    }
}

/// Stops one byte beyond the bound, so that the caller sees it was passed.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut inner = Vec::new();
    MultiGzDecoder::new(packed)
        .take(JOIN_REQUEST_BYTES_MAX as u64 + 1)
        .read_to_end(&mut inner)
        .map_err(|_| Refusal::bad_request("cannot read decompressed join request"))?;
    Ok(inner)
}

fn bounded(inner: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    if inner.len() > JOIN_REQUEST_BYTES_MAX {
        return Err(Refusal::bad_request("join request too large"));
    }
    Ok(inner)
}

/// Settings are taken as they stand: a missing message or field is a plain "no" (WIRE.md §1.9). `sync_state` is not used.
fn wish(request: JoinRequest) -> Wish {
    let settings = request.connection_settings.unwrap_or_default();
    let start = SessionStart {
        client: request.client_info.unwrap_or_default(),
        single_peer_connection: true,
        auto_subscribe: settings.auto_subscribe,
        auto_subscribe_data_track: settings.auto_subscribe_data_track.unwrap_or(false),
        adaptive_stream: settings.adaptive_stream,
        disable_ice_lite: settings.disable_ice_lite,
        subscriber_allow_pause: Some(settings.subscriber_allow_pause.unwrap_or(false)),
        reconnect: request.reconnect,
        reconnect_reason: request.reconnect_reason,
        participant_sid: request.participant_sid,
        add_track_requests: request.add_track_requests,
        publisher_offer: request.publisher_offer,
        ..SessionStart::default()
    };
    let attributes = request.participant_attributes.into_iter().collect();
    Wish { start, metadata: request.metadata, attributes, publish: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AddTrackRequest, ClientInfo, ConnectionSettings, SessionDescription};
    use flate2::{Compression as Level, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn wrap(compression: Compression, join_request: Vec<u8>) -> String {
        URL_SAFE.encode(WrappedJoinRequest { compression: compression.into(), join_request }.encode_to_vec())
    }

    fn request() -> JoinRequest {
        JoinRequest {
            client_info: Some(ClientInfo { protocol: 16, ..Default::default() }),
            connection_settings: Some(ConnectionSettings { auto_subscribe: true, ..Default::default() }),
            metadata: "m".into(),
            participant_attributes: [("a".to_owned(), "1".to_owned())].into(),
            add_track_requests: vec![AddTrackRequest { cid: "c".into(), ..Default::default() }],
            publisher_offer: Some(SessionDescription { sdp: "v=0".into(), ..Default::default() }),
            reconnect: true,
            participant_sid: "PA_x".into(),
            ..Default::default()
        }
    }

    #[test]
    fn plain_and_gzipped_say_the_same() {
        let inner = request().encode_to_vec();
        for wrapped in [wrap(Compression::None, inner.clone()), wrap(Compression::Gzip, gzip(&inner))] {
            let wish = read(&wrapped).unwrap();
            let start = wish.start;
            assert_eq!((wish.metadata.as_str(), wish.attributes["a"].as_str()), ("m", "1"));
            assert!(start.single_peer_connection && start.auto_subscribe && start.reconnect);
            assert_eq!((start.client.protocol, start.participant_sid.as_str()), (16, "PA_x"));
            assert_eq!(start.add_track_requests[0].cid, "c");
            assert_eq!(start.publisher_offer.unwrap().sdp, "v=0");
        }
    }

    #[test]
    fn without_settings_everything_is_off() {
        let start = read(&wrap(Compression::None, JoinRequest::default().encode_to_vec())).unwrap().start;
        assert!(!start.auto_subscribe && !start.auto_subscribe_data_track);
        assert_eq!(start.subscriber_allow_pause, Some(false));
    }

    #[test]
    fn each_layer_has_its_refusal() {
        let unpadded = wrap(Compression::None, vec![8, 1, 1]).trim_end_matches('=').to_owned();
        let truncated = gzip(b"something long enough")[..15].to_vec();
        let bomb = gzip(&vec![0; JOIN_REQUEST_BYTES_MAX + 1]);
        let cases = [
            ("%%%".to_owned(), "cannot base64 decode wrapped join request"),
            (unpadded, "cannot base64 decode wrapped join request"),
            (URL_SAFE.encode([0xff; 3]), "cannot unmarshal wrapped join request"),
            (wrap(Compression::None, vec![0xff; 3]), "cannot unmarshal join request"),
            (wrap(Compression::Gzip, vec![1, 2, 3]), "cannot read decompressed join request"),
            (wrap(Compression::Gzip, truncated), "cannot read decompressed join request"),
            (wrap(Compression::Gzip, bomb), "join request too large"),
            (wrap(Compression::None, vec![0; JOIN_REQUEST_BYTES_MAX + 1]), "join request too large"),
        ];
        for (wrapped, text) in cases {
            assert_eq!(read(&wrapped).unwrap_err(), Refusal::bad_request(text));
        }
    }
}
