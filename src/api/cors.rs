//! Cross-origin requests are welcome from anywhere: the token decides, not the page (WIRE.md §1.2). Fetch standard §3.2.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const METHODS: [&str; 6] = ["OPTIONS", "HEAD", "GET", "POST", "PATCH", "DELETE"];

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE_S: &str = "86400";

/// Middleware. Answers preflights itself and marks every other answer, errors included.
pub async fn allow_any_origin(request: Request, next: Next) -> Response {
    if let Some(answer) = preflight(&request) {
        return answer;
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.entry(ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(origin);
        headers.entry(ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(HeaderValue::from_static("*"));
    }
    response
}

/// `None` for what is no preflight.
fn preflight(request: &Request) -> Option<Response> {
    let asked = request.headers();
    let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| request.method() == Method::OPTIONS)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
        headers.append(VARY, HeaderValue::from_static(name));
    }
    if METHODS.iter().any(|m| method == m) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        echo(asked, ORIGIN, headers, ACCESS_CONTROL_ALLOW_ORIGIN);
        echo(asked, ACCESS_CONTROL_REQUEST_HEADERS, headers, ACCESS_CONTROL_ALLOW_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
    }
    Some(response)
}

fn echo(from: &HeaderMap, asked: HeaderName, to: &mut HeaderMap, answer: HeaderName) {
    if let Some(value) = from.get(asked) {
        to.insert(answer, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    async fn send(method: &str, headers: &[(&str, &str)]) -> Response {
        let app = Router::new().route("/", get(|| async { "OK" })).layer(middleware::from_fn(allow_any_origin));
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn text(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[tokio::test]
    async fn a_preflight_is_granted() {
        let asked = [
            ("origin", "http://app.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let response = send("OPTIONS", &asked).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(text(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "http://app.example");
        assert_eq!(text(&response, ACCESS_CONTROL_ALLOW_METHODS), "POST");
        assert_eq!(text(&response, ACCESS_CONTROL_ALLOW_HEADERS), "authorization,content-type");
        assert_eq!(text(&response, ACCESS_CONTROL_MAX_AGE), "86400");
    }

    #[tokio::test]
    async fn an_unknown_method_is_not_granted() {
        let response = send("OPTIONS", &[("origin", "http://a"), ("access-control-request-method", "TRACE")]).await;
        assert_eq!(text(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "");
    }

    #[tokio::test]
    async fn answers_and_errors_carry_the_origin() {
        for (method, status) in [("GET", StatusCode::OK), ("POST", StatusCode::METHOD_NOT_ALLOWED)] {
            let response = send(method, &[("origin", "http://a")]).await;
            assert_eq!(response.status(), status);
            assert_eq!(text(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "http://a");
            assert_eq!(text(&response, ACCESS_CONTROL_EXPOSE_HEADERS), "*");
        }
        assert_eq!(text(&send("GET", &[]).await, ACCESS_CONTROL_ALLOW_ORIGIN), "");
    }
}
