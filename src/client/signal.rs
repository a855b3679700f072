//! The signalling WebSocket from the client's side: dialling by query (v0) or join request (v1), typed requests and
//! responses (WIRE.md §1.7 to §1.10). Called by `participant` to join and by `session` from then on.

use super::clock;
use super::reach::{ReachError, Stream, reach};
use super::view::Timing;
use crate::limits::{CLIENT_ANSWER_BYTES_MAX, SIGNAL_BUFFER_BYTES};
use crate::proto::{
    ClientInfo, ConnectionSettings, JoinRequest, SessionDescription, SignalRequest, SignalResponse, WrappedJoinRequest,
    client_info::Sdk, signal_request, signal_response,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The client protocol spoken.
pub const PROTOCOL: i32 = 16;

/// Why signalling failed.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The server answered, with something else than an upgrade.
    #[error("the server refused the connection: {status} {text}")]
    Refused { status: u16, text: String },
    #[error("the signal connection failed: {0}; check the URL and that the server runs")]
    Socket(#[source] Box<tungstenite::Error>),
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the server sent what is no signal message: {0}")]
    Unreadable(#[from] prost::DecodeError),
    #[error("the server closed the signal connection")]
    Closed,
    #[error("the server names no TURN server over UDP; enable turn with a udp_port in its configuration")]
    NoRelay,
}

impl From<tungstenite::Error> for SignalError {
    fn from(error: tungstenite::Error) -> SignalError {
        match error {
            tungstenite::Error::Http(response) => SignalError::Refused {
                status: response.status().as_u16(),
                text: String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned(),
            },
            other => SignalError::Socket(Box::new(other)),
        }
    }
}

/// How to dial.
#[derive(Clone, Debug)]
pub struct Dial<'a> {
    /// `ws://` or `http://`, with or without a path before `/rtc`.
    pub url: &'a str,
    pub token: &'a str,
    pub auto_subscribe: bool,
    pub adaptive_stream: bool,
    /// Single peer connection: the first offer goes with the request.
    pub offer: Option<SessionDescription>,
}

impl Dial<'_> {
    fn address(&self) -> String {
        let base = self.url.trim_end_matches('/');
        let base = base.strip_prefix("http").map_or_else(|| base.to_owned(), |rest| format!("ws{rest}"));
        match &self.offer {
            None => format!("{base}/rtc?{}", self.query()),
            Some(offer) => {
                let request = URL_SAFE.encode(self.join_request(offer).encode_to_vec());
                format!("{base}/rtc/v1?access_token={}&join_request={request}", self.token)
            }
        }
    }

    fn query(&self) -> String {
        let flag = u8::from;
        format!(
            "access_token={}&protocol={PROTOCOL}&sdk=rust&version={}&auto_subscribe={}&adaptive_stream={}",
            self.token,
            env!("CARGO_PKG_VERSION"),
            flag(self.auto_subscribe),
            flag(self.adaptive_stream)
        )
    }

    fn join_request(&self, offer: &SessionDescription) -> WrappedJoinRequest {
        let client_info = ClientInfo {
            sdk: Sdk::Rust as i32,
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ClientInfo::default()
        };
        let settings = ConnectionSettings {
            auto_subscribe: self.auto_subscribe,
            adaptive_stream: self.adaptive_stream,
            ..ConnectionSettings::default()
        };
        let request = JoinRequest {
            client_info: Some(client_info),
            connection_settings: Some(settings),
            publisher_offer: Some(offer.clone()),
            ..JoinRequest::default()
        };
        WrappedJoinRequest { compression: 0, join_request: request.encode_to_vec() }
    }
}

/// How long the server's close frame is awaited.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// An open connection.
pub struct Signal {
    stream: WebSocketStream<Stream>,
    local: IpAddr,
    stages: Timing,
}

impl Signal {
    pub async fn dial(dial: &Dial<'_>) -> Result<Signal, SignalError> {
        let begun = clock::now();
        let request = dial.address().into_client_request()?;
        let reached = reach(request.uri(), begun).await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(SIGNAL_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(CLIENT_ANSWER_BYTES_MAX));
        let (stream, _) = client_async_with_config(request, reached.stream, Some(config)).await?;
        let (resolved, reached_after) = (reached.resolved, reached.after);
        let stages = Timing { resolved, reached: reached_after, upgraded: clock::now() - begun, ..Timing::default() };
        Ok(Signal { stream, local: reached.local, stages })
    }

    /// How long it took to get here; the later stages are blank.
    pub fn stages(&self) -> Timing {
        self.stages
    }

    /// Our address towards the server, which media is sent from too.
    pub fn local(&self) -> IpAddr {
        self.local
    }

    pub async fn send(&mut self, message: signal_request::Message) -> Result<(), SignalError> {
        let request = SignalRequest { message: Some(message) };
        Ok(self.stream.send(Message::Binary(request.encode_to_vec().into())).await?)
    }

    /// The next response. Pings of the WebSocket are answered in passing. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<signal_response::Message, SignalError> {
        loop {
            match self.stream.next().await {
                None | Some(Ok(Message::Close(_))) => return Err(SignalError::Closed),
                Some(Err(tungstenite::Error::ConnectionClosed)) => return Err(SignalError::Closed),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(Message::Binary(bytes))) => {
                    if let Some(message) = SignalResponse::decode(bytes)?.message {
                        return Ok(message);
                    }
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Says goodbye to the socket, not to the room.
    pub async fn close(&mut self) {
        // It is over either way.
        let _ = self.stream.close(None).await;
        // Closing with responses unread resets the connection, and what was asked last could be lost with it.
        let _ = timeout(GOODBYE_MAX, async { while let Some(Ok(_)) = self.stream.next().await {} }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(offer: Option<SessionDescription>) -> String {
        Dial { url: "http://h:1/x/", token: "t", auto_subscribe: true, adaptive_stream: false, offer }.address()
    }

    #[test]
    fn the_query_tells_all_in_v0() {
        let address = dial(None);
        assert!(address.starts_with("ws://h:1/x/rtc?access_token=t&protocol=16&sdk=rust&"), "{address}");
        assert!(address.ends_with("auto_subscribe=1&adaptive_stream=0"), "{address}");
    }

    #[test]
    fn the_join_request_tells_all_in_v1() {
        let offer = SessionDescription { sdp: "v=0".into(), ..SessionDescription::default() };
        let address = dial(Some(offer.clone()));
        let (path, packed) = address.split_once("&join_request=").unwrap();
        assert_eq!(path, "ws://h:1/x/rtc/v1?access_token=t");
        let wrapped = WrappedJoinRequest::decode(&URL_SAFE.decode(packed).unwrap()[..]).unwrap();
        let request = JoinRequest::decode(&wrapped.join_request[..]).unwrap();
        assert_eq!(request.publisher_offer, Some(offer));
        assert!(request.connection_settings.unwrap().auto_subscribe);
    }
}
