//! Data messages there and back: the sender's go over the room to the receiver, which returns them. Called by `run`.

use super::joiner::Joiner;
use super::report::{Fault, Report, RoundTrips, Step, Trouble, ms};
use crate::client::clock;
use crate::proto::{DataPacket, UserPacket, data_packet};
use bytes::BytesMut;
use prost::Message as _;
use std::time::Duration;
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

const OUT: &str = "lkops-probe";
const BACK: &str = "lkops-probe-back";

/// For the channels to open and the first message to return.
const FIRST_PATIENCE: Duration = Duration::from_secs(8);
/// For each message after it.
const PATIENCE: Duration = Duration::from_secs(2);
const MESSAGES: u32 = 10;

/// Sends messages one after the other and writes down their round trips.
pub async fn round_trips(sender: &mut Joiner, receiver: &mut Joiner, report: &mut Report) -> Result<(), Trouble> {
    let begun = clock::now();
    let both_open = async { tokio::join!(opened(&*sender.outgoing), opened(&*receiver.outgoing)) };
    // A channel that is not open shows in what does not return.
    let _ = timeout(FIRST_PATIENCE, both_open).await;
    let trips = tokio::select! {
        trips = measure(sender) => trips,
        () = echo(receiver) => RoundTrips { sent: 1, ..RoundTrips::default() },
    };
    report.data = Some(trips);
    if trips.returned < trips.sent {
        return Err(lost(trips, sender, receiver));
    }
    let detail = format!("round trip {:.1} ms, worst {:.1} ms of {}", trips.median_ms, trips.max_ms, trips.returned);
    report.took(Step::Data, clock::now() - begun, detail);
    Ok(())
}

async fn opened(channel: &dyn DataChannel) {
    while let Some(event) = channel.poll().await {
        if matches!(event, DataChannelEvent::OnOpen) {
            return;
        }
    }
}

async fn measure(sender: &mut Joiner) -> RoundTrips {
    let mut times = Vec::new();
    let mut sent = 0;
    while sent < MESSAGES {
        let limit = if times.is_empty() { FIRST_PATIENCE } else { PATIENCE };
        sent += 1;
        match timeout(limit, there_and_back(sender, sent)).await.ok().flatten() {
            Some(took) => times.push(took),
            None => break,
        }
    }
    summed(sent, &mut times)
}

/// Returns what comes; ends when the session does.
async fn echo(receiver: &mut Joiner) {
    while let Some(message) = receiver.messages.recv().await {
        let Some(payload) = payload(&message, OUT) else { continue };
        if receiver.outgoing.send(packet(BACK, payload)).await.is_err() {
            return;
        }
    }
}

async fn there_and_back(sender: &mut Joiner, number: u32) -> Option<Duration> {
    let begun = clock::now();
    let number = number.to_be_bytes();
    sender.outgoing.send(packet(OUT, number.to_vec())).await.ok()?;
    while let Some(message) = sender.messages.recv().await {
        if payload(&message, BACK).is_some_and(|payload| payload == number) {
            return Some(clock::now() - begun);
        }
    }
    None
}

fn lost(trips: RoundTrips, sender: &Joiner, receiver: &Joiner) -> Trouble {
    let because = sender.ended().or_else(|| receiver.ended()).map(|why| format!("; {why}")).unwrap_or_default();
    let message = format!("{} of {} data messages came back{because}", trips.returned, trips.sent);
    let trouble = Trouble::at(Fault::NoMedia, Step::Data, message);
    trouble.hinting("the tokens must allow publishing data; else look into the server's log")
}

fn payload(bytes: &[u8], topic: &str) -> Option<Vec<u8>> {
    match DataPacket::decode(bytes).ok()?.value? {
        data_packet::Value::User(user) if user.topic.as_deref() == Some(topic) => Some(user.payload),
        _ => None,
    }
}

fn packet(topic: &str, payload: Vec<u8>) -> BytesMut {
    let user = UserPacket { payload, topic: Some(topic.to_owned()), ..UserPacket::default() };
    let packet = DataPacket { value: Some(data_packet::Value::User(user)), ..DataPacket::default() };
    BytesMut::from(&packet.encode_to_vec()[..])
}

fn summed(sent: u32, times: &mut [Duration]) -> RoundTrips {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().map_or(0.0, ms);
    RoundTrips {
        sent,
        returned: times.len() as u32,
        median_ms: at(times.len() / 2),
        max_ms: at(times.len().saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_the_topic_are_ours() {
        let bytes = packet(OUT, vec![1, 2]);
        assert_eq!(payload(&bytes, OUT), Some(vec![1, 2]));
        assert_eq!((payload(&bytes, BACK), payload(b"\xff\xff", OUT)), (None, None));
    }

    #[test]
    fn round_trips_are_summed_up() {
        let mut times = [5, 1, 9].map(Duration::from_millis);
        let trips = summed(4, &mut times);
        assert_eq!(trips, RoundTrips { sent: 4, returned: 3, median_ms: 5.0, max_ms: 9.0 });
        assert_eq!(summed(1, &mut []).returned, 0);
    }
}
