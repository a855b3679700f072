//! Whose room it is (CLUSTER.md §6). `room_node_map` says it to every node; beside it stands an epoch, which each new owner
//! raises, so that of two nodes that believe a room to be theirs one can be told that it is not. Stock nodes know no epochs:
//! what they wrote has none, and counts as newer than anything.

use super::keys;
use super::redis::{Redis, StoreError};
use redis::Script;
use std::sync::LazyLock;

/// What a node holds a room by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// The answer to who has a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The asked-for node, by this epoch.
    Ours(Epoch),
    /// Another; without an epoch if a stock node wrote it.
    Other { node: String, epoch: Option<Epoch> },
}

/// What to do about a room of ours that the store gives to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispute {
    TakeBack,
    GiveUp,
}

/// A dead node holds nothing. Of living ones the newer owner has it; where nobody can tell, the one the others see.
pub fn settle(ours: Epoch, theirs: Option<Epoch>, they_live: bool) -> Dispute {
    match theirs {
        _ if !they_live => Dispute::TakeBack,
        Some(theirs) if theirs < ours => Dispute::TakeBack,
        _ => Dispute::GiveUp,
    }
}

/// `KEYS`: map, epochs. `ARGV`: room, node, the holder that may be replaced (empty: nobody). Gives the room to the node if
/// it is free, the node's already, or that holder's. Answers {epoch, node} of whoever has it then.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local holder = redis.call('HGET', KEYS[1], ARGV[1]) or ''
        local epoch, who = string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '0 ', '^(%d+) (.*)$')
        epoch = tonumber(epoch or '0')
        if holder ~= '' and holder ~= ARGV[2] and holder ~= ARGV[3] then
            return { who == holder and epoch or 0, holder }
        end
        if holder ~= ARGV[2] or who ~= ARGV[2] then
            epoch = epoch + 1
            redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
            redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %s', epoch, ARGV[2]))
        end
        return { epoch, ARGV[2] }",
    )
});

/// `ARGV`: room, node, the epoch it held the room by. Puts back what the store has lost; changes nothing that is another's.
static ASSERT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local holder = redis.call('HGET', KEYS[1], ARGV[1]) or ''
        local epoch, who = string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '0 ', '^(%d+) (.*)$')
        epoch = tonumber(epoch or '0')
        if holder ~= '' and holder ~= ARGV[2] then
            return { who == holder and epoch or 0, holder }
        end
        local ours = math.max(epoch, tonumber(ARGV[3]), 1)
        if holder == '' or who ~= ARGV[2] or epoch ~= ours then
            redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
            redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %s', ours, ARGV[2]))
        end
        return { ours, ARGV[2] }",
    )
});

/// `ARGV`: room, node. Gives the name up if it is the node's; answers 1 then.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local holder = redis.call('HGET', KEYS[1], ARGV[1])
        if holder and holder ~= ARGV[2] then return 0 end
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('HDEL', KEYS[2], ARGV[1])
        return 1",
    )
});

/// Gives the room to `node`, unless it belongs to somebody else than `replaced`.
pub async fn claim(redis: &Redis, room: &str, node: &str, replaced: Option<&str>) -> Result<Owner, StoreError> {
    let mut script = CLAIM.key(keys::ROOM_NODES);
    script.key(keys::ROOM_EPOCHS).arg(room).arg(node).arg(replaced.unwrap_or_default());
    Ok(owner(redis.run(&script).await?, node))
}

pub async fn assert(redis: &Redis, room: &str, node: &str, held: Epoch) -> Result<Owner, StoreError> {
    let mut script = ASSERT.key(keys::ROOM_NODES);
    script.key(keys::ROOM_EPOCHS).arg(room).arg(node).arg(held.0);
    Ok(owner(redis.run(&script).await?, node))
}

/// Whether the room was, or could have been, that node's: its records may then be removed.
pub async fn release(redis: &Redis, room: &str, node: &str) -> Result<bool, StoreError> {
    let mut script = RELEASE.key(keys::ROOM_NODES);
    script.key(keys::ROOM_EPOCHS).arg(room).arg(node);
    redis.run(&script).await
}

fn owner((epoch, holder): (u64, String), node: &str) -> Owner {
    let epoch = Epoch(epoch);
    match holder == node {
        true => Owner::Ours(epoch),
        false => Owner::Other { node: holder, epoch: (epoch.0 > 0).then_some(epoch) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_owners_one_goes() {
        let cases = [
            // A node that slept finds its room given to another: it goes.
            (3, Some(4), true, Dispute::GiveUp),
            // After the store lost everything another began under the name: the older call stays.
            (3, Some(1), true, Dispute::TakeBack),
            (1, Some(1), true, Dispute::GiveUp),
            // A stock node says nothing of epochs.
            (3, None, true, Dispute::GiveUp),
            (3, Some(4), false, Dispute::TakeBack),
            (3, None, false, Dispute::TakeBack),
        ];
        for (ours, theirs, live, expected) in cases {
            assert_eq!(settle(Epoch(ours), theirs.map(Epoch), live), expected, "{ours} {theirs:?} {live}");
        }
    }

    /// Whoever claims, one of the two keeps the room and the other goes, from both points of view.
    #[test]
    fn both_sides_come_to_the_same() {
        for a in 1..5 {
            for b in (1..5).filter(|b| *b != a) {
                let seen_by_a = settle(Epoch(a), Some(Epoch(b)), true);
                let seen_by_b = settle(Epoch(b), Some(Epoch(a)), true);
                assert_ne!(seen_by_a, seen_by_b);
            }
        }
    }
}
