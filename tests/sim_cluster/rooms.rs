//! The rooms of one simulated node: who is in them, and what `cluster` is to know of that. Media is a list that people and
//! rooms share: it flows whatever becomes of Redis.

use futures_util::future::BoxFuture;
use lkops::cluster::{Hosted, Member, Record, Registration, method};
use lkops::proto::{DeleteRoomResponse, LeaveRequest, ParticipantInfo, Room, SignalResponse, signal_response::Message};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};

/// A room without people ends after so long.
const EMPTY: Duration = Duration::from_secs(2);

/// Without media for so long, either side takes the other for gone.
pub const MEDIA_TIMEOUT: Duration = Duration::from_secs(15);

/// Media between people and rooms, by session.
#[derive(Default)]
pub struct Air {
    /// What each person sends by.
    pub people: Mutex<BTreeMap<String, String>>,
    /// What rooms receive.
    pub rooms: Mutex<BTreeSet<String>>,
}

pub struct Rooms {
    state: Mutex<State>,
    news: Notify,
    pub people: watch::Sender<usize>,
    air: Arc<Air>,
    member: Weak<Member>,
    /// Calls on each room, as far as a simulation has any: that somebody listens shows that the room is here.
    served: Mutex<BTreeMap<String, Registration>>,
}

#[derive(Default)]
struct State {
    rooms: BTreeMap<String, One>,
    changed: BTreeSet<String>,
}

struct One {
    sid: String,
    people: BTreeMap<String, Seat>,
    empty_since: Instant,
}

struct Seat {
    session: String,
    to: mpsc::Sender<SignalResponse>,
    heard: Instant,
}

fn leave() -> SignalResponse {
    SignalResponse { message: Some(Message::Leave(LeaveRequest::default())) }
}

impl Rooms {
    pub fn new(air: Arc<Air>, member: &Arc<Member>) -> Arc<Rooms> {
        let people = watch::Sender::new(0);
        let rooms = Arc::new(Rooms {
            state: Mutex::default(),
            news: Notify::new(),
            people,
            air,
            member: Arc::downgrade(member),
            served: Mutex::default(),
        });
        tokio::spawn(watch_over(Arc::downgrade(&rooms)));
        rooms
    }

    pub fn has(&self, room: &str) -> bool {
        self.lock().rooms.contains_key(room)
    }

    /// Nobody may come.
    pub fn begin(&self, room: &str) {
        let mut state = self.lock();
        let one = || One { sid: format!("RM_{room}"), people: BTreeMap::new(), empty_since: Instant::now() };
        state.rooms.entry(room.to_owned()).or_insert_with(one);
        self.note(state, room);
    }

    /// Somebody of the same name goes.
    pub fn enter(&self, room: &str, identity: &str, session: &str) -> mpsc::Receiver<SignalResponse> {
        let (to, responses) = mpsc::channel(16);
        let _ = to.try_send(SignalResponse { message: Some(Message::Pong(1)) });
        let mut state = self.lock();
        let (now, sid) = (Instant::now(), format!("RM_{room}"));
        let one = state.rooms.entry(room.to_owned()).or_insert(One { sid, people: BTreeMap::new(), empty_since: now });
        let seat = Seat { session: session.to_owned(), to, heard: now };
        if let Some(old) = one.people.insert(identity.to_owned(), seat) {
            let _ = old.to.try_send(leave());
            self.air.rooms.lock().unwrap().remove(&old.session);
        }
        self.air.rooms.lock().unwrap().insert(session.to_owned());
        self.note(state, room);
        responses
    }

    pub fn exit(&self, room: &str, identity: &str, session: &str) {
        let mut state = self.lock();
        let Some(one) = state.rooms.get_mut(room) else { return };
        if one.people.get(identity).is_some_and(|seat| seat.session == session) {
            one.people.remove(identity);
            one.empty_since = Instant::now();
            self.air.rooms.lock().unwrap().remove(session);
            self.note(state, room);
        }
    }

