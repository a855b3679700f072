//! Who hears of a changed participant, and when (WIRE.md §9.6). The room pushes each change, flushes every
//! [`FLUSH_INTERVAL`] and passes what comes out through each receiver's [`ReceiverFilter`]. Time is told.

use super::client::Client;
use crate::limits::UPDATE_FILTER_SIDS_MAX;
use crate::proto::ParticipantInfo;
use crate::proto::participant_info::State;
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Changes that can wait are sent this often.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(3);

/// A participant's new state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    pub info: ParticipantInfo,
    /// Its session ended because a newer one of the same identity took over (DUPLICATE_IDENTITY, STALE).
    pub replaced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Audience {
    /// Everyone, the changed participants included.
    Everyone,
    /// Only the participant of that sid.
    Only(String),
}

/// Changes to be sent now, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Broadcast {
    pub audience: Audience,
    pub changes: Vec<Change>,
}

impl Broadcast {
    /// What one client is to see of it: newer ones tell sessions apart and need no DISCONNECTED of a replaced one.
    pub fn infos_for(&self, client: &Client) -> Vec<ParticipantInfo> {
        let seen = self.changes.iter().filter(|change| !(change.replaced && client.tells_sessions_apart()));
        seen.map(|change| change.info.clone()).collect()
    }

    pub fn is_for(&self, participant_sid: &str) -> bool {
        match &self.audience {
            Audience::Everyone => true,
            Audience::Only(sid) => sid == participant_sid,
        }
    }
}

/// The changes of one room that wait for the next flush, the last of each identity.
#[derive(Debug, Default)]
pub struct Updates {
    waiting: BTreeMap<String, Change>,
}

impl Updates {
    /// Takes a change in. `immediate`: it cannot wait (metadata, name, attributes, permission). `skip_source`: the
    /// participant itself knows (state changes, its own publishing). `current` is the room's participant of that identity,
    /// if it is another session.
    pub fn push(
        &mut self,
        change: Change,
        immediate: bool,
        skip_source: bool,
        current: Option<&ParticipantInfo>,
    ) -> Option<Broadcast> {
        let to_self = (!skip_source).then(|| only(&change));
        let to_all = if is_hidden(&change.info) { Vec::new() } else { self.queue(change, immediate, current) };
        everyone(to_all).or(to_self)
    }

    /// What has waited, for everyone.
    pub fn flush(&mut self) -> Option<Broadcast> {
        everyone(std::mem::take(&mut self.waiting).into_values().collect())
    }

    /// Returns what must be sent at once; the rest waits.
    fn queue(&mut self, change: Change, immediate: bool, current: Option<&ParticipantInfo>) -> Vec<Change> {
        let mut out = Vec::new();
        match self.former(&change.info, current) {
            Former::None => {}
            Former::Newer => return out,
            Former::Older(former) => out.push(ended(*former)),
        }
        if immediate || change.info.is_publisher || !out.is_empty() {
            self.waiting.remove(&change.info.identity);
            out.push(change);
        } else {
            self.waiting.insert(change.info.identity.clone(), change);
        }
        out
    }

    /// What others know, or are about to know, of that identity, compared with the change.
    fn former(&self, info: &ParticipantInfo, current: Option<&ParticipantInfo>) -> Former {
        let waiting = self.waiting.get(&info.identity).map(|change| &change.info);
        match waiting.or(current) {
            None => Former::None,
            Some(known) if known.sid == info.sid && info.version < known.version => Former::Newer,
            Some(known) if known.sid == info.sid => Former::None,
            Some(known) if is_older(known, info) => Former::Older(Box::new(known.clone())),
            Some(_) => Former::Newer,
        }
    }
}

enum Former {
    None,
    /// The change is out of date.
    Newer,
    /// Another session, which the changed one took over from.
    Older(Box<ParticipantInfo>),
}

fn everyone(changes: Vec<Change>) -> Option<Broadcast> {
    (!changes.is_empty()).then_some(Broadcast { audience: Audience::Everyone, changes })
}

fn only(change: &Change) -> Broadcast {
    Broadcast { audience: Audience::Only(change.info.sid.clone()), changes: vec![change.clone()] }
}

fn ended(former: ParticipantInfo) -> Change {
    Change { info: ParticipantInfo { state: State::Disconnected as i32, ..former }, replaced: true }
}

fn is_older(a: &ParticipantInfo, b: &ParticipantInfo) -> bool {
    (a.joined_at, a.joined_at_ms, a.version) < (b.joined_at, b.joined_at_ms, b.version)
}

fn is_hidden(info: &ParticipantInfo) -> bool {
    info.permission.as_ref().is_some_and(|p| p.hidden)
}

/// What one receiver was last sent of each participant, for the latest few.
#[derive(Debug, Default)]
pub struct ReceiverFilter {
    sent: HashMap<String, Sent>,
    uses: u64,
}

#[derive(Debug)]
struct Sent {
    identity: String,
    version: u32,
    state: i32,
    reason: i32,
    at: Instant,
    last_use: u64,
}

