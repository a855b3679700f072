//! `GET /settings/regions`: where a client may connect instead, nearest first (WIRE.md §1.3). JS clients ask it of cloud host
//! names; any other program may ask too. Without `lkops.regions` there is no such page, as with the open-source server.

use crate::cluster::region::{Visitor, nearest, place_of};
use crate::config::Config;
use crate::proto::{RegionInfo, RegionSettings};
use crate::token::Claims;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Headers a proxy tells the client's address in. A forged one changes only what its sender is told.
const ADDRESS_HEADERS: [&str; 3] = ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-IP"];

/// Clients move rarely, and regions go now and then.
const CACHE: &str = "private, max-age=60";

pub fn routes(config: Arc<Config>) -> Router {
    if config.lkops.regions.is_empty() {
        return Router::new();
    }
    Router::new().route("/settings/regions", get(answer)).with_state(config)
}

async fn answer(
    State(config): State<Arc<Config>>,
    claims: Option<Extension<Claims>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    if !claims.is_some_and(|Extension(claims)| claims.video.is_some_and(|grant| grant.room_join)) {
        return (StatusCode::UNAUTHORIZED, "a token that lets its bearer join is needed").into_response();
    }
    let address = told_address(&headers).or_else(|| peer.map(|Extension(ConnectInfo(peer))| peer.ip()));
    ([(CACHE_CONTROL, CACHE), (CONTENT_TYPE, "application/json")], Json(spelt(&list(&config, address)))).into_response()
}

/// The first address of the first header that has one.
fn told_address(headers: &HeaderMap) -> Option<IpAddr> {
    let values = ADDRESS_HEADERS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    values.filter_map(|value| value.split(',').next()?.trim().parse().ok()).next()
}

/// Of a client nothing is known of, this node is near: it was sent here. Without a place of our own, in the order written.
fn list(config: &Config, address: Option<IpAddr>) -> RegionSettings {
    let regions = &config.lkops.regions;
    let by_address = nearest(regions, &Visitor { address, place: None });
    let by_our_place = || nearest(regions, &Visitor { address: None, place: place_of(regions, &config.region) });
    let info = |region: &crate::config::PublicRegion, distance_m: f64| RegionInfo {
        region: region.name.clone(),
        url: region.url.clone(),
        distance: distance_m as i64,
    };
    let regions = match by_address.or_else(by_our_place) {
        Some(ranked) => ranked.iter().map(|r| info(r.region, r.distance_m)).collect(),
        None => regions.iter().map(|region| info(region, 0.0)).collect(),
    };
    RegionSettings { regions }
}

/// Protobuf's JSON, where a 64-bit number is text.
fn spelt(settings: &RegionSettings) -> serde_json::Value {
    let regions = settings.regions.iter();
    let region = |r: &RegionInfo| json!({"region": r.region, "url": r.url, "distance": r.distance.to_string()});
    json!({"regions": regions.map(region).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicRegion;
    use crate::token::VideoGrant;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    fn config(own: &str) -> Arc<Config> {
        let region = |name: &str, lon, network: &str| PublicRegion {
            name: name.into(),
            url: format!("wss://{name}.example.com"),
            lat: 0.0,
            lon,
            networks: vec![network.to_owned()],
        };
        let mut config = Config { region: own.into(), ..Config::default() };
        config.lkops.regions =
            vec![region("a", 0.0, "10.1.0.0/16"), region("b", 50.0, "10.2.0.0/16"), region("c", 90.0, "10.3.0.0/16")];
        Arc::new(config)
    }

    async fn ask(own: &str, join: bool, address: Option<&str>) -> (u16, serde_json::Value) {
        let video = Some(VideoGrant { room_join: join, ..VideoGrant::default() });
        let mut request = Request::get("/settings/regions").extension(Claims { video, ..Claims::default() });
        if let Some(address) = address {
            request = request.header("X-Forwarded-For", address);
        }
        let response = routes(config(own)).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn order(own: &str, address: Option<&str>) -> String {
        let (status, body) = ask(own, true, address).await;
        assert_eq!(status, 200);
        body["regions"].as_array().unwrap().iter().map(|r| r["region"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn regions_are_listed_nearest_first() {
        assert_eq!(order("b", Some("10.3.0.9, 10.1.0.1")).await, "cba", "the client's address decides");
        assert_eq!(order("b", Some("192.0.2.1")).await, "bca", "else this node's region");
        assert_eq!(order("", None).await, "abc", "else the order they are written in");
        let (_, body) = ask("a", true, None).await;
        assert_eq!(body["regions"][0], json!({"region": "a", "url": "wss://a.example.com", "distance": "0"}));
        assert!(body["regions"][1]["distance"].as_str().unwrap().parse::<i64>().unwrap() > 5_000_000);
    }

    #[tokio::test]
    async fn who_may_not_join_is_told_nothing() {
        assert_eq!(ask("a", false, None).await.0, 401);
    }
}
