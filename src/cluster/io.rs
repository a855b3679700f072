//! What workers ask of the servers: the service IOInfo (CLUSTER.md §2.1, §2.4). Any node may answer, because all have the same
//! store; the node that answers also raises the events. Servers use the same code in process for what they store themselves.

mod egress;
mod event;
mod ingress;
mod sip;

pub use event::{Event, Events};

use super::call::RpcError;
use super::method::{self, Method};
use super::redis::{Redis, StoreError};
use super::serve::Methods;
use super::store::Store;
use super::table::Registration;
use crate::proto::psrpc::ErrorCode;
use prost::Message;
use std::sync::{Arc, OnceLock};

pub struct IoInfo {
    redis: Redis,
    store: Store,
    events: OnceLock<Events>,
}

impl IoInfo {
    pub fn new(redis: Redis) -> IoInfo {
        IoInfo { store: Store::new(redis.clone()), redis, events: OnceLock::new() }
    }

    /// Who is told of events from now on. The first one stays.
    pub fn tell(&self, events: Events) {
        let _ = self.events.set(events);
    }

    fn raise(&self, event: Event) {
        tracing::info!(event = event.name(), id = event.id(), "egress or ingress");
        if let Some(events) = self.events.get() {
            events(event);
        }
    }

    /// The whole service: a node that serves a part would swallow requests for the rest.
    pub fn serve(self: &Arc<Self>, methods: Methods) -> Registration {
        let methods = self.serve_ingress(self.serve_egress(methods));
        method::SIP_INFO.iter().fold(methods, |methods, service| self.serve_sip(methods, service)).serve()
    }

    fn serve_egress(self: &Arc<Self>, methods: Methods) -> Methods {
        let methods =
            self.with(methods, &method::CREATE_EGRESS, |io, info| async move { io.create_egress(info).await });
        let methods =
            self.with(methods, &method::UPDATE_EGRESS, |io, info| async move { io.update_egress(info).await });
        let methods = self.with(methods, &method::GET_EGRESS, |io, ask| async move { io.egress(&ask.egress_id).await });
        let methods = self.with(methods, &method::LIST_EGRESS, |io, ask| async move { io.list_egress(&ask).await });
        self.with(methods, &method::UPDATE_METRICS, |io, report| async move { io.update_metrics(&report) })
    }

    fn serve_ingress(self: &Arc<Self>, methods: Methods) -> Methods {
        let methods =
            self.with(methods, &method::CREATE_INGRESS, |io, info| async move { io.create_ingress(info).await });
        let methods =
            self.with(methods, &method::GET_INGRESS_INFO, |io, ask| async move { io.ingress_info(&ask).await });
        self.with(
            methods,
            &method::UPDATE_INGRESS_STATE,
            |io, update| async move { io.update_ingress_state(update).await },
        )
    }

    fn serve_sip(self: &Arc<Self>, methods: Methods, service: &method::SipInfo) -> Methods {
        let methods = self.with(methods, &service.trunk_authentication, |io, ask| async move {
            io.sip_trunk_authentication(&ask).await
        });
        let methods =
            self.with(
                methods,
                &service.dispatch_rules,
                |io, ask| async move { io.evaluate_sip_dispatch_rules(&ask).await },
            );
        // The reference keeps neither.
        methods
            .with(&service.call_state, &[], |_| async { Ok(()) })
            .with(&service.call_context, &[], |_| async { Ok(()) })
    }

    fn with<Req, Res, Fut>(
        self: &Arc<Self>,
        methods: Methods,
        method: &Method<Req, Res>,
        answer: impl Fn(Arc<IoInfo>, Req) -> Fut + Send + Sync + 'static,
    ) -> Methods
    where
        Req: Message + Default + 'static,
        Res: Message,
        Fut: Future<Output = Result<Res, RpcError>> + Send + 'static,
    {
        let io = self.clone();
        methods.with(method, &[], move |request| answer(io.clone(), request))
    }
}

/// As the reference sends errors of its store: without a code.
impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> RpcError {
        RpcError::new(ErrorCode::Unknown, error.to_string())
    }
}