impl ReceiverFilter {
    /// What of `infos` is news to the receiver, which is `self_sid`; a hidden participant is shown to itself only.
    pub fn take(&mut self, self_sid: &str, infos: Vec<ParticipantInfo>, now: Instant) -> Vec<ParticipantInfo> {
        infos.into_iter().filter(|info| self.is_news(self_sid, info, now)).collect()
    }

    /// Those reported gone since `since`, for a client that resumes and may have missed it; in brief.
    pub fn gone_since(&self, since: Instant) -> Vec<ParticipantInfo> {
        let gone = |s: &Sent| s.state == State::Disconnected as i32 && s.at >= since;
        self.sent.iter().filter(|(_, sent)| gone(sent)).map(|(sid, sent)| sent.brief(sid)).collect()
    }

    fn is_news(&mut self, self_sid: &str, info: &ParticipantInfo, now: Instant) -> bool {
        let is_stale = self.sent.get(&info.sid).is_some_and(|sent| info.version < sent.version);
        if is_stale || (is_hidden(info) && info.sid != self_sid) {
            return false;
        }
        self.remember(info, now);
        true
    }

    fn remember(&mut self, info: &ParticipantInfo, now: Instant) {
        if self.sent.len() >= UPDATE_FILTER_SIDS_MAX && !self.sent.contains_key(&info.sid) {
            self.forget_oldest();
        }
        self.uses += 1;
        let sent = Sent {
            identity: info.identity.clone(),
            version: info.version,
            state: info.state,
            reason: info.disconnect_reason,
            at: now,
            last_use: self.uses,
        };
        self.sent.insert(info.sid.clone(), sent);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.sent.iter().min_by_key(|(_, sent)| sent.last_use).map(|(sid, _)| sid.clone());
        oldest.and_then(|sid| self.sent.remove(&sid));
    }
}

impl Sent {
    fn brief(&self, sid: &str) -> ParticipantInfo {
        ParticipantInfo {
            sid: sid.to_owned(),
            identity: self.identity.clone(),
            state: self.state,
            version: self.version,
            disconnect_reason: self.reason,
            ..ParticipantInfo::default()
        }
    }
}

