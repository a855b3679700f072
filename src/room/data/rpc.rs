//! Calls the server makes to a participant (RoomService.PerformRpc, WIRE.md §5.1, §4.14): which wait, which answers settle
//! them, when they fail. Time is told.

use super::{Destinations, Relay, head, whole};
use crate::limits::{RPC_PAYLOAD_BYTES_MAX, RPCS_PENDING_MAX};
use crate::proto::data_packet::Value;
use crate::proto::{DataPacket, RpcError, RpcRequest, RpcResponse, rpc_response};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A client must acknowledge within this: the longest round trip.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);

/// Answer time when the caller names none.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

const VERSION: u32 = 1;

/// Codes of LiveKit's RPC errors that the server itself raises or maps.
pub mod code {
    pub const UNSUPPORTED_METHOD: u32 = 1400;
    pub const REQUEST_TOO_LARGE: u32 = 1402;
    pub const APPLICATION_ERROR: u32 = 1500;
    pub const CONNECTION_TIMEOUT: u32 = 1501;
    pub const RESPONSE_TIMEOUT: u32 = 1502;
    pub const RECIPIENT_DISCONNECTED: u32 = 1503;
    pub const SEND_FAILED: u32 = 1505;
}

/// A call that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcOutcome {
    pub id: String,
    /// The answer's payload.
    pub result: Result<String, RpcFailure>,
}

/// Why a call failed; the text is what API callers are shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RpcError {code}: {message}{}", tail(.data))]
pub struct RpcFailure {
    pub code: u32,
    pub message: String,
    pub data: String,
}

fn tail(data: &str) -> String {
    if data.is_empty() { String::new() } else { format!(": {data}") }
}

impl RpcFailure {
    fn new(code: u32, message: &str) -> RpcFailure {
        RpcFailure { code, message: message.to_owned(), data: String::new() }
    }
}

impl From<RpcError> for RpcFailure {
    fn from(error: RpcError) -> RpcFailure {
        RpcFailure { code: error.code, message: error.message, data: error.data }
    }
}

/// A call to be made.
#[derive(Clone, Debug, Default)]
pub struct RpcCall {
    /// Unique; the room's key to its waiting caller.
    pub id: String,
    pub destination_identity: String,
    pub method: String,
    pub payload: String,
    /// 0 is the default of 10 s.
    pub response_timeout_ms: u32,
    /// The destination's latest signalling round trip.
    pub round_trip: Duration,
}

/// Calls waiting for an answer, by id.
#[derive(Debug, Default)]
pub struct PendingRpcs {
    waiting: HashMap<String, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Nobody else may answer.
    destination: String,
    /// `None` once acknowledged.
    ack_by: Option<Instant>,
    answer_by: Instant,
}

impl PendingRpcs {
    /// Registers a call; the packet returned is to be sent.
    pub fn start(&mut self, call: RpcCall, now: Instant) -> Result<Relay, RpcFailure> {
        if call.payload.len() > RPC_PAYLOAD_BYTES_MAX {
            return Err(RpcFailure::new(code::REQUEST_TOO_LARGE, "Request payload too large"));
        }
        if self.waiting.len() >= RPCS_PENDING_MAX {
            return Err(RpcFailure::new(code::SEND_FAILED, "Too many calls are waiting"));
        }
        let timeout = timeout(&call);
        let waiting = Waiting {
            destination: call.destination_identity.clone(),
            ack_by: Some(now + ACK_TIMEOUT),
            answer_by: now + timeout,
        };
        self.waiting.insert(call.id.clone(), waiting);
        Ok(request(call, timeout))
    }

    /// True when the acknowledgement was for a call of the server's.
    pub fn acknowledge(&mut self, from: &str, id: &str) -> bool {
        let waiting = self.waiting.get_mut(id).filter(|w| w.destination == from);
        waiting.map(|w| w.ack_by = None).is_some()
    }

    /// The call an answer ends, if it was the server's.
    pub fn settle(&mut self, from: &str, response: &RpcResponse) -> Option<RpcOutcome> {
        let id = &response.request_id;
        self.waiting.get(id).filter(|w| w.destination == from)?;
        self.waiting.remove(id);
        let result = match response.value.clone() {
            Some(rpc_response::Value::Payload(payload)) => Ok(payload),
            Some(rpc_response::Value::Error(error)) => Err(error.into()),
            _ => Err(RpcFailure::new(code::APPLICATION_ERROR, "Answer of unknown kind")),
        };
        Some(RpcOutcome { id: id.clone(), result })
    }

    /// Ends the calls to a participant that left.
    pub fn forget(&mut self, identity: &str) -> Vec<RpcOutcome> {
        let gone = RpcFailure::new(code::RECIPIENT_DISCONNECTED, "Recipient disconnected");
        self.end(|w| (w.destination == identity).then(|| gone.clone()))
    }

    /// Ends the calls whose time is over.
    pub fn poll_timeout(&mut self, now: Instant) -> Vec<RpcOutcome> {
        self.end(|w| w.overdue(now))
    }

    /// When [`PendingRpcs::poll_timeout`] has something to say next.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.values().map(Waiting::deadline).min()
    }

    fn end(&mut self, why: impl Fn(&Waiting) -> Option<RpcFailure>) -> Vec<RpcOutcome> {
        let ended = self.waiting.iter().filter_map(|(id, w)| why(w).map(|failure| (id.clone(), failure)));
        let ended: Vec<_> = ended.map(|(id, failure)| RpcOutcome { id, result: Err(failure) }).collect();
        for outcome in &ended {
            self.waiting.remove(&outcome.id);
        }
        ended
    }
}

impl Waiting {
    fn deadline(&self) -> Instant {
        self.ack_by.map_or(self.answer_by, |ack| ack.min(self.answer_by))
    }

