//! SDKs given a URL with a trailing slash ask for `//rtc`; they mean `/rtc` (WIRE.md §1.2).

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Removes one of two leading slashes. To be applied before routing.
pub fn drop_double_slash<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = without_double_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_double_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str().strip_prefix("//")?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/{path}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_is_dropped() {
        for (uri, expected) in [
            ("http://h//rtc?a=//b", "/rtc?a=//b"),
            ("http://h//", "/"),
            ("http://h/rtc//x", "/rtc//x"),
            ("http://h///rtc", "//rtc"),
            ("http://h/", "/"),
        ] {
            let request = drop_double_slash(Request::builder().uri(uri).body(()).unwrap());
            assert_eq!(request.uri().path_and_query().unwrap().as_str(), expected);
        }
    }
}
