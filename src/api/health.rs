//! The health check (WIRE.md §1.4): the node is well while its statistics are fresh, because the task that gathers them
//! shares the threads that rooms run on.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Statistics older than this are stale.
const FRESH: Duration = Duration::from_secs(4);

/// When the node's statistics were gathered last.
#[derive(Clone)]
pub struct Pulse(Arc<Mutex<Beat>>);

#[derive(Clone, Copy)]
struct Beat {
    at: Instant,
    unix_ms: i64,
}

impl Pulse {
    pub fn new(unix_ms: i64) -> Pulse {
        Pulse(Arc::new(Mutex::new(Beat { at: Instant::now(), unix_ms })))
    }

    /// Called by whoever gathers the statistics.
    pub fn beat(&self, unix_ms: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Beat { at: Instant::now(), unix_ms };
    }

    fn last(&self) -> Beat {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn routes(pulse: Pulse) -> Router {
    Router::new().route("/", any(answer)).with_state(pulse)
}

async fn answer(State(pulse): State<Pulse>) -> Response {
    let last = pulse.last();
    if last.at.elapsed() <= FRESH {
        return "OK".into_response();
    }
    let text = format!("Not Ready\nNode Updated At {} (Unix seconds)", last.unix_ms / 1000);
    (StatusCode::NOT_ACCEPTABLE, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn ask(pulse: &Pulse, method: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        let response = routes(pulse.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 10).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn healthy_while_the_pulse_is_fresh() {
        let pulse = Pulse::new(5000);
        for method in ["GET", "POST", "OPTIONS"] {
            assert_eq!(ask(&pulse, method).await, (200, "OK".to_owned()));
        }
        assert_eq!(ask(&pulse, "HEAD").await.0, 200);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(ask(&pulse, "GET").await.0, 200);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(ask(&pulse, "GET").await, (406, "Not Ready\nNode Updated At 5 (Unix seconds)".to_owned()));
        pulse.beat(9000);
        assert_eq!(ask(&pulse, "GET").await.0, 200);
    }
}
