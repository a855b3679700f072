//! Data messages of a load test: stamped by their sender, checked by each receiver for loss, order and delay. Called by
//! `member`.

use crate::client::clock;
use crate::client::stats::Latency;
use crate::proto::{DataPacket, data_packet};
use std::collections::HashMap;
use std::time::Duration;

/// The topic by which receivers know the test's own messages.
pub const TOPIC: &str = "lkops-load";
/// Sending time and number.
const HEAD_BYTES: usize = 12;

/// What one participant received.
#[derive(Clone, Debug, Default)]
pub struct DataMeter {
    pub sent: u64,
    pub received: u64,
    pub lost: u64,
    pub latency: Latency,
    /// The number expected next, by sender.
    next: HashMap<String, u32>,
}

/// A message of that size; at least the stamp.
pub fn message(number: u32, bytes: usize) -> Vec<u8> {
    let mut payload = vec![0x55; bytes.max(HEAD_BYTES)];
    payload[..8].copy_from_slice(&clock::unix_us().to_be_bytes());
    payload[8..12].copy_from_slice(&number.to_be_bytes());
    payload
}

impl DataMeter {
    /// Counting begins anew; numbers go on.
    pub fn mark(&mut self) {
        *self = DataMeter { next: std::mem::take(&mut self.next), ..DataMeter::default() };
    }

    /// Takes a packet that came at `taken_us`, since 1970; those of others are passed over.
    pub fn note(&mut self, packet: &DataPacket, taken_us: u64) {
        let Some(data_packet::Value::User(user)) = &packet.value else { return };
        if user.topic.as_deref() != Some(TOPIC) {
            return;
        }
        let Some((sent_us, rest)) = user.payload.split_first_chunk::<8>() else { return };
        let Some(number) = rest.first_chunk::<4>().map(|n| u32::from_be_bytes(*n)) else { return };
        let age = taken_us.saturating_sub(u64::from_be_bytes(*sent_us));
        self.received += 1;
        self.latency.note(Duration::from_micros(age));
        self.note_number(&packet.participant_identity, number);
    }

    fn note_number(&mut self, sender: &str, number: u32) {
        let Some(next) = self.next.get_mut(sender) else {
            self.next.insert(sender.to_owned(), number.wrapping_add(1));
            return;
        };
        if number >= *next {
            self.lost += u64::from(number - *next);
            *next = number.wrapping_add(1);
        } else {
            // Late after all: it had been counted as lost.
            self.lost = self.lost.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::UserPacket;

    fn packet(sender: &str, number: u32) -> DataPacket {
        let user = UserPacket { payload: message(number, 50), topic: Some(TOPIC.into()), ..UserPacket::default() };
        let value = Some(data_packet::Value::User(user));
        DataPacket { participant_identity: sender.to_owned(), value, ..DataPacket::default() }
    }

    #[test]
    fn gaps_are_losses_until_filled() {
        let mut meter = DataMeter::default();
        [5, 6, 9, 8].into_iter().for_each(|n| meter.note(&packet("a", n), clock::unix_us()));
        meter.note(&packet("b", 100), 0);
        assert_eq!((meter.received, meter.lost, meter.latency.count()), (5, 1, 5));
        meter.mark();
        meter.note(&packet("a", 11), 0);
        assert_eq!((meter.received, meter.lost), (1, 1), "number 10 of sender a is missing");
    }

    #[test]
    fn other_packets_do_not_count() {
        let mut meter = DataMeter::default();
        let mut foreign = packet("a", 1);
        let Some(data_packet::Value::User(user)) = &mut foreign.value else { panic!() };
        user.topic = Some("chat".into());
        meter.note(&foreign, 0);
        meter.note(&DataPacket::default(), 0);
        assert_eq!(meter.received, 0);
    }
}
