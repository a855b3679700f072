//! Data between participants: packets of one sender, first byte for who that is, as relayed by a room, and packets of a
//! data track as a subscriber sees them. Nobody speaks in another's name but agents, and nobody sees who is hidden.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use lkops::limits::DATA_PACKET_BYTES_MAX;
use lkops::proto::DataPacket;
use lkops::proto::data_packet::Value;
use lkops::room::data::{DataRelay, Sender, Sequence, Verdict};
use lkops::room::data_track::with_handle;
use prost::Message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let flag = |bit: u8| choice & bit != 0;
    let sender = Sender { identity: "ann", sid: "PA_1", hidden: flag(1), agent: flag(2), may_publish_data: !flag(4) };
    let (mut relay, mut sequence) = (DataRelay::default(), Sequence::default());
    let mut input = Unstructured::new(rest);
    while let (false, Ok([action, length])) = (input.is_empty(), input.arbitrary::<[u8; 2]>()) {
        let packet = input.bytes(usize::from(length).min(input.len())).unwrap_or_default();
        let reliable = action & 1 != 0;
        let before = sequence.last();
        let verdict = match action >> 1 & 1 {
            0 => relay.relay(sender, &mut sequence, reliable, packet),
            _ => relay.relay_unlabeled(sender, reliable, packet),
        };
        assert!(sequence.last() >= before);
        check(sender, reliable, &verdict);
        track_packet(packet, u16::from(action) << 8 | 1);
    }
});

#[allow(deprecated)] // old clients read the names inside
fn check(sender: Sender, reliable: bool, verdict: &Verdict) {
    let Verdict::Relay(relayed) = verdict else { return };
    assert!(sender.may_publish_data && relayed.reliable == reliable);
    assert!(relayed.bytes.len() <= 2 * DATA_PACKET_BYTES_MAX);
    let packet = DataPacket::decode(relayed.bytes.clone()).expect("a packet that was relayed");
    let shown = if sender.hidden { "" } else { sender.identity };
    assert!(packet.participant_identity == shown || sender.agent, "{}", packet.participant_identity);
    assert_eq!((packet.participant_sid.as_str(), packet.sequence), (sender.sid, relayed.sequence));
    if let Some(Value::User(user)) = &packet.value {
        assert_eq!(user.participant_identity, shown);
        assert_eq!(user.destination_identities, packet.destination_identities);
    }
}

fn track_packet(packet: &[u8], handle: u16) {
    let Some(copy) = with_handle(packet, handle) else { return };
    assert_eq!((&copy[..2], &copy[2..4], &copy[4..]), (&packet[..2], &handle.to_be_bytes()[..], &packet[4..]));
}
