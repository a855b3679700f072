//! Twirp errors: a code with its HTTP status, a message, and details (WIRE.md §5.0).
//! <https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes>

use crate::room::RoomError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Canceled,
    Unknown,
    InvalidArgument,
    Malformed,
    DeadlineExceeded,
    NotFound,
    BadRoute,
    FailedPrecondition,
    Internal,
    Unavailable,
    Unauthenticated,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Code::Canceled => "canceled",
            Code::Unknown => "unknown",
            Code::InvalidArgument => "invalid_argument",
            Code::Malformed => "malformed",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::NotFound => "not_found",
            Code::BadRoute => "bad_route",
            Code::FailedPrecondition => "failed_precondition",
            Code::Internal => "internal",
            Code::Unavailable => "unavailable",
            Code::Unauthenticated => "unauthenticated",
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Code::Canceled | Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
            Code::InvalidArgument | Code::Malformed => StatusCode::BAD_REQUEST,
            Code::NotFound | Code::BadRoute => StatusCode::NOT_FOUND,
            Code::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Code::Unknown | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct TwirpError {
    pub code: Code,
    pub message: String,
    /// Name and value, if there is a detail.
    pub meta: Option<(&'static str, String)>,
}

impl TwirpError {
    pub fn new(code: Code, message: impl Into<String>) -> TwirpError {
        TwirpError { code, message: message.into(), meta: None }
    }

    /// Also what callers without a token are told.
    pub fn denied() -> TwirpError {
        TwirpError::new(Code::Unauthenticated, "permissions denied")
    }

    /// `route` is method and path.
    pub fn bad_route(message: String, route: String) -> TwirpError {
        TwirpError { code: Code::BadRoute, message, meta: Some(("twirp_invalid_route", route)) }
    }

    /// A size above its limit, in Twirp's form: argument, space, what is wrong with it.
    pub fn over_limit(argument: &'static str, limit: usize) -> TwirpError {
        let message = format!("{argument} {limit}");
        TwirpError { code: Code::InvalidArgument, message, meta: Some(("argument", argument.to_owned())) }
    }
}

impl From<RoomError> for TwirpError {
    fn from(error: RoomError) -> TwirpError {
        let message = error.to_string();
        let (code, meta) = match error {
            RoomError::NotFound(_) => (Code::NotFound, None),
            RoomError::InvalidArgument { argument, .. } => {
                (Code::InvalidArgument, argument.map(|a| ("argument", a.to_owned())))
            }
            RoomError::FailedPrecondition(_) => (Code::FailedPrecondition, None),
            RoomError::Unavailable => (Code::Unavailable, None),
            RoomError::Rpc { code, .. } => (rpc_code(code), None),
        };
        TwirpError { code, message, meta }
    }
}

/// The error codes of RPC between participants (WIRE.md §5.1, PerformRpc).
fn rpc_code(code: u32) -> Code {
    match code {
        1400 => Code::InvalidArgument,
        1401 => Code::NotFound,
        1402 => Code::Malformed,
        1501 | 1502 => Code::Canceled,
        1503 => Code::Unavailable,
        _ => Code::Internal,
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        let mut body = json!({"code": self.code.name(), "msg": self.message});
        if let Some((name, value)) = self.meta {
            body["meta"] = Value::Object(Map::from_iter([(name.to_owned(), Value::from(value))]));
        }
        (self.code.status(), [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_errors_keep_their_words() {
        let rpc = |code| RoomError::Rpc { code, message: "m".into(), data: String::new() };
        let cases = [
            (RoomError::NO_ROOM, "not_found", 404, "requested room does not exist"),
            (RoomError::NO_UNMUTE, "failed_precondition", 412, "remote unmute not enabled"),
            (RoomError::Unavailable, "unavailable", 503, "no response from servers"),
            (
                RoomError::over_limit("metadata size exceeds limits", 9),
                "invalid_argument",
                400,
                "metadata size exceeds limits 9",
            ),
            (rpc(1400), "invalid_argument", 400, "RpcError 1400: m"),
            (rpc(1402), "malformed", 400, "RpcError 1402: m"),
            (rpc(1500), "internal", 500, "RpcError 1500: m"),
            (rpc(1501), "canceled", 408, "RpcError 1501: m"),
        ];
        for (error, code, status, message) in cases {
            let error = TwirpError::from(error);
            let found = (error.code.name(), error.code.status().as_u16(), error.message.as_str());
            assert_eq!(found, (code, status, message));
        }
    }

    #[test]
    fn limits_name_their_argument() {
        let expected = TwirpError::over_limit("metadata size exceeds limits", 9);
        assert_eq!(TwirpError::from(RoomError::over_limit("metadata size exceeds limits", 9)), expected);
    }
}
