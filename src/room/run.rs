//! The task of a room: one loop over its mailbox, its people's requests, its shard's events and its clock. The only
//! writer of the room's state.

use super::close::CloseReason;
use super::incoming::Incoming;
use super::session::{OpenError, Session, SessionStart};
use super::state::Room;
use crate::limits::{ROOM_EVENTS_MAX, ROOM_MAILBOX_MAX};
use crate::shard::Event;
use futures_util::stream::SelectAll;
use futures_util::{FutureExt, StreamExt};
use std::panic::AssertUnwindSafe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, error, info_span};

/// What reaches a room from the directory.
pub enum Call {
    Open(Box<SessionStart>, oneshot::Sender<Result<Session, OpenError>>),
    Ask(Box<dyn FnOnce(&mut Room) + Send>),
}

/// Requests waiting from one session; its socket is not read meanwhile.
pub(super) const REQUESTS_MAX: usize = 64;

pub type Mailbox = mpsc::Sender<Call>;

/// Starts a room. `open` is given the sender its peers' events go to.
pub fn spawn(open: impl FnOnce(mpsc::Sender<Event>) -> Room) -> Mailbox {
    let (mailbox, calls) = mpsc::channel(ROOM_MAILBOX_MAX);
    let (sender, events) = mpsc::channel(ROOM_EVENTS_MAX);
    let room = open(sender);
    let span = info_span!(parent: None, "room", room = room.name(), sid = room.sid());
    tokio::spawn(guard(room, calls, events).instrument(span));
    mailbox
}

/// A room that panics ends, and only that room: its people are told to reconnect.
async fn guard(mut room: Room, calls: mpsc::Receiver<Call>, events: mpsc::Receiver<Event>) {
    let done = AssertUnwindSafe(run(&mut room, calls, events)).catch_unwind().await;
    if done.is_err() {
        error!("the room failed and is closed; its participants are told to reconnect");
        room.close(CloseReason::Fault);
    }
}

async fn run(room: &mut Room, mut calls: mpsc::Receiver<Call>, mut events: mpsc::Receiver<Event>) {
    let mut requests: SelectAll<Incoming> = SelectAll::new();
    while !room.is_closed() {
        let wake = room.wake_at();
        tokio::select! {
            Some(call) = calls.recv() => handle_call(room, call),
            Some(event) = events.recv() => room.handle_event(event),
            Some((session, request)) = requests.next(), if !requests.is_empty() => {
                room.handle_request(session, request);
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => room.handle_time(Instant::now()),
        }
        requests.extend(room.poll_incoming());
    }
}

fn handle_call(room: &mut Room, call: Call) {
    match call {
        // The caller may have gone meanwhile; its dropped queues then end the session.
        Call::Open(start, reply) => drop(reply.send(room.open(*start))),
        Call::Ask(question) => question(room),
    }
}
