//! JSON requests of the server API and of signalling, first byte for the message: what was read can be written and reads
//! the same. A message that JSON cannot write (an enum value this build does not know) is passed over.
#![no_main]

use lkops::proto::json::{compact, parse};
use lkops::proto::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let check = MESSAGES[usize::from(*choice) % MESSAGES.len()];
    check(text);
});

const MESSAGES: [fn(&[u8]); 15] = [
    check::<CreateRoomRequest>,
    check::<ListRoomsRequest>,
    check::<DeleteRoomRequest>,
    check::<ListParticipantsRequest>,
    check::<RoomParticipantIdentity>,
    check::<MuteRoomTrackRequest>,
    check::<UpdateParticipantRequest>,
    check::<UpdateSubscriptionsRequest>,
    check::<SendDataRequest>,
    check::<UpdateRoomMetadataRequest>,
    check::<ForwardParticipantRequest>,
    check::<MoveParticipantRequest>,
    check::<PerformRpcRequest>,
    check::<RoomConfiguration>,
    check::<SignalRequest>,
];

fn check<T: Serialize + DeserializeOwned + Debug>(text: &[u8]) {
    let Ok(message) = parse::<T>(text) else { return };
    let Ok(written) = compact(&message) else { return };
    let again: T = parse(written.as_bytes()).expect("a message that was written");
    assert_eq!(unordered(&compact(&again).expect("what was written before")), unordered(&written));
}

/// Maps are written in any order.
fn unordered(json: &str) -> serde_json::Value {
    serde_json::from_str(json).expect("what was written")
}
