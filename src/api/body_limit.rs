//! `limit.max_api_request_body_size` for bodies that tell their length (WIRE.md §1.2). The others are cut off by whoever
//! reads them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Middleware; `bytes_max` 0 lets everything pass.
pub async fn refuse_large(State(bytes_max): State<usize>, request: Request, next: Next) -> Response {
    if bytes_max > 0 && declared(&request).is_some_and(|length| length > bytes_max as u64) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "request body too large").into_response();
    }
    next.run(request).await
}

fn declared(request: &Request) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::post;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_declared_length_above_the_limit_is_refused() {
        for (limit, length, status) in [(10, "10", 200), (10, "11", 413), (0, "99999999999", 200)] {
            let app =
                Router::new().route("/", post(|| async {})).layer(middleware::from_fn_with_state(limit, refuse_large));
            let request = Request::post("/").header(CONTENT_LENGTH, length).body(Body::empty()).unwrap();
            assert_eq!(app.oneshot(request).await.unwrap().status().as_u16(), status);
        }
    }
}
