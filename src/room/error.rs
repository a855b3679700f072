//! Why an operation on a room was refused. The texts are LiveKit's (WIRE.md §5.0), because clients match on them.

use super::data::rpc::RpcFailure;

/// Refusals of the server API's calls on rooms. All are the caller's fault but `Unavailable`.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RoomError {
    #[error("{0}")]
    NotFound(&'static str),
    /// `argument` goes into the error's `argument` field where LiveKit sets it.
    #[error("{message}")]
    InvalidArgument { message: String, argument: Option<&'static str> },
    #[error("{0}")]
    FailedPrecondition(&'static str),
    /// The room or participant ended while the call was under way.
    #[error("no response from servers")]
    Unavailable,
    /// WIRE.md §4.14: codes 1400 to 1505.
    #[error("{}", rpc_text(*code, message, data))]
    Rpc { code: u32, message: String, data: String },
}

impl RoomError {
    pub const NO_ROOM: RoomError = RoomError::NotFound("requested room does not exist");
    pub const NO_PARTICIPANT: RoomError = RoomError::NotFound("participant does not exist");
    pub const NO_UNMUTE: RoomError = RoomError::FailedPrecondition("remote unmute not enabled");

    /// A size above its limit: `<text> <limit>` with the text as argument.
    pub fn over_limit(text: &'static str, limit: usize) -> RoomError {
        RoomError::InvalidArgument { message: format!("{text} {limit}"), argument: Some(text) }
    }

    pub fn invalid(message: &str) -> RoomError {
        RoomError::InvalidArgument { message: message.to_owned(), argument: None }
    }
}

impl From<RpcFailure> for RoomError {
    fn from(failure: RpcFailure) -> RoomError {
        RoomError::Rpc { code: failure.code, message: failure.message, data: failure.data }
    }
}

fn rpc_text(code: u32, message: &str, data: &str) -> String {
    match data {
        "" => format!("RpcError {code}: {message}"),
        _ => format!("RpcError {code}: {message}: {data}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_livekits() {
        let rpc = |data: &str| RoomError::Rpc { code: 1500, message: "no".into(), data: data.into() };
        let cases = [
            (RoomError::NO_ROOM, "requested room does not exist"),
            (RoomError::over_limit("metadata size exceeds limits", 5), "metadata size exceeds limits 5"),
            (rpc(""), "RpcError 1500: no"),
            (rpc("x"), "RpcError 1500: no: x"),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
