//! Reads the token of a request, if it carries one, and leaves its claims with the request (WIRE.md §1.5). Whether a token
//! is needed, and for what, is for the handlers to say.

use crate::room::clock::unix_ms;
use crate::token;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Secrets by API key.
pub type Keys = Arc<BTreeMap<String, String>>;

/// Middleware.
pub async fn read_token(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    match claims(&keys, &request) {
        Ok(None) => next.run(request).await,
        Ok(Some(claims)) => {
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Err(why) => refuse(request.uri().path(), why),
    }
}

fn claims(keys: &Keys, request: &Request) -> Result<Option<token::Claims>, String> {
    let Some(jwt) = token_of(request)? else { return Ok(None) };
    token::verify(&jwt, keys, unix_ms() / 1000).map(Some).map_err(|e| e.to_string())
}

/// The header counts before the query.
fn token_of(request: &Request<Body>) -> Result<Option<String>, String> {
    let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).filter(|v| !v.is_empty());
    let Some(header) = header else { return Ok(token_in_query(request)) };
    let jwt = header.strip_prefix(b"Bearer ").ok_or("invalid authorization header. Must start with Bearer ")?;
    String::from_utf8(jwt.to_vec()).map(Some).map_err(|_| token::TokenError::Malformed.to_string())
}

fn token_in_query(request: &Request<Body>) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?;
    pairs.into_iter().find(|(name, _)| name == "access_token").map(|(_, jwt)| jwt).filter(|jwt| !jwt.is_empty())
}

/// Browsers must be able to read why a join would fail, from any page.
fn refuse(path: &str, why: String) -> Response {
    let mut response = (StatusCode::UNAUTHORIZED, why).into_response();
    if matches!(path, "/rtc/validate" | "/rtc/v1/validate") {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Claims, mint};
    use axum::body::to_bytes;
    use axum::routing::any;
    use axum::{Extension, Router, middleware};
    use tower::ServiceExt;

    async fn whoami(claims: Option<Extension<Claims>>) -> String {
        claims.map_or("nobody".to_owned(), |Extension(c)| c.identity().to_owned())
    }

    fn token(secret: &str) -> String {
        let claims = Claims { sub: "ann".into(), exp: Some(i64::MAX / 2), ..Claims::default() };
        mint(&claims, "key", secret)
    }

    async fn ask(uri: &str, authorization: Option<&str>) -> (u16, String, Response<()>) {
        let keys: Keys = Arc::new([("key".to_owned(), "secret".to_owned())].into());
        let app = Router::new().fallback(any(whoami)).layer(middleware::from_fn_with_state(keys, read_token));
        let mut request = Request::builder().uri(uri);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 16).await.unwrap().to_vec()).unwrap();
        (parts.status.as_u16(), text, Response::from_parts(parts, ()))
    }

    #[tokio::test]
    async fn where_a_token_may_stand() {
        let good = token("secret");
        let bearer = format!("Bearer {good}");
        let in_query = format!("/x?access_token={good}");
        let wrong_start = "invalid authorization header. Must start with Bearer ";
        let cases = [
            ("/x", None, 200, "nobody"),
            ("/x?access_token=", None, 200, "nobody"),
            ("/x", Some(bearer.as_str()), 200, "ann"),
            (in_query.as_str(), None, 200, "ann"),
            (in_query.as_str(), Some("Basic x"), 401, wrong_start),
            ("/x", Some(good.as_str()), 401, wrong_start),
            ("/x?access_token=zz", None, 401, "invalid authorization token"),
        ];
        for (uri, authorization, status, text) in cases {
            let (found, body, _) = ask(uri, authorization).await;
            assert_eq!((found, body.as_str()), (status, text), "{uri} {authorization:?}");
        }
        assert_eq!(ask("/x", Some(&format!("Bearer {}", token("other")))).await.0, 401);
    }

    #[tokio::test]
    async fn refusals_to_validate_are_readable_from_any_page() {
        for (path, readable) in [("/rtc/validate", true), ("/rtc/v1/validate", true), ("/rtc", false)] {
            let (status, _, response) = ask(&format!("{path}?access_token=zz"), None).await;
            assert_eq!((status, response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)), (401, readable));
        }
    }
}
