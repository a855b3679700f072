//! Holds a connect URL against its token. The order of the questions is the reference's, because the first failure decides
//! the status that SDKs act on (WIRE.md §1.7). Pure; called by the routes.

use super::client_info;
use super::params::Params;
use super::refusal::Refusal;
use super::wish::{Entrance, Wish};
use crate::config::Limit;
use crate::room::session::SessionStart;
use crate::token::{Claims, VideoGrant};
use axum::http::HeaderMap;
use std::net::SocketAddr;

/// What a client brought.
pub struct Arrival<'a> {
    /// Of its checked token, if it had one.
    pub claims: Option<Claims>,
    pub params: &'a Params,
    pub headers: &'a HeaderMap,
    pub peer: Option<SocketAddr>,
}

/// What this node says to it.
pub struct House<'a> {
    pub limit: &'a Limit,
    /// `room.auto_create`.
    pub auto_create: bool,
    /// Asked only where `auto_create` is off.
    pub room_exists: bool,
    /// The node carries more than `limit.num_tracks` or `limit.bytes_per_sec`.
    pub is_full: bool,
}

pub fn check(arrival: Arrival<'_>, entrance: Entrance, house: &House<'_>) -> Result<SessionStart, Refusal> {
    let mut claims = arrival.claims.ok_or_else(Refusal::no_permission)?;
    let mut grant = claims.video.take().ok_or_else(Refusal::no_permission)?;
    let mut wish = Wish::read(arrival.params, entrance)?;
    client_info::complete(&mut wish.start.client, arrival.headers, arrival.peer);
    may_join(&grant)?;
    identity_fits(claims.identity(), house.limit)?;
    room_fits(&grant.room, house.limit)?;
    if !wish.publish.is_empty() {
        only_publishes(&mut claims, &mut grant, &wish.publish)?;
    }
    may_enter(&grant, house)?;
    may_change_self(&grant, &wish)?;
    claims.video = Some(grant);
    Ok(start(claims, wish))
}

fn may_join(grant: &VideoGrant) -> Result<(), Refusal> {
    if !grant.room_join {
        return Err(Refusal::unauthorized("permissions denied"));
    }
    Ok(())
}

fn identity_fits(identity: &str, limit: &Limit) -> Result<(), Refusal> {
    if identity.is_empty() {
        return Err(Refusal::bad_request("identity cannot be empty"));
    }
    fits(identity, limit.max_participant_identity_length, "participant identity length exceeds limits")
}

fn room_fits(room: &str, limit: &Limit) -> Result<(), Refusal> {
    if room.is_empty() {
        return Err(Refusal::bad_request("no room name"));
    }
    fits(room, limit.max_room_name_length, "room name length exceeds limits")
}

/// In bytes; 0 is no limit.
fn fits(name: &str, length_max: usize, complaint: &str) -> Result<(), Refusal> {
    if length_max > 0 && name.len() > length_max {
        return Err(Refusal::bad_request(format!("{complaint}: max length {length_max}")));
    }
    Ok(())
}

/// Makes it a secondary connection: another identity, which does not subscribe.
fn only_publishes(claims: &mut Claims, grant: &mut VideoGrant, suffix: &str) -> Result<(), Refusal> {
    if !grant.may_publish() {
        return Err(Refusal::no_permission());
    }
    grant.can_subscribe = Some(false);
    claims.sub = format!("{}#{suffix}", claims.identity());
    Ok(())
}

fn may_enter(grant: &VideoGrant, house: &House<'_>) -> Result<(), Refusal> {
    if !house.auto_create && !grant.room_create && !house.room_exists {
        return Err(Refusal::no_room());
    }
    if house.is_full {
        return Err(Refusal::node_full());
    }
    Ok(())
}

fn may_change_self(grant: &VideoGrant, wish: &Wish) -> Result<(), Refusal> {
    if wish.changes_self() && !grant.may_update_own_metadata() {
        return Err(Refusal::no_permission());
    }
    Ok(())
}

