//! The health checks. The compatible one (WIRE.md §1.4): the node is well while its statistics are fresh, because the task that gathers them
//! shares the threads that rooms run on. Beside it, as orchestrators want it: `/livez` for whether to start the process anew,
//! `/readyz` for whether to send new people here, with reasons.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};
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

    /// What is wrong, if the beats have stopped.
    fn complaint(&self) -> Option<String> {
        let age = self.last().at.elapsed();
        (age > FRESH).then(|| format!("statistics were gathered {} s ago last", age.as_secs()))
    }

    fn last(&self) -> Beat {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether new people should be sent here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Why not; empty if they should.
    pub reasons: Vec<String>,
    /// What does not work, though the node serves.
    pub degraded: Vec<String>,
}

/// Asked at each check.
pub type AskReadiness = Arc<dyn Fn() -> Readiness + Send + Sync>;

pub fn routes(pulse: Pulse, readiness: AskReadiness) -> Router {
    let live = Router::new().route("/", any(answer)).route("/livez", get(live)).with_state(pulse.clone());
    live.merge(Router::new().route("/readyz", get(ready)).with_state((pulse, readiness)))
}

async fn live(State(pulse): State<Pulse>) -> Response {
    match pulse.complaint() {
        None => Json(json!({"live": true})).into_response(),
        Some(why) => unavailable(&json!({"live": false, "reasons": [why]})),
    }
}

async fn ready(State((pulse, ask)): State<(Pulse, AskReadiness)>) -> Response {
    let Readiness { mut reasons, degraded } = ask();
    reasons.extend(pulse.complaint());
    let body = json!({"ready": reasons.is_empty(), "reasons": reasons, "degraded": degraded});
    if reasons.is_empty() { Json(body).into_response() } else { unavailable(&body) }
}

fn unavailable(body: &Value) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
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
        visit(pulse, method, "/", Readiness::default()).await
    }

    async fn visit(pulse: &Pulse, method: &str, path: &str, readiness: Readiness) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let routes = routes(pulse.clone(), Arc::new(move || readiness.clone()));
        let response = routes.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 10).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn orchestrators_get_reasons() {
        let pulse = Pulse::new(0);
        let readiness = |reasons: &[&str], degraded: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
            Readiness { reasons: texts(reasons), degraded: texts(degraded) }
        };
        let cases = [
            ("/livez", readiness(&["draining"], &[]), 200, r#"{"live":true}"#),
            ("/readyz", readiness(&[], &["redis"]), 200, r#"{"degraded":["redis"],"ready":true,"reasons":[]}"#),
            ("/readyz", readiness(&["draining"], &[]), 503, r#"{"degraded":[],"ready":false,"reasons":["draining"]}"#),
        ];
        for (path, readiness, status, body) in cases {
            assert_eq!(visit(&pulse, "GET", path, readiness).await, (status, body.to_owned()), "{path}");
        }
        tokio::time::advance(Duration::from_secs(9)).await;
        for path in ["/livez", "/readyz"] {
            let (status, body) = visit(&pulse, "GET", path, Readiness::default()).await;
            assert!(status == 503 && body.contains("statistics were gathered 9 s ago"), "{path}: {body}");
        }
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
