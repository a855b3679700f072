//! What a connect URL asks for, in either form, before it is held against the token.

use super::params::Params;
use super::refusal::Refusal;
use super::{join_request, query};
use crate::room::session::SessionStart;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Everything but room, identity and claims.
    pub start: SessionStart,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
    /// Suffix of a secondary connection that only publishes; empty for none.
    pub publish: String,
}

/// How a URL is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// `/rtc/v1`: a `join_request` is mandatory.
    pub wants_join_request: bool,
    /// The validate endpoints refuse attributes they cannot decode, the others pass over them.
    pub strict: bool,
}

impl Wish {
    /// `join_request` counts on whichever path it stands (WIRE.md §1.9).
    pub fn read(params: &Params, entrance: Entrance) -> Result<Wish, Refusal> {
        match params.given("join_request") {
            Some(wrapped) => join_request::read(wrapped),
            None if entrance.wants_join_request => Err(Refusal::bad_request("join_request is required")),
            None => query::read(params, entrance.strict),
        }
    }

    /// Wants to change what the token says of its bearer.
    pub fn changes_self(&self) -> bool {
        !self.metadata.is_empty() || !self.attributes.is_empty()
    }
}
