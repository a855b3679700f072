//! Why a client is not let in: the statuses and texts of WIRE.md §1.7, which SDKs match on.

use crate::cluster::PlaceError;
use crate::room::session::OpenError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into() }
    }

    pub fn bad_request(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn unauthorized(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, text)
    }

    /// The grants do not reach to the room or to what was asked in it.
    pub fn no_permission() -> Refusal {
        Refusal::unauthorized("no permissions to access the room")
    }

    pub fn no_room() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "requested room does not exist")
    }

    pub fn node_full() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "node has exceeded its configured limit")
    }

    pub fn closed_by_media() -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "connection closed by media")
    }

    pub fn timed_out() -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "timed out while waiting for signal response")
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Refusal {
        match error {
            OpenError::NoRoom => Refusal::no_room(),
            OpenError::Refused { .. } => Refusal::closed_by_media(),
        }
    }
}

impl From<PlaceError> for Refusal {
    fn from(error: PlaceError) -> Refusal {
        let status = match error {
            PlaceError::NoNode(_) => StatusCode::INTERNAL_SERVER_ERROR,
            PlaceError::Unknown(_) | PlaceError::Contended | PlaceError::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refusal::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, self.text).into_response()
    }
}
