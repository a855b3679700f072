//! psrpc's envelopes: what stands around every message that nodes, workers and fronts exchange (package `internal`;
//! CLUSTER.md §1.2, §1.3). Field numbers and types are the wire's; the `request`, `response` and `message` fields of type Any
//! are left out, because nobody reads them. Times are Unix nanoseconds.

use prost::Message;
use std::collections::BTreeMap;

const TYPE_PREFIX: &str = "type.googleapis.com/";

/// The outermost message of every PUBLISH payload.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Wrapper {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// Empty on Redis.
    #[prost(string, tag = "3")]
    pub channel: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// A message that may stand in the wrapper.
pub trait Wrapped: Message + Default {
    /// Its full protobuf name.
    const NAME: &'static str;

    /// The PUBLISH payload.
    fn wrap(&self) -> Vec<u8> {
        let type_url = format!("{TYPE_PREFIX}{}", Self::NAME);
        Wrapper { type_url, value: self.encode_to_vec(), channel: String::new() }.encode_to_vec()
    }

    /// `None` if the payload is something else: such messages are dropped without a word.
    fn unwrap(payload: &[u8]) -> Option<Self> {
        let wrapper = Wrapper::decode(payload).ok()?;
        if wrapper.type_url.strip_prefix(TYPE_PREFIX)? != Self::NAME {
            return None;
        }
        Self::decode(wrapper.value.as_slice()).ok()
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub client_id: String,
    #[prost(int64, tag = "3")]
    pub sent_at: i64,
    #[prost(int64, tag = "4")]
    pub expiry: i64,
    /// Every server is to answer.
    #[prost(bool, tag = "5")]
    pub multi: bool,
    #[prost(btree_map = "string, string", tag = "7")]
    pub metadata: BTreeMap<String, String>,
    #[prost(bytes = "vec", tag = "8")]
    pub raw_request: Vec<u8>,
}

/// An error if, and only if, `error` is not empty.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub server_id: String,
    #[prost(int64, tag = "3")]
    pub sent_at: i64,
    #[prost(string, tag = "5")]
    pub error: String,
    #[prost(string, tag = "6")]
    pub code: String,
    #[prost(bytes = "vec", tag = "7")]
    pub raw_response: Vec<u8>,
    #[prost(message, repeated, tag = "8")]
    pub error_details: Vec<Any>,
}

/// Server to client: I can.
#[derive(Clone, PartialEq, Message)]
pub struct ClaimRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub server_id: String,
    #[prost(float, tag = "3")]
    pub affinity: f32,
}

/// Client to servers: you do it.
#[derive(Clone, PartialEq, Message)]
pub struct ClaimResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub server_id: String,
}

/// One message of a stream, in either direction.
#[derive(Clone, PartialEq, Message)]
pub struct Stream {
    #[prost(string, tag = "1")]
    pub stream_id: String,
    #[prost(string, tag = "2")]
    pub request_id: String,
    #[prost(int64, tag = "3")]
    pub sent_at: i64,
    #[prost(int64, tag = "4")]
    pub expiry: i64,
    #[prost(oneof = "StreamBody", tags = "6, 7, 8, 9")]
    pub body: Option<StreamBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum StreamBody {
    #[prost(message, tag = "6")]
    Open(StreamOpen),
    #[prost(message, tag = "7")]
    Message(StreamMessage),
    #[prost(message, tag = "8")]
    Ack(StreamAck),
    #[prost(message, tag = "9")]
    Close(StreamClose),
}

#[derive(Clone, PartialEq, Message)]
pub struct StreamOpen {
    /// Where the server is to send.
    #[prost(string, tag = "1")]
    pub node_id: String,
    #[prost(btree_map = "string, string", tag = "7")]
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StreamMessage {
    #[prost(bytes = "vec", tag = "2")]
    pub raw_message: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StreamAck {}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct StreamClose {
    #[prost(string, tag = "1")]
    pub error: String,
    #[prost(string, tag = "2")]
    pub code: String,
}

impl Wrapped for Request {
    const NAME: &'static str = "internal.Request";
}

impl Wrapped for Response {
    const NAME: &'static str = "internal.Response";
}

impl Wrapped for ClaimRequest {
    const NAME: &'static str = "internal.ClaimRequest";
}

impl Wrapped for ClaimResponse {
    const NAME: &'static str = "internal.ClaimResponse";
}

impl Wrapped for Stream {
    const NAME: &'static str = "internal.Stream";
}

impl Wrapped for () {
    const NAME: &'static str = "google.protobuf.Empty";
}

/// What went wrong, as the wire names it (CLUSTER.md §1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    Canceled,
    MalformedRequest,
    MalformedResult,
    DeadlineExceeded,
    Unavailable,
    Unknown,
    InvalidArgument,
    NotFound,
    NotAcceptable,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    DataLoss,
    Unauthenticated,
    UnprocessableEntity,
    UpstreamServerError,
    UpstreamClientError,
}

const NAMES: [(ErrorCode, &str); 22] = [
    (ErrorCode::Canceled, "canceled"),
    (ErrorCode::MalformedRequest, "malformed_request"),
    (ErrorCode::MalformedResult, "malformed_result"),
    (ErrorCode::DeadlineExceeded, "deadline_exceeded"),
    (ErrorCode::Unavailable, "unavailable"),
    (ErrorCode::Unknown, "unknown"),
    (ErrorCode::InvalidArgument, "invalid_argument"),
    (ErrorCode::NotFound, "not_found"),
    (ErrorCode::NotAcceptable, "not_acceptable"),
    (ErrorCode::AlreadyExists, "already_exists"),
    (ErrorCode::PermissionDenied, "permission_denied"),
    (ErrorCode::ResourceExhausted, "resource_exhausted"),
    (ErrorCode::FailedPrecondition, "failed_precondition"),
    (ErrorCode::Aborted, "aborted"),
    (ErrorCode::OutOfRange, "out_of_range"),
    (ErrorCode::Unimplemented, "unimplemented"),
    (ErrorCode::Internal, "internal"),
    (ErrorCode::DataLoss, "data_loss"),
    (ErrorCode::Unauthenticated, "unauthenticated"),
    (ErrorCode::UnprocessableEntity, "unprocessable_entity"),
    (ErrorCode::UpstreamServerError, "upstream_server_error"),
    (ErrorCode::UpstreamClientError, "upstream_client_error"),
];

impl ErrorCode {
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(code, _)| *code == self).map_or("unknown", |(_, name)| name)
    }

    /// Empty and unheard-of names are `Unknown`.
    pub fn named(name: &str) -> ErrorCode {
        NAMES.iter().find(|(_, known)| *known == name).map_or(ErrorCode::Unknown, |(code, _)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_kind_is_unwrapped() {
        let claim = ClaimResponse { request_id: "REQ_1".into(), server_id: "SRV_1".into() };
        let payload = claim.wrap();
        assert_eq!(ClaimResponse::unwrap(&payload), Some(claim));
        assert_eq!(ClaimRequest::unwrap(&payload), None);
        assert_eq!(ClaimRequest::unwrap(b"\xff\xff"), None);
        assert_eq!(<()>::unwrap(&().wrap()), Some(()));
    }

    #[test]
    fn codes_have_their_names() {
        for (code, name) in NAMES {
            assert_eq!((code.name(), ErrorCode::named(name)), (name, code));
        }
        assert_eq!((ErrorCode::named(""), ErrorCode::named("odd")), (ErrorCode::Unknown, ErrorCode::Unknown));
    }
}
