//! Who arrives when. Arrivals are open-loop: their times depend on the rate alone, never on how the server copes, so a slow
//! server is not spared load and its delays are not hidden. Called by `swarm`; pure.

use super::shape::{People, Shape, ShapeError, Traits};
use std::sync::Arc;
use std::time::Duration;

/// One who is to arrive.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Since the start.
    pub at: Duration,
    /// Index into [`Schedule::rooms`].
    pub room: usize,
    pub identity: String,
    pub people: People,
    pub traits: Arc<Traits>,
    /// Place among the people of the room, and how many these are.
    pub seat: u32,
    pub seats: u32,
    /// Media tracks to expect once all are there.
    pub expects: u64,
}

/// All who are to arrive, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    pub rooms: Vec<String>,
    pub arrivals: Vec<Arrival>,
}

/// How rooms and people are named.
#[derive(Clone, Debug)]
pub struct Names {
    /// Several rooms are numbered.
    pub room: String,
    pub identity_prefix: String,
}

impl Schedule {
    /// So many arrive each second, those who publish first, the rooms in turn.
    pub fn new(shape: &Shape, per_second: f64, names: &Names) -> Result<Schedule, ShapeError> {
        shape.check()?;
        let several = shape.rooms() > 1;
        let (mut schedule, mut seated) = (Schedule::default(), Vec::new());
        for (number, group) in shape.groups.iter().enumerate() {
            let traits = Arc::new(group.traits.clone());
            for _ in 0..group.rooms {
                let index = schedule.rooms.len();
                schedule.rooms.push(if several { format!("{}-{index}", names.room) } else { names.room.clone() });
                let mut arrivals = Vec::new();
                seat(&mut arrivals, group, &traits, index, names);
                seated.extend(arrivals.into_iter().map(|arrival| (number, arrival)));
            }
        }
        let mut all: Vec<(usize, Arrival)> = seated.into_iter().collect();
        all.sort_by_key(|(_, a)| (!a.people.publishes(), a.seat));
        let mut counts = vec![0u32; shape.groups.len() + 1];
        for (group, arrival) in &mut all {
            // Groups without a rate of their own share one count, the last.
            let own = &shape.groups[*group];
            let count = if own.per_second.is_some() || !own.start.is_zero() { *group } else { shape.groups.len() };
            let rate = own.per_second.unwrap_or(per_second);
            arrival.at = own.start + Duration::from_secs_f64(f64::from(counts[count]) / rate);
            counts[count] += 1;
        }
        all.sort_by_key(|(_, a)| a.at);
        schedule.arrivals = all.into_iter().map(|(_, arrival)| arrival).collect();
        Ok(schedule)
    }

    /// The same rooms with every `of`-th arrival from the `index`-th on.
    pub fn part(&self, index: usize, of: usize) -> Schedule {
        let arrivals = self.arrivals.iter().skip(index).step_by(of.max(1)).cloned().collect();
        Schedule { rooms: self.rooms.clone(), arrivals }
    }

    /// When the last one arrives.
    pub fn ramp(&self) -> Duration {
        self.arrivals.last().map_or(Duration::ZERO, |a| a.at)
    }
}

fn seat(arrivals: &mut Vec<Arrival>, group: &super::shape::Group, traits: &Arc<Traits>, room: usize, names: &Names) {
    let each = group.people.iter().flat_map(|people| (0..people.count).map(move |_| *people));
    let seats = u32::try_from(group.size()).unwrap_or(u32::MAX);
    for (people, seat) in each.zip(0u32..) {
        let kind = if people.publishes() { "pub" } else { "sub" };
        arrivals.push(Arrival {
            at: Duration::ZERO,
            room,
            identity: format!("{}_{kind}_{room}_{seat}", names.identity_prefix),
            people,
            traits: traits.clone(),
            seat,
            seats,
            expects: expected(group, &people),
        });
    }
}

/// Tracks one of these people is sent.
fn expected(group: &super::shape::Group, people: &People) -> u64 {
    if !people.subscribes || people.count == 0 {
        return 0;
    }
    let alone = super::shape::Group {
        people: group.people.iter().map(|p| People { subscribes: p.subscribes && p == people, ..*p }).collect(),
        ..group.clone()
    };
    let same: u64 = group.people.iter().filter(|p| *p == people).map(|p| u64::from(p.count)).sum();
    alone.tracks().subscribed() / same.max(1)
}

#[cfg(test)]
mod tests {
    use super::super::language::parse;
    use super::*;

    fn schedule(text: &str, per_second: f64) -> Schedule {
        let names = Names { room: "r".into(), identity_prefix: "x".into() };
        Schedule::new(&parse(text, &Traits::default()).unwrap(), per_second, &names).unwrap()
    }

    #[test]
    fn arrivals_keep_their_rate_and_publishers_come_first() {
        let all = schedule("(1v,3s)", 2.0);
        let times: Vec<_> = all.arrivals.iter().map(|a| a.at.as_millis()).collect();
        assert_eq!(times, [0, 500, 1000, 1500]);
        assert_eq!(all.arrivals[0].identity, "x_pub_0_0");
        assert_eq!((all.ramp().as_millis(), &all.rooms[..]), (1500, &["r".to_owned()][..]));
    }

    #[test]
    fn groups_may_have_a_start_and_a_rate_of_their_own() {
        let mut shape = parse("(2av) + (2av) + (1av)", &Traits::default()).unwrap();
        shape.groups[1].start = Duration::from_secs(10);
        shape.groups[1].per_second = Some(4.0);
        let names = Names { room: "r".into(), identity_prefix: "x".into() };
        let all = Schedule::new(&shape, 1.0, &names).unwrap();
        let times: Vec<_> = all.arrivals.iter().map(|a| (a.at.as_millis(), a.room)).collect();
        assert_eq!(times, [(0, 0), (1000, 2), (2000, 0), (10_000, 1), (10_250, 1)]);
    }

    #[test]
    fn rooms_fill_in_turn_and_are_numbered() {
        let all = schedule("2x(2av)", 1.0);
        assert_eq!(all.rooms, ["r-0", "r-1"]);
        assert_eq!(all.arrivals.iter().map(|a| a.room).collect::<Vec<_>>(), [0, 1, 0, 1]);
    }

    #[test]
    fn parts_are_the_whole_and_none_is_in_two() {
        let all = schedule("3x(4av) + 1x(1v,9s)", 5.0);
        let parts: Vec<_> = (0..3).map(|index| all.part(index, 3)).collect();
        let mut together: Vec<_> = parts.iter().flat_map(|part| part.arrivals.clone()).collect();
        together.sort_by(|a, b| (a.at, &a.identity).cmp(&(b.at, &b.identity)));
        let mut whole = all.arrivals.clone();
        whole.sort_by(|a, b| (a.at, &a.identity).cmp(&(b.at, &b.identity)));
        assert_eq!(together, whole);
        assert!(parts.iter().all(|part| part.rooms == all.rooms && part.arrivals.len().abs_diff(7) <= 1));
    }

    #[test]
    fn each_expects_what_the_others_publish() {
        let all = schedule("(2av,1ap,3s)", 1.0);
        let expects: Vec<_> = all.arrivals.iter().map(|a| a.expects).collect();
        assert_eq!(expects, [3, 3, 0, 5, 5, 5]);
        let speaker = schedule("(10av,1s,layout=speaker)", 1.0);
        assert_eq!(speaker.arrivals.last().unwrap().expects, 16);
        assert_eq!(speaker.arrivals[0].expects, 9 + 6);
    }
}