    fn overdue(&self, now: Instant) -> Option<RpcFailure> {
        if self.answer_by <= now {
            return Some(RpcFailure::new(code::RESPONSE_TIMEOUT, "Response timeout"));
        }
        let unacknowledged = self.ack_by.is_some_and(|ack| ack <= now);
        unacknowledged.then(|| RpcFailure::new(code::CONNECTION_TIMEOUT, "Connection timeout"))
    }
}

fn timeout(call: &RpcCall) -> Duration {
    match call.response_timeout_ms {
        0 => RESPONSE_TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    }
}

fn request(call: RpcCall, timeout: Duration) -> Relay {
    let left_ms = timeout.saturating_sub(call.round_trip).as_millis();
    let request = RpcRequest {
        id: call.id.clone(),
        method: call.method,
        payload: call.payload,
        response_timeout_ms: u32::try_from(left_ms).unwrap_or(u32::MAX),
        version: VERSION,
        ..RpcRequest::default()
    };
    let destinations = vec![call.destination_identity];
    let packet = DataPacket {
        destination_identities: destinations.clone(),
        value: Some(Value::RpcRequest(request)),
        ..head(true, &call.id, "")
    };
    whole(&packet, Destinations::Listed(destinations), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    /// Any instant will do: only differences count.
    #[allow(clippy::disallowed_methods)]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn call(id: &str) -> RpcCall {
        RpcCall { id: id.into(), destination_identity: "bob".into(), method: "add".into(), ..Default::default() }
    }

    fn answer(id: &str, value: rpc_response::Value) -> RpcResponse {
        RpcResponse { request_id: id.into(), value: Some(value) }
    }

    fn codes(outcomes: Vec<RpcOutcome>) -> Vec<u32> {
        outcomes.into_iter().map(|o| o.result.unwrap_err().code).collect()
    }

    #[test]
    fn the_request_is_addressed_and_leaves_time_to_travel() {
        let mut rpcs = PendingRpcs::default();
        let call = RpcCall { response_timeout_ms: 5000, round_trip: Duration::from_millis(120), ..call("1") };
        let relay = rpcs.start(call, epoch()).unwrap();
        assert_eq!(relay.destinations, Destinations::Listed(vec!["bob".into()]));
        let packet = DataPacket::decode(relay.bytes).unwrap();
        assert_eq!(
            (packet.participant_identity.as_str(), packet.destination_identities),
            ("1", vec!["bob".to_owned()])
        );
        let Some(Value::RpcRequest(request)) = packet.value else { panic!("not a request") };
        assert_eq!((request.response_timeout_ms, request.version, request.method.as_str()), (4880, 1, "add"));
    }

    #[test]
    fn timeouts() {
        let start = epoch();
        let at = |ms| start + Duration::from_millis(ms);
        // response timeout, acknowledged; deadline, code
        let cases =
            [(0, false, 2_000, 1501), (0, true, 10_000, 1502), (500, false, 500, 1502), (60_000, true, 60_000, 1502)];
        for (response_timeout_ms, acknowledged, deadline, code) in cases {
            let mut rpcs = PendingRpcs::default();
            rpcs.start(RpcCall { response_timeout_ms, ..call("1") }, start).unwrap();
            if acknowledged {
                assert!(rpcs.acknowledge("bob", "1"));
            }
            assert_eq!(rpcs.deadline(), Some(at(deadline)));
            assert_eq!(rpcs.poll_timeout(at(deadline - 1)), []);
            assert_eq!(codes(rpcs.poll_timeout(at(deadline))), [code]);
            assert_eq!(rpcs.deadline(), None);
        }
    }

    #[test]
    fn answers_settle_once_and_only_from_the_destination() {
        let payload = || answer("1", rpc_response::Value::Payload("3".into()));
        let mut rpcs = PendingRpcs::default();
        rpcs.start(call("1"), epoch()).unwrap();
        assert!(!rpcs.acknowledge("eve", "1"));
        assert_eq!(rpcs.settle("eve", &payload()), None);
        assert_eq!(rpcs.settle("bob", &payload()), Some(RpcOutcome { id: "1".into(), result: Ok("3".into()) }));
        assert_eq!(rpcs.settle("bob", &payload()), None);
    }

    #[test]
    fn errors_are_told_as_text() {
        let mut rpcs = PendingRpcs::default();
        rpcs.start(call("1"), epoch()).unwrap();
        let error = RpcError { code: 1500, message: "no".into(), data: "why".into() };
        let outcome = rpcs.settle("bob", &answer("1", rpc_response::Value::Error(error))).unwrap();
        assert_eq!(outcome.result.unwrap_err().to_string(), "RpcError 1500: no: why");
        assert_eq!(RpcFailure::new(1501, "late").to_string(), "RpcError 1501: late");
    }

    #[test]
    fn limits() {
        let mut rpcs = PendingRpcs::default();
        let large = RpcCall { payload: "x".repeat(RPC_PAYLOAD_BYTES_MAX + 1), ..call("1") };
        assert_eq!(rpcs.start(large, epoch()).unwrap_err().code, 1402);
        for i in 0..RPCS_PENDING_MAX {
            rpcs.start(call(&i.to_string()), epoch()).unwrap();
        }
        assert_eq!(rpcs.start(call("more"), epoch()).unwrap_err().code, 1505);
    }

    #[test]
    fn leaving_ends_the_calls_to_that_participant() {
        let mut rpcs = PendingRpcs::default();
        rpcs.start(call("1"), epoch()).unwrap();
        rpcs.start(RpcCall { destination_identity: "ann".into(), ..call("2") }, epoch()).unwrap();
        assert_eq!(codes(rpcs.forget("bob")), [1503]);
        assert!(rpcs.acknowledge("ann", "2"));
    }
}
