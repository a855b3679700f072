//! Signal messages as WebSocket frames (WIRE.md §1.10): protobuf in binary frames, JSON in text frames. The server answers in
//! the kind of frame the client used last.

use crate::proto::{SignalRequest, SignalResponse, json};
use axum::extract::ws::Message;
use prost::Message as _;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Binary,
    Text,
}

/// The client's fault: its connection is dropped.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("a binary frame is no SignalRequest: {0}")]
    Binary(#[from] prost::DecodeError),
    #[error("a text frame is no SignalRequest: {0}")]
    Text(#[from] json::JsonError),
}

/// `None` for control frames.
pub fn decode(frame: &Message) -> Result<Option<(Mode, SignalRequest)>, DecodeError> {
    Ok(match frame {
        Message::Binary(bytes) => Some((Mode::Binary, SignalRequest::decode(bytes.clone())?)),
        Message::Text(text) => Some((Mode::Text, json::parse(text.as_bytes())?)),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => None,
    })
}

/// Falls back to binary for what JSON cannot say (an enum value this build does not know).
pub fn encode(mode: Mode, response: &SignalResponse) -> Message {
    let text = (mode == Mode::Text).then(|| json::compact(response).ok()).flatten();
    match text {
        Some(text) => Message::Text(text.into()),
        None => Message::Binary(response.encode_to_vec().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Pong, signal_request, signal_response};

    fn pong() -> SignalResponse {
        let pong = Pong { last_ping_timestamp: 5, timestamp: 1_700_000_000_000 };
        SignalResponse { message: Some(signal_response::Message::PongResp(pong)) }
    }

    #[test]
    fn both_kinds_are_read() {
        let request = SignalRequest { message: Some(signal_request::Message::Ping(7)) };
        let binary = Message::Binary(request.encode_to_vec().into());
        assert_eq!(decode(&binary).unwrap(), Some((Mode::Binary, request.clone())));
        let text = Message::Text(r#"{"ping":"7","unheardOf":{}}"#.into());
        assert_eq!(decode(&text).unwrap(), Some((Mode::Text, request)));
        assert_eq!(decode(&Message::Ping(Default::default())).unwrap(), None);
    }

    #[test]
    fn the_answer_is_of_the_kind_asked_for() {
        let Message::Text(text) = encode(Mode::Text, &pong()) else { panic!("not text") };
        assert_eq!(text.as_str(), r#"{"pongResp":{"lastPingTimestamp":"5","timestamp":"1700000000000"}}"#);
        let Message::Binary(bytes) = encode(Mode::Binary, &pong()) else { panic!("not binary") };
        assert_eq!(SignalResponse::decode(bytes).unwrap(), pong());
    }

    #[test]
    fn garbage_is_refused() {
        for frame in [Message::Binary(vec![0xff; 3].into()), Message::Text("{".into()), Message::Text("[]".into())] {
            assert!(decode(&frame).is_err());
        }
    }
}
