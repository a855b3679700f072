//! What a client says first and what it says then: connect URLs with plain parameters or a join request, and
//! SignalRequests in binary and text frames. What was read from a frame is answered in its kind.
#![no_main]

use axum::extract::ws::Message as Frame;
use axum::http::Uri;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use flate2::{Compression, write::GzEncoder};
use lkops::limits::JOIN_REQUEST_BYTES_MAX;
use lkops::proto::{SignalResponse, WrappedJoinRequest};
use lkops::signal::{Entrance, Mode, Params, Wish, decode, encode};
use prost::Message;
use std::io::Write;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 6 {
        0 => frame(&Frame::Binary(rest.to_vec().into()), Mode::Binary),
        1 => frame(&Frame::Text(String::from_utf8_lossy(rest).into_owned().into()), Mode::Text),
        2 => connect(&String::from_utf8_lossy(rest)),
        3 => connect(&format!("join_request={}", BASE64_URL_SAFE.encode(rest))),
        4 => connect(&join_request(0, rest.to_vec())),
        _ => connect(&join_request(1, gzip(rest))),
    }
});

fn frame(frame: &Frame, mode: Mode) {
    if let Ok(read) = decode(frame) {
        let (kind, _) = read.expect("no control frame");
        assert_eq!(kind, mode);
    }
    if let Frame::Binary(bytes) = frame
        && let Ok(response) = SignalResponse::decode(bytes.clone())
    {
        encode(Mode::Text, &response);
    }
}

fn connect(query: &str) {
    let Ok(uri) = format!("/rtc?{query}").parse::<Uri>() else { return };
    let params = Params::of(&uri);
    for (wants_join_request, strict) in [(false, false), (false, true), (true, true)] {
        match Wish::read(&params, Entrance { wants_join_request, strict }) {
            Ok(wish) => assert!(wish.metadata.len() <= JOIN_REQUEST_BYTES_MAX),
            Err(refusal) => assert!(refusal.status.is_client_error() && !refusal.text.is_empty()),
        }
    }
}

fn join_request(compression: i32, join_request: Vec<u8>) -> String {
    let wrapped = WrappedJoinRequest { compression, join_request };
    format!("join_request={}", BASE64_URL_SAFE.encode(wrapped.encode_to_vec()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory to write to")
}
