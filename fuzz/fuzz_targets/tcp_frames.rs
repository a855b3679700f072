//! Datagrams over TCP: frames come out as they went in, however the bytes are cut, and what is no whole frame stays.
#![no_main]

use lkops::net::tcp::Framed;
use std::net::{TcpListener, TcpStream};

thread_local! {
    /// Nothing is ever sent here: all bytes are handed over as read before.
    static SILENT: (TcpStream, TcpStream) = connect().expect("the loopback interface");
}

fn connect() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    Ok((near, listener.accept()?.0))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let stream = SILENT.with(|(near, _)| near.try_clone()).expect("a descriptor");
    let mut framed = Framed::new(stream, bytes.to_vec()).expect("a connected stream");
    let mut out = Vec::new();
    let open = framed.recv(|frame| {
        out.extend((frame.len() as u16).to_be_bytes());
        out.extend_from_slice(frame);
    });
    assert!(matches!(open, Ok(true)));
    assert_eq!(bytes.get(..out.len()), Some(&out[..]), "whole frames, in order");
    let rest = &bytes[out.len()..];
    assert!(rest.split_first_chunk().is_none_or(|(length, rest)| rest.len() < u16::from_be_bytes(*length).into()));
});
