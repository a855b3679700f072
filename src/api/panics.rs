//! A panic in a handler ends that request with a 500, not the connection (WIRE.md §1.2).

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// Middleware.
pub async fn contain(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    // What the handler leaves behind is only its own: shared state sits behind room tasks.
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(path, "a handler panicked");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_is_a_500() {
        async fn fails() -> &'static str {
            panic!("a test of panics")
        }
        let app = Router::new().route("/", get(fails)).layer(middleware::from_fn(contain));
        let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