/// Metadata and attributes of the URL go over those of the token; attributes with empty values are passed over.
fn start(mut claims: Claims, wish: Wish) -> SessionStart {
    if !wish.metadata.is_empty() {
        claims.metadata = wish.metadata;
    }
    claims.attributes.extend(wish.attributes.into_iter().filter(|(_, value)| !value.is_empty()));
    let room = claims.video.as_ref().map(|v| v.room.clone()).unwrap_or_default();
    SessionStart { room, identity: claims.identity().to_owned(), claims, ..wish.start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;

    const DENIED: &str = "no permissions to access the room";

    fn limit() -> Limit {
        Limit { max_participant_identity_length: 8, max_room_name_length: 8, ..Limit::default() }
    }

    fn claims(change: impl FnOnce(&mut Claims, &mut VideoGrant)) -> Option<Claims> {
        let mut grant = VideoGrant { room_join: true, room: "r".into(), ..VideoGrant::default() };
        let mut claims = Claims { sub: "ann".into(), ..Claims::default() };
        change(&mut claims, &mut grant);
        claims.video = Some(grant);
        Some(claims)
    }

    fn good() -> Option<Claims> {
        claims(|_, _| ())
    }

    struct Case {
        claims: Option<Claims>,
        query: &'static str,
        entrance: Entrance,
        auto_create: bool,
        is_full: bool,
    }

    impl Case {
        fn of(claims: Option<Claims>, query: &'static str) -> Case {
            let entrance = Entrance { wants_join_request: false, strict: true };
            Case { claims, query, entrance, auto_create: true, is_full: false }
        }

        fn run(self) -> Result<SessionStart, Refusal> {
            let params = Params::of(&format!("/rtc?{}", self.query).parse().unwrap());
            let room_exists = self.claims.as_ref().and_then(|c| c.video.as_ref()).is_some_and(|v| v.room == "live");
            let arrival = Arrival { claims: self.claims, params: &params, headers: &HeaderMap::new(), peer: None };
            let limit = limit();
            let (auto_create, is_full) = (self.auto_create, self.is_full);
            check(arrival, self.entrance, &House { limit: &limit, auto_create, room_exists, is_full })
        }

        fn refused(self) -> (u16, String) {
            let refusal = self.run().unwrap_err();
            (refusal.status.as_u16(), refusal.text)
        }
    }

    #[test]
    fn refusals_in_their_words() {
        let attributes = "attributes=eyJhIjoiMSJ9"; // {"a":"1"}
        let cases = [
            (Case::of(None, ""), 401, DENIED),
            (Case::of(Some(Claims::default()), ""), 401, DENIED),
            (Case::of(good(), "join_request=*"), 400, "cannot base64 decode wrapped join request"),
            (Case::of(good(), "attributes=*"), 400, "cannot decode attributes"),
            (Case::of(claims(|_, g| g.room_join = false), ""), 401, "permissions denied"),
            (Case::of(claims(|c, _| c.sub.clear()), ""), 400, "identity cannot be empty"),
            (
                Case::of(claims(|c, _| c.sub = "x".repeat(9)), ""),
                400,
                "participant identity length exceeds limits: max length 8",
            ),
            (Case::of(claims(|_, g| g.room.clear()), ""), 400, "no room name"),
            (Case::of(claims(|_, g| g.room = "x".repeat(9)), ""), 400, "room name length exceeds limits: max length 8"),
            (Case::of(claims(|_, g| g.can_publish = Some(false)), "publish=b"), 401, DENIED),
            (Case { auto_create: false, ..Case::of(good(), "") }, 404, "requested room does not exist"),
            (Case { is_full: true, ..Case::of(good(), "") }, 503, "node has exceeded its configured limit"),
            (Case::of(good(), attributes), 401, DENIED),
        ];
        for (case, status, text) in cases {
            assert_eq!(case.refused(), (status, text.to_owned()));
        }
        let v1 = Entrance { wants_join_request: true, strict: false };
        assert_eq!(
            Case { entrance: v1, ..Case::of(good(), "") }.refused(),
            (400, "join_request is required".to_owned())
        );
    }

    /// Each line fails in two ways; the first in the reference's order is told.
    #[test]
    fn the_first_failure_wins() {
        let cases = [
            (Case::of(None, "join_request=*"), DENIED),
            (
                Case::of(claims(|_, g| g.room_join = false), "join_request=*"),
                "cannot base64 decode wrapped join request",
            ),
            (
                Case::of(
                    claims(|c, g| {
                        c.sub.clear();
                        g.room_join = false
                    }),
                    "",
                ),
                "permissions denied",
            ),
            (
                Case::of(
                    claims(|c, g| {
                        c.sub.clear();
                        g.room.clear()
                    }),
                    "",
                ),
                "identity cannot be empty",
            ),
            (
                Case::of(
                    claims(|_, g| {
                        g.can_publish = Some(false);
                        g.room.clear()
                    }),
                    "publish=b",
                ),
                "no room name",
            ),
            (Case { auto_create: false, ..Case::of(claims(|_, g| g.can_publish = Some(false)), "publish=b") }, DENIED),
            (Case { auto_create: false, is_full: true, ..Case::of(good(), "") }, "requested room does not exist"),
        ];
        for (case, text) in cases {
            assert_eq!(case.refused().1, text);
        }
    }

    #[test]
    fn without_auto_create_a_live_room_or_the_grant_to_create_lets_in() {
        for grant in [claims(|_, g| g.room = "live".into()), claims(|_, g| g.room_create = true)] {
            assert!(Case { auto_create: false, ..Case::of(grant, "") }.run().is_ok());
        }
    }

    #[test]
    fn jti_stands_in_for_the_identity() {
        let start = Case::of(
            claims(|c, _| {
                c.sub.clear();
                c.jti = "j".into()
            }),
            "",
        );
        assert_eq!(start.run().unwrap().identity, "j");
    }

    #[test]
    fn a_secondary_connection_gets_a_suffix_and_does_not_subscribe() {
        let start = Case::of(good(), "publish=cam").run().unwrap();
        assert_eq!((start.identity.as_str(), start.claims.identity()), ("ann#cam", "ann#cam"));
        assert_eq!(start.claims.video.unwrap().can_subscribe, Some(false));
    }

    #[test]
    fn attributes_go_over_those_of_the_token() {
        let own = claims(|c, g| {
            g.can_update_own_metadata = Some(true);
            c.attributes = [("a", "0"), ("b", "0")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        });
        let encoded = URL_SAFE.encode(r#"{"a":"1","b":"","c":"2"}"#);
        let query: &'static str = Box::leak(format!("attributes={encoded}").into_boxed_str());
        let merged = Case::of(own, query).run().unwrap().claims.attributes;
        let expected = [("a", "1"), ("b", "0"), ("c", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(merged, expected.into());
    }

    #[test]
    fn undecodable_attributes_are_passed_over_when_joining() {
        let joining = Entrance { wants_join_request: false, strict: false };
        assert!(Case { entrance: joining, ..Case::of(good(), "attributes=*") }.run().is_ok());
        assert_eq!(Case::of(good(), "attributes=*").run().unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
