//! Orders over the bus: `LkopsNode.Order`, our own, on the node's id. Stock nodes do not serve it, so nobody answers.

use super::{Instruction, Order, OrderError, Terms};
use crate::cluster::bus::Bus;
use crate::cluster::call::{Caller, Patience, RpcError};
use crate::cluster::method::ORDER;
use crate::cluster::redis::Redis;
use crate::cluster::serve::Methods;
use crate::cluster::table::Registration;
use crate::proto::psrpc::ErrorCode;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long a node may take to answer; it only changes its mind.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A message may be lost. What an order wants holds when it is given twice, but a drain is cancelled only once.
fn patience(order: Order) -> Patience {
    let attempts = if order == Order::Cancel { 1 } else { 2 };
    Patience { attempts, timeout: ANSWER_TIMEOUT, backoff: Duration::ZERO }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Verb {
    Unknown = 0,
    Drain = 1,
    Cancel = 2,
    Cordon = 3,
    Uncordon = 4,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OrderRequest {
    #[prost(enumeration = "Verb", tag = "1")]
    pub verb: i32,
    /// Milliseconds from now on.
    #[prost(uint64, optional, tag = "2")]
    pub deadline_ms: Option<u64>,
    #[prost(bool, tag = "3")]
    pub moves: bool,
    #[prost(bool, tag = "4")]
    pub stays: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OrderResponse {
    /// What the node is in now, by [`super::Mode::name`].
    #[prost(string, tag = "1")]
    pub mode: String,
}

impl From<Order> for OrderRequest {
    fn from(order: Order) -> OrderRequest {
        let plain = |verb: Verb| OrderRequest { verb: verb.into(), ..OrderRequest::default() };
        match order {
            Order::Drain(Terms { deadline, moves, stays }) => {
                let deadline_ms = deadline.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                OrderRequest { deadline_ms, moves, stays, ..plain(Verb::Drain) }
            }
            Order::Cancel => plain(Verb::Cancel),
            Order::Cordon => plain(Verb::Cordon),
            Order::Uncordon => plain(Verb::Uncordon),
            // Nobody may end a node from elsewhere at once: a drain with a deadline of nothing does it in order.
            Order::End => OrderRequest { deadline_ms: Some(0), ..plain(Verb::Drain) },
        }
    }
}

impl OrderRequest {
    /// `None` for a verb of a later version.
    fn order(&self) -> Option<Order> {
        match self.verb() {
            Verb::Unknown => None,
            Verb::Drain => {
                let deadline = self.deadline_ms.map(Duration::from_millis);
                Some(Order::Drain(Terms { deadline, moves: self.moves, stays: self.stays }))
            }
            Verb::Cancel => Some(Order::Cancel),
            Verb::Cordon => Some(Order::Cordon),
            Verb::Uncordon => Some(Order::Uncordon),
        }
    }
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderFailure {
    /// It is a stock node, or it is dead, or cut off.
    #[error("does not answer")]
    Silent,
    #[error("{0}")]
    Refused(String),
}

/// The side of the operator's tools.
pub struct Operator {
    caller: Caller,
}

impl Operator {
    /// Returns when answers can be heard.
    pub async fn new(redis: Redis) -> Operator {
        let bus = Bus::start(redis);
        let caller = Caller::new(bus.clone());
        bus.all_confirmed().await;
        Operator { caller }
    }

    /// What the node is in after it.
    pub async fn order(&self, node: &str, order: Order) -> Result<String, OrderFailure> {
        let request = OrderRequest::from(order);
        let answer = self.caller.call(&ORDER, &[node], &request, patience(order)).await;
        answer.map(|response| response.mode).map_err(|error| match error.code {
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => OrderFailure::Silent,
            _ => OrderFailure::Refused(error.message),
        })
    }
}

/// The side of the node: its orders go to `desk` as long as the registration is held.
pub fn serve(methods: Methods, node: &str, desk: mpsc::Sender<Instruction>) -> Registration {
    let handler = move |request: OrderRequest| {
        let desk = desk.clone();
        async move { carry_out(&request, &desk).await }
    };
    methods.with(&ORDER, &[node], handler).serve()
}

async fn carry_out(request: &OrderRequest, desk: &mpsc::Sender<Instruction>) -> Result<OrderResponse, RpcError> {
    let unknown = || RpcError::new(ErrorCode::Unimplemented, "does not know this order; it is older than the command");
    let ending = || refused(OrderError::Ended);
    let order = request.order().ok_or_else(unknown)?;
    let (reply, answer) = oneshot::channel();
    desk.try_send(Instruction { order, reply }).map_err(|_| ending())?;
    let result = timeout(ANSWER_TIMEOUT, answer).await.ok().and_then(Result::ok).ok_or_else(ending)?;
    result.map(|mode| OrderResponse { mode: mode.name().to_owned() }).map_err(refused)
}

fn refused(error: OrderError) -> RpcError {
    RpcError::new(ErrorCode::FailedPrecondition, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::drain::Mode;

    #[test]
    fn orders_survive_the_way() {
        let terms = Terms { deadline: Some(Duration::from_millis(1_500)), moves: true, stays: true };
        for order in
            [Order::Drain(terms), Order::Drain(Terms::default()), Order::Cancel, Order::Cordon, Order::Uncordon]
        {
            assert_eq!(OrderRequest::from(order).order(), Some(order));
        }
        assert_eq!(OrderRequest::default().order(), None);
    }

    #[tokio::test]
    async fn refusals_reach_who_asked() {
        let (desk, mut orders) = mpsc::channel(1);
        tokio::spawn(async move {
            for result in [Ok(Mode::Draining), Err(OrderError::NotDraining)] {
                let Instruction { reply, .. } = orders.recv().await.unwrap();
                reply.send(result).unwrap();
            }
        });
        let drain = OrderRequest::from(Order::Drain(Terms::default()));
        assert_eq!(carry_out(&drain, &desk).await.unwrap().mode, "draining");
        let cancel = OrderRequest::from(Order::Cancel);
        let refused = carry_out(&cancel, &desk).await.unwrap_err();
        assert_eq!(refused.message, OrderError::NotDraining.to_string());
        let unknown = carry_out(&OrderRequest::default(), &desk).await.unwrap_err();
        assert_eq!(unknown.code, ErrorCode::Unimplemented);
    }
}