    fn close(&self, room: &str) {
        let mut state = self.lock();
        let Some(one) = state.rooms.remove(room) else { return };
        for seat in one.people.into_values() {
            let _ = seat.to.try_send(leave());
            self.air.rooms.lock().unwrap().remove(&seat.session);
        }
        self.note(state, room);
    }

    pub fn close_all(&self) {
        let names: Vec<String> = self.lock().rooms.keys().cloned().collect();
        names.iter().for_each(|room| self.close(room));
    }

    /// Rooms and how many are in them.
    pub fn holders(&self) -> Vec<(String, usize)> {
        self.lock().rooms.iter().map(|(name, one)| (name.clone(), one.people.len())).collect()
    }

    /// Who is in which room by which session.
    pub fn seats(&self) -> Vec<(String, String, String)> {
        let state = self.lock();
        let seats =
            state.rooms.iter().flat_map(|(room, one)| one.people.iter().map(move |(who, seat)| (room, who, seat)));
        seats.map(|(room, who, seat)| (room.clone(), who.clone(), seat.session.clone())).collect()
    }

    fn note(&self, mut state: MutexGuard<'_, State>, room: &str) {
        state.changed.insert(room.to_owned());
        let people = state.rooms.values().map(|one| one.people.len()).sum();
        drop(state);
        self.people.send_replace(people);
        self.news.notify_one();
    }

    /// Who sends nothing any more goes, and so does a room with nobody in it.
    fn look_after(&self) {
        let (now, mut gone, mut empty) = (Instant::now(), Vec::new(), Vec::new());
        let people = self.air.people.lock().unwrap();
        for (room, one) in &mut self.lock().rooms {
            for (identity, seat) in &mut one.people {
                if people.get(identity) == Some(&seat.session) {
                    seat.heard = now;
                } else if now - seat.heard > MEDIA_TIMEOUT {
                    gone.push((room.clone(), identity.clone(), seat.session.clone()));
                }
            }
            if one.people.is_empty() && now - one.empty_since > EMPTY {
                empty.push(room.clone());
            }
        }
        drop(people);
        gone.iter().for_each(|(room, identity, session)| self.exit(room, identity, session));
        empty.iter().for_each(|room| self.close(room));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn watch_over(rooms: Weak<Rooms>) {
    loop {
        sleep(Duration::from_millis(500)).await;
        let Some(rooms) = rooms.upgrade() else { return };
        rooms.look_after();
    }
}

impl Hosted for Rooms {
    fn rooms(&self) -> Vec<String> {
        self.lock().rooms.keys().cloned().collect()
    }

    fn record(&self, room: &str) -> Option<Record> {
        let state = self.lock();
        let one = state.rooms.get(room)?;
        let info = |identity: &String| ParticipantInfo { identity: identity.clone(), ..ParticipantInfo::default() };
        let num_participants = one.people.len() as u32;
        Some(Record {
            room: Room { name: room.to_owned(), sid: one.sid.clone(), num_participants, ..Room::default() },
            participants: one.people.keys().map(info).collect(),
            ..Record::default()
        })
    }

    fn take_changed(&self) -> Vec<String> {
        let changed: Vec<String> = std::mem::take(&mut self.lock().changed).into_iter().collect();
        let Some(member) = self.member.upgrade() else { return changed };
        for room in &changed {
            let mut served = self.served.lock().unwrap();
            if self.has(room) {
                let delete = |_| async { Ok(DeleteRoomResponse {}) };
                let serve = || member.methods().with(&method::DELETE_ROOM, &[room], delete).serve();
                served.entry(room.clone()).or_insert_with(serve);
            } else {
                served.remove(room);
            }
        }
        changed
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.lock().changed.is_empty() {
                self.news.notified().await;
            }
        })
    }

    fn settled(&self, _room: &str) {}

    fn give_up<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async { self.close(room) })
    }
}