/// Splits a list so that each part stays below `target_bytes` encoded, one participant at least; 0 does not split.
pub fn chunks(infos: Vec<ParticipantInfo>, target_bytes: usize) -> Vec<Vec<ParticipantInfo>> {
    let mut parts: Vec<Vec<ParticipantInfo>> = Vec::new();
    let mut filled = 0;
    for info in infos {
        let size = info.encoded_len();
        match parts.last_mut() {
            Some(part) if target_bytes == 0 || filled + size <= target_bytes => part.push(info),
            _ => {
                parts.push(vec![info]);
                filled = 0;
            }
        }
        filled += size;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ClientInfo, ParticipantPermission};

    /// Any instant will do: only differences count.
    #[allow(clippy::disallowed_methods)]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn info(identity: &str, sid: &str, version: u32) -> ParticipantInfo {
        ParticipantInfo { identity: identity.into(), sid: sid.into(), version, ..Default::default() }
    }

    fn change(info: ParticipantInfo) -> Change {
        Change { info, replaced: false }
    }

    fn hidden(info: ParticipantInfo) -> ParticipantInfo {
        ParticipantInfo { permission: Some(ParticipantPermission { hidden: true, ..Default::default() }), ..info }
    }

    fn client(protocol: i32) -> Client {
        Client(ClientInfo { protocol, ..Default::default() })
    }

    #[test]
    fn who_hears_at_once() {
        let viewer = info("ann", "PA_1", 1);
        let publisher = ParticipantInfo { is_publisher: true, ..viewer.clone() };
        let only = || Some(Audience::Only("PA_1".into()));
        let all = || Some(Audience::Everyone);
        // info, immediate, skip source; who hears now, whether it waits
        let cases = [
            (viewer.clone(), false, true, None, true),
            (viewer.clone(), false, false, only(), true),
            (viewer.clone(), true, false, all(), false),
            (viewer.clone(), true, true, all(), false),
            (publisher.clone(), false, true, all(), false),
            (hidden(viewer.clone()), true, false, only(), false),
            (hidden(publisher), true, true, None, false),
        ];
        for (info, immediate, skip, expected, waits) in cases {
            let mut updates = Updates::default();
            let out = updates.push(change(info.clone()), immediate, skip, None);
            assert_eq!(out.map(|b| b.audience), expected, "{info:?} {immediate} {skip}");
            assert_eq!(updates.flush().is_some(), waits, "{info:?} {immediate} {skip}");
        }
    }

    #[test]
    fn the_last_version_waits() {
        let mut updates = Updates::default();
        for version in [1, 3, 2] {
            assert_eq!(updates.push(change(info("ann", "PA_1", version)), false, true, None), None);
        }
        updates.push(change(info("bob", "PA_2", 1)), false, true, None);
        let flushed = updates.flush().unwrap();
        let versions: Vec<_> = flushed.changes.iter().map(|c| (c.info.sid.as_str(), c.info.version)).collect();
        assert_eq!(versions, [("PA_1", 3), ("PA_2", 1)]);
        assert_eq!(updates.flush(), None);
    }

    #[test]
    fn an_immediate_change_takes_the_waiting_ones_place() {
        let mut updates = Updates::default();
        updates.push(change(info("ann", "PA_1", 1)), false, true, None);
        assert_eq!(updates.push(change(info("ann", "PA_1", 2)), true, true, None).unwrap().changes[0].info.version, 2);
        assert_eq!(updates.flush(), None);
    }

    fn joined(sid: &str, at: i64) -> ParticipantInfo {
        ParticipantInfo { joined_at: at, ..info("ann", sid, 1) }
    }

    #[test]
    fn a_new_session_ends_the_old_one_for_old_clients() {
        for waiting in [true, false] {
            let mut updates = Updates::default();
            let old = joined("PA_old", 1);
            if waiting {
                updates.push(change(old.clone()), false, true, None);
            }
            let out = updates.push(change(joined("PA_new", 2)), false, true, (!waiting).then_some(&old)).unwrap();
            let seen = |protocol| -> Vec<_> {
                out.infos_for(&client(protocol)).into_iter().map(|i| (i.sid.clone(), i.state())).collect()
            };
            let new = ("PA_new".to_owned(), State::Joining);
            assert_eq!(seen(11), [("PA_old".to_owned(), State::Disconnected), new.clone()], "waiting: {waiting}");
            assert_eq!(seen(12), [new], "waiting: {waiting}");
            assert_eq!(updates.flush(), None);
        }
    }

    #[test]
    fn a_late_change_of_the_old_session_is_dropped() {
        let mut updates = Updates::default();
        let new = joined("PA_new", 2);
        assert_eq!(updates.push(change(joined("PA_old", 1)), true, true, Some(&new)), None);
        updates.push(change(new), false, true, None);
        assert_eq!(updates.push(change(joined("PA_old", 1)), true, true, None), None);
        assert_eq!(updates.flush().unwrap().changes.len(), 1);
    }

    #[test]
    fn a_replaced_session_is_announced_to_old_clients_only() {
        let gone = Change { info: info("ann", "PA_1", 1), replaced: true };
        let out = Updates::default().push(gone, true, true, None).unwrap();
        assert_eq!((out.infos_for(&client(11)).len(), out.infos_for(&client(12)).len()), (1, 0));
    }

    #[test]
    fn stale_versions_and_hidden_participants_are_filtered() {
        let now = epoch();
        let mut filter = ReceiverFilter::default();
        let mut take = |info: ParticipantInfo| !filter.take("PA_me", vec![info], now).is_empty();
        assert!(take(info("ann", "PA_1", 5)));
        assert!(take(info("ann", "PA_1", 5)));
        assert!(!take(info("ann", "PA_1", 4)));
        assert!(take(info("ann", "PA_2", 4)));
        assert!(!take(hidden(info("spy", "PA_3", 1))));
        assert!(take(hidden(info("me", "PA_me", 1))));
    }

    #[test]
    fn the_filter_forgets_the_least_recent() {
        let now = epoch();
        let mut filter = ReceiverFilter::default();
        let mut take =
            |sid: usize, version| !filter.take("", vec![info("x", &sid.to_string(), version)], now).is_empty();
        for sid in 0..UPDATE_FILTER_SIDS_MAX {
            take(sid, 9);
        }
        take(0, 9);
        take(UPDATE_FILTER_SIDS_MAX, 9);
        assert!(!take(0, 1), "used lately");
        assert!(take(1, 1), "forgotten");
        assert_eq!(filter.sent.len(), UPDATE_FILTER_SIDS_MAX);
    }

    #[test]
    fn a_resuming_client_learns_who_left() {
        let start = epoch();
        let mut filter = ReceiverFilter::default();
        let gone = |sid: &str| ParticipantInfo {
            state: State::Disconnected as i32,
            disconnect_reason: 4,
            metadata: "m".into(),
            ..info("x", sid, 2)
        };
        filter.take("", vec![gone("PA_1")], start);
        filter.take("", vec![gone("PA_2"), info("y", "PA_3", 1)], start + FLUSH_INTERVAL);
        let since = filter.gone_since(start + Duration::from_secs(1));
        assert_eq!(since, [ParticipantInfo { metadata: String::new(), ..gone("PA_2") }]);
    }

    #[test]
    fn chunks_keep_order_and_size() {
        let infos: Vec<_> =
            (0..5).map(|i| ParticipantInfo { metadata: "x".repeat(96), ..info("", &i.to_string(), 0) }).collect();
        let size = infos[0].encoded_len();
        let cases =
            [(0, vec![5]), (1, vec![1; 5]), (size * 2, vec![2, 2, 1]), (size * 2 - 1, vec![1; 5]), (size * 9, vec![5])];
        for (target, expected) in cases {
            let parts = chunks(infos.clone(), target);
            assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{target}");
            assert_eq!(parts.concat(), infos);
        }
        assert!(chunks(vec![], 10).is_empty());
    }
}
