//! One session's requests as a stream of the room's loop: each request under its session's key, and once `None` at the end.

use crate::proto::SignalRequest;
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// One signal connection of one participant; a resume brings a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey(pub u64);

pub struct Incoming {
    session: SessionKey,
    requests: Option<mpsc::Receiver<SignalRequest>>,
}

impl Incoming {
    pub fn new(session: SessionKey, requests: mpsc::Receiver<SignalRequest>) -> Incoming {
        Incoming { session, requests: Some(requests) }
    }
}

impl Stream for Incoming {
    type Item = (SessionKey, Option<SignalRequest>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(requests) = &mut self.requests else {
            return Poll::Ready(None);
        };
        let request = ready!(requests.poll_recv(cx));
        if request.is_none() {
            self.requests = None;
        }
        Poll::Ready(Some((self.session, request)))
    }
}
