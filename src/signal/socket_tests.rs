//! One client over a real loopback connection, the session played by the test.

use super::*;
use crate::proto::{LeaveRequest, Ping, UpdateTrackSettings};
use axum::Router;
use axum::routing::get;
use prost::Message as _;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A client and its session.
struct Line {
    client: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: mpsc::Receiver<SignalRequest>,
    responses: mpsc::Sender<SignalResponse>,
}

/// Connected, the first response read.
async fn connect(message_bytes_max: usize) -> Line {
    let (to_session, requests) = mpsc::channel(4);
    let (responses, from_session) = mpsc::channel(4);
    let session = Arc::new(Mutex::new(Some(Session { requests: to_session, responses: from_session })));
    let app = Router::new().route(
        "/",
        get(async move |upgrade: WebSocketUpgrade| {
            let session = session.lock().unwrap().take().unwrap();
            bound(upgrade, message_bytes_max).on_upgrade(|socket| run(socket, leave(), session))
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (mut client, _) = connect_async(url).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Frame::Binary(leave().encode_to_vec().into()));
    Line { client, requests, responses }
}

fn leave() -> SignalResponse {
    SignalResponse { message: Some(signal_response::Message::Leave(LeaveRequest::default())) }
}

fn request(message: signal_request::Message) -> SignalRequest {
    SignalRequest { message: Some(message) }
}

impl Line {
    async fn send(&mut self, frame: Frame) {
        self.client.send(frame).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        self.client.next().await.unwrap().unwrap()
    }

    /// Reads to the end; the code of the close frame.
    async fn close_code(&mut self) -> Option<CloseCode> {
        match self.client.next().await {
            Some(Ok(Frame::Close(frame))) => frame.map(|f| f.code),
            other => panic!("not a close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn answers_follow_the_clients_kind_of_frame() {
    let mut line = connect(0).await;
    line.send(Frame::Text(r#"{"ping":"7"}"#.into())).await;
    let Frame::Text(text) = line.next().await else { panic!("not text") };
    assert!(text.starts_with(r#"{"pong":""#), "{text}");
    assert_eq!(line.requests.recv().await, Some(request(signal_request::Message::Ping(7))));

    let ping = request(signal_request::Message::PingReq(Ping { timestamp: 9, rtt: 3 }));
    line.send(Frame::Binary(ping.encode_to_vec().into())).await;
    let Frame::Binary(bytes) = line.next().await else { panic!("not binary") };
    let Some(signal_response::Message::PongResp(pong)) = SignalResponse::decode(bytes).unwrap().message else {
        panic!("not a pong")
    };
    assert!(pong.last_ping_timestamp == 9 && pong.timestamp > 1_600_000_000_000);
    assert_eq!(line.requests.recv().await, Some(ping));
}

#[tokio::test]
async fn an_oversized_frame_closes_with_1009() {
    let mut line = connect(100).await;
    line.send(Frame::Binary(vec![0; 101].into())).await;
    assert_eq!(line.close_code().await, Some(CloseCode::Size));
    assert_eq!(line.requests.recv().await, None);
}

#[tokio::test]
async fn fragments_are_counted_together() {
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame as Raw, coding::Data, coding::OpCode};
    let mut line = connect(100).await;
    line.send(Frame::Frame(Raw::message(vec![0; 60], OpCode::Data(Data::Binary), false))).await;
    line.send(Frame::Frame(Raw::message(vec![0; 60], OpCode::Data(Data::Continue), true))).await;
    assert_eq!(line.close_code().await, Some(CloseCode::Size));
}

#[tokio::test]
async fn without_a_limit_large_messages_pass() {
    let mut line = connect(0).await;
    let sids = vec!["x".repeat(3 << 20)];
    let settings = UpdateTrackSettings { track_sids: sids, ..Default::default() };
    let large = request(signal_request::Message::TrackSetting(settings));
    line.send(Frame::Binary(large.encode_to_vec().into())).await;
    assert_eq!(line.requests.recv().await, Some(large));
}

#[tokio::test]
async fn an_unreadable_frame_ends_the_connection_after_what_is_queued() {
    for frame in [Frame::Binary(vec![0xff; 3].into()), Frame::Text("{".into())] {
        let mut line = connect(0).await;
        line.send(frame).await;
        assert_eq!(line.requests.recv().await, None);
        line.responses.send(leave()).await.unwrap();
        drop(line.responses);
        assert_eq!(line.client.next().await.unwrap().unwrap(), Frame::Binary(leave().encode_to_vec().into()));
        let Some(Ok(Frame::Close(Some(close)))) = line.client.next().await else { panic!("not closed") };
        assert_eq!((close.code, close.reason.as_str()), (CloseCode::Normal, ""));
    }
}

#[tokio::test]
async fn the_session_ends_with_its_last_words() {
    let mut line = connect(0).await;
    line.responses.send(leave()).await.unwrap();
    let Line { responses, mut client, mut requests } = line;
    drop(responses);
    assert_eq!(client.next().await.unwrap().unwrap(), Frame::Binary(leave().encode_to_vec().into()));
    let Some(Ok(Frame::Close(Some(close)))) = client.next().await else { panic!("not closed") };
    assert_eq!(close.code, CloseCode::Normal);
    assert_eq!(requests.recv().await, None);
    line = connect(0).await;
    drop(line.requests);
    line.responses.send(leave()).await.unwrap();
    line.client.send(Frame::Text(r#"{"ping":"1"}"#.into())).await.unwrap();
    assert!(matches!(line.client.next().await, Some(Ok(Frame::Binary(_)))));
}

#[tokio::test]
async fn a_client_that_closes_ends_its_session() {
    for close in [true, false] {
        let mut line = connect(0).await;
        if close {
            line.client.close(None).await.unwrap();
        } else {
            drop(line.client);
        }
        assert_eq!(line.requests.recv().await, None);
        line.responses.closed().await;
    }
}

/// The clock jumps whenever everybody waits, so the write limit passes as soon as the socket's buffers are full.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_dropped() {
    let line = connect(0).await;
    let large = SignalResponse { message: Some(signal_response::Message::RefreshToken("x".repeat(1 << 20))) };
    while line.responses.send(large.clone()).await.is_ok() {}
    drop(line.client);
}

#[tokio::test(start_paused = true)]
async fn the_server_pings() {
    let mut line = connect(0).await;
    assert!(matches!(line.next().await, Frame::Ping(_)));
    assert!(matches!(line.next().await, Frame::Ping(_)));
}
