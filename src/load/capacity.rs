//! The search for the largest load a server carries: doubled until a condition is met, then halved in between. The runs are
//! `commands`'; pure.

use super::report::Report;
use super::shape::Shape;

/// What grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grows {
    /// The number of rooms of each group.
    #[default]
    Rooms,
    /// The number of those who only subscribe.
    Subscribers,
}

/// The search: which multiple to try next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The largest that held, and the least that did not.
    held: u32,
    failed: Option<u32>,
    max: u32,
}

impl Search {
    /// Multiples up to `max`.
    pub fn new(max: u32) -> Search {
        Search { held: 0, failed: None, max }
    }

    /// `None` when the limit is known to a tenth.
    pub fn next(&self) -> Option<u32> {
        match self.failed {
            None if self.held >= self.max => None,
            None => Some((self.held * 2).clamp(1, self.max)),
            Some(failed) if failed - self.held <= (self.held / 10).max(1) => None,
            Some(failed) => Some(self.held.midpoint(failed)),
        }
    }

    pub fn note(&mut self, multiple: u32, held: bool) {
        if held {
            self.held = self.held.max(multiple);
        } else {
            self.failed = Some(self.failed.map_or(multiple, |failed| failed.min(multiple)));
        }
    }

    /// The largest multiple that held, 0 if none did; whether a larger one failed.
    pub fn result(&self) -> (u32, bool) {
        (self.held, self.failed.is_some())
    }
}

impl Shape {
    pub fn times(&self, multiple: u32, grows: Grows) -> Shape {
        let mut shape = self.clone();
        for group in &mut shape.groups {
            match grows {
                Grows::Rooms => group.rooms = group.rooms.saturating_mul(multiple),
                Grows::Subscribers => {
                    let watchers = group.people.iter_mut().filter(|p| p.subscribes && !p.publishes());
                    watchers.for_each(|p| p.count = p.count.saturating_mul(multiple));
                }
            }
        }
        shape
    }
}

/// A machine is out of CPU from here on, in percent of all its cores.
const MACHINE_FULL: f64 = 90.0;
/// Software interrupts that take so much are the limit themselves.
const SOFTIRQ_FULL: f64 = 40.0;

/// What most likely stopped a run, the tester itself first: a limit of the tester says nothing of the server.
pub fn limit(report: &Report) -> String {
    let tester = &report.tester;
    let server = report.server.as_ref();
    if tester.saturation_percent > 90.0 {
        format!("the tester: its busiest thread was {:.0} % busy", tester.saturation_percent)
    } else if tester.socket_drops > 0 {
        format!("the tester: its sockets dropped {} datagrams", tester.socket_drops)
    } else if let Some(drops) = server.map(|s| s.socket_drops).filter(|drops| *drops > 0) {
        format!("the server's sockets: they dropped {drops} datagrams")
    } else if tester.softirq_percent > SOFTIRQ_FULL {
        format!("software interrupts: {:.0} % of all cores", tester.softirq_percent)
    } else if tester.machine_percent > MACHINE_FULL {
        let share = server.map_or(0.0, |s| s.cpu_percent);
        format!("CPU: this machine was {:.0} % busy, the server took {share:.0} % of a core", tester.machine_percent)
    } else {
        "not this machine: CPU, interrupts, sockets and the tester all had room".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::language::parse;
    use super::super::shape::Traits;
    use super::super::watch::Tester;
    use super::*;

    /// Runs the search against a server that holds so much; answers the result and the number of runs.
    fn search(capacity: u32, max: u32) -> ((u32, bool), usize) {
        let (mut search, mut runs) = (Search::new(max), 0);
        while let Some(multiple) = search.next() {
            search.note(multiple, multiple <= capacity);
            runs += 1;
        }
        (search.result(), runs)
    }

    #[test]
    fn the_limit_is_found_to_a_tenth_in_few_runs() {
        for capacity in [1, 7, 100, 999] {
            let ((held, failed), runs) = search(capacity, 10_000);
            assert!(held <= capacity && held * 11 / 10 + 1 >= capacity && failed, "{capacity}: {held}");
            assert!(runs <= 16, "{runs}");
        }
        assert_eq!(search(0, 100).0, (0, true));
        assert_eq!(search(1000, 100).0, (100, false));
    }

    #[test]
    fn shapes_grow_by_rooms_or_by_subscribers() {
        let shape = parse("2x(1vp,10s) + (3av)", &Traits::default()).unwrap();
        assert_eq!(shape.times(3, Grows::Rooms).rooms(), 9);
        let wide = shape.times(3, Grows::Subscribers);
        assert_eq!((wide.rooms(), wide.participants()), (3, 2 * 31 + 3));
    }

    #[test]
    fn the_tester_is_blamed_before_the_server() {
        let report = |tester| Report { tester, ..Report::default() };
        let busy = Tester { saturation_percent: 95.0, machine_percent: 99.0, ..Tester::default() };
        assert!(limit(&report(busy)).starts_with("the tester"));
        let full = Tester { machine_percent: 99.0, ..Tester::default() };
        assert!(limit(&report(full)).starts_with("CPU"));
        assert!(limit(&Report::default()).starts_with("not this machine"));
    }
}
