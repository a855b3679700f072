//! What is worth telling others of recordings and ingress: what webhooks are made of.

use crate::proto::{EgressInfo, IngressInfo};
use std::sync::Arc;

/// Told on the task that answers the worker: may hand over, not wait.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    EgressStarted(EgressInfo),
    EgressUpdated(EgressInfo),
    EgressEnded(EgressInfo),
    IngressCreated(IngressInfo),
    IngressStarted(IngressInfo),
    IngressUpdated(IngressInfo),
    IngressEnded(IngressInfo),
}

impl Event {
    /// As webhooks call it; a created ingress has none.
    pub fn name(&self) -> &'static str {
        match self {
            Event::EgressStarted(_) => "egress_started",
            Event::EgressUpdated(_) => "egress_updated",
            Event::EgressEnded(_) => "egress_ended",
            Event::IngressCreated(_) => "ingress_created",
            Event::IngressStarted(_) => "ingress_started",
            Event::IngressUpdated(_) => "ingress_updated",
            Event::IngressEnded(_) => "ingress_ended",
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Event::EgressStarted(info) | Event::EgressUpdated(info) | Event::EgressEnded(info) => &info.egress_id,
            Event::IngressCreated(info)
            | Event::IngressStarted(info)
            | Event::IngressUpdated(info)
            | Event::IngressEnded(info) => &info.ingress_id,
        }
    }
}
