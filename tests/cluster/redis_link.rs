//! The way between one node and Redis, which a test may slow down, cut, stop up, and make lose or repeat bus messages.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Bytes under way in one direction; further ones wait at the sender.
const UNDER_WAY_MAX: usize = 8 << 20;

/// What becomes of bytes on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// In each direction.
    pub delay: Duration,
    /// Connections stay open, and nothing arrives any more.
    pub is_stopped: bool,
    /// Connections break, and new ones as well.
    pub is_cut: bool,
    /// Of the messages that others sent to this node; between 0 and 1.
    pub loses: f64,
    /// The same; a message comes twice.
    pub repeats: f64,
}

pub struct RedisLink {
    pub port: u16,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Drop for RedisLink {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Weather { is_cut: true, ..Weather::default() });
    }
}

impl RedisLink {
    pub async fn to(redis_port: u16) -> RedisLink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::default());
        RedisLink { port, weather, accepting: tokio::spawn(accept(listener, redis_port, seen)) }
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn accept(listener: TcpListener, redis_port: u16, weather: watch::Receiver<Weather>) {
    let mut seed = 0;
    while let Ok((client, _)) = listener.accept().await {
        seed += 1;
        tokio::spawn(carry(client, redis_port, weather.clone(), seed));
    }
}

async fn carry(client: TcpStream, redis_port: u16, weather: watch::Receiver<Weather>, seed: u64) {
    let mut until_cut = weather.clone();
    let both = async {
        let Ok(server) = TcpStream::connect(("127.0.0.1", redis_port)).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = pump(from_client, to_server, weather.clone(), None) => (),
            () = pump(from_server, to_client, weather, Some(StdRng::seed_from_u64(seed))) => (),
        }
    };
    tokio::select! {
        () = both => (),
        _ = until_cut.wait_for(|now| now.is_cut) => (),
    }
}

/// One direction, until either end closes it. With dice, messages of others are lost and repeated.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    mut dice: Option<StdRng>,
) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut unread = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let now = *weather.borrow_and_update();
        let due = under_way.front().map(|(at, _)| *at);
        let has_room = under_way.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < UNDER_WAY_MAX;
        tokio::select! {
            changed = weather.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if !now.is_stopped && has_room => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                unread.extend_from_slice(&buffer[..count]);
                let passed = match &mut dice {
                    Some(dice) => fate(&mut unread, now, dice),
                    None => std::mem::take(&mut unread),
                };
                under_way.push_back((in_time(now.delay), passed));
            }
            () = until(due), if !now.is_stopped && due.is_some() => {
                let Some((_, bytes)) = under_way.pop_front() else { continue };
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    if let Some(at) = due {
        sleep_until(at).await;
    }
}

#[allow(clippy::disallowed_methods)] // the bytes of a real connection
fn in_time(delay: Duration) -> Instant {
    Instant::now() + delay
}

/// What is left of the whole values at the beginning of `unread`.
fn fate(unread: &mut Vec<u8>, now: Weather, dice: &mut StdRng) -> Vec<u8> {
    let mut passed = Vec::new();
    while let Some(length) = value_length(unread) {
        let value: Vec<u8> = unread.drain(..length).collect();
        let is_message = value.starts_with(b">3\r\n$7\r\nmessage\r\n");
        let times = match () {
            () if is_message && dice.random_bool(now.loses) => 0,
            () if is_message && dice.random_bool(now.repeats) => 2,
            () => 1,
        };
        passed.extend(std::iter::repeat_n(value, times).flatten());
    }
    passed
}

/// Bytes of the first RESP3 value, if it is whole.
fn value_length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    match bytes[0] {
        b'$' | b'=' | b'!' => match usize::try_from(count()?) {
            Ok(length) => Some(line + length + 2).filter(|whole| *whole <= bytes.len()),
            Err(_) => Some(line),
        },
        b'*' | b'>' | b'~' | b'%' => {
            let each = if bytes[0] == b'%' { 2 } else { 1 };
            (0..each * count()?).try_fold(line, |at, _| Some(at + value_length(&bytes[at..])?))
        }
        _ => Some(line),
    }
}

#[test]
fn values_are_told_apart() {
    let message = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\n\r\n\r\n";
    for (bytes, expected) in [
        (message.as_slice(), Some(message.len())),
        (&message[..message.len() - 1], None),
        (b"+OK\r\n:1\r\n", Some(5)),
        (b"$-1\r\n", Some(5)),
        (b"%1\r\n+a\r\n*0\r\n,", Some(12)),
        (b"*2\r\n:1\r\n", None),
        (b":1", None),
    ] {
        assert_eq!(value_length(bytes), expected, "{bytes:?}");
    }
}
