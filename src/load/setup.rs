//! What to run, and why there may be no report. Filled in by `commands`, read by `test` and `run`.

use super::shape::{Shape, ShapeError};
use crate::client::api::{ApiError, Keys};
use crate::client::{EngineError, Mode};
use std::time::Duration;

/// What to run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub url: String,
    pub keys: Keys,
    pub shape: Shape,
    /// As the user wrote it.
    pub shape_text: String,
    pub room: String,
    pub identity_prefix: String,
    pub per_second: f64,
    /// Of the measuring window; absent: until stopped.
    pub duration: Option<Duration>,
    pub threads: usize,
    pub mode: Mode,
    /// A server on this machine to watch.
    pub server_pid: Option<u32>,
    /// A server's page in the Prometheus text format.
    pub metrics_url: Option<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error(transparent)]
    Api(ApiError),
    #[error("{0} does not answer; check the URL and that it is a LiveKit server")]
    Silent(String),
    #[error("the server refuses the API key: {0}; check --api-key and --api-secret")]
    Key(String),
    #[error("{url} answers {status}: it is no LiveKit server, or not under this path")]
    NoServer { url: String, status: u16 },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the server does not let a participant join: {0}")]
    Refused(String),
    #[error(
        "room `{room}` takes {max} participants and the shape asks for {wanted}; ask for fewer or raise max_participants"
    )]
    Full { room: String, max: u32, wanted: u32 },
    #[error("the shape needs some {needed} open files, and {limit} are allowed; run `ulimit -n {needed}` before")]
    Files { needed: u64, limit: u64 },
    #[error("there is no process {0} to watch; check --server-pid")]
    Process(u32),
    #[error("the coordinator has fallen silent")]
    Abandoned,
    #[error("the metrics page cannot be read: {0}; check --metrics-url")]
    Metrics(String),
}

/// Servers quote whole tokens in their answers; they belong in no message.
fn readable(message: &str) -> String {
    let word = |word: &str| if word.len() > WORD_BYTES_MAX { "(a token)".to_owned() } else { word.to_owned() };
    message.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// No word is longer.
const WORD_BYTES_MAX: usize = 60;

impl LoadError {
    pub fn of(error: ApiError, url: &str) -> LoadError {
        match error {
            ApiError::Refused { status: status @ (404..=405 | 501), .. } => {
                LoadError::NoServer { url: url.to_owned(), status }
            }
            ApiError::Refused { status: 401 | 403, message, .. } => LoadError::Key(readable(&message)),
            other => LoadError::Api(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_quotes_no_token() {
        let refused = ApiError::Refused {
            status: 401,
            code: "unauthenticated".into(),
            message: format!("invalid token: ey{}, error: wrong\nkey", "J".repeat(200)),
        };
        let told = LoadError::of(refused, "ws://h").to_string();
        assert!(told.contains("invalid token: (a token) error: wrong key;"), "{told}");
    }

    #[test]
    fn pages_of_other_servers_are_not_quoted() {
        for status in [404, 405, 501] {
            let page = ApiError::Refused { status, code: String::new(), message: "<html>\n<p>".into() };
            assert!(matches!(LoadError::of(page, "ws://h"), LoadError::NoServer { .. }));
        }
    }
}
