//! How far a draining node is: what its last statistics say, as a value that is told the time.

use super::nodes::Summary;
use crate::limits::{DRAIN_ETA_WINDOW, DRAIN_SAMPLES_MAX};
use std::collections::VecDeque;
use std::time::Duration;

/// What became of a node that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// So many are left; `eta` from now on, if they go at all.
    Draining { people: u32, eta: Option<Duration> },
    /// Empty, and it stays.
    Drained,
    /// It took itself off the list: it has ended.
    Gone,
    /// It is on the list, but silent: nobody knows.
    Lost,
    /// It takes rooms again, or never stopped.
    Serving,
}

impl Status {
    pub fn is_final(self) -> bool {
        !matches!(self, Status::Draining { .. })
    }
}

/// A wait for one node.
#[derive(Clone, Debug)]
pub struct Progress {
    stays: bool,
    /// From the start of the wait.
    deadline: Option<Duration>,
    most: u32,
    samples: VecDeque<(Duration, u32)>,
}

impl Progress {
    /// `stays`: it does not end when it is empty.
    pub fn new(stays: bool, deadline: Option<Duration>) -> Progress {
        Progress { stays, deadline, most: 0, samples: VecDeque::new() }
    }

    /// What the node last told, `None` if it is off the list; `now` counts from the start of the wait.
    pub fn observe(&mut self, node: Option<&Summary>, now: Duration) -> Status {
        let Some(node) = node else { return Status::Gone };
        let people = u32::try_from(node.people).unwrap_or(0);
        match node.state {
            "gone" => Status::Lost,
            "draining" if people == 0 && self.stays => Status::Drained,
            "draining" => Status::Draining { people, eta: self.note(people, now) },
            _ => Status::Serving,
        }
    }

    /// The most people seen so far: the whole of the bar.
    pub fn most(&self) -> u32 {
        self.most
    }

    fn note(&mut self, people: u32, now: Duration) -> Option<Duration> {
        self.most = self.most.max(people);
        while self.samples.front().is_some_and(|(at, _)| now.saturating_sub(*at) > DRAIN_ETA_WINDOW)
            || self.samples.len() >= DRAIN_SAMPLES_MAX
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now, people));
        let left = self.deadline.map(|deadline| deadline.saturating_sub(now));
        [self.at_this_rate(people, now), left].into_iter().flatten().min()
    }

    /// As they went over the window.
    fn at_this_rate(&self, people: u32, now: Duration) -> Option<Duration> {
        let (then, before) = self.samples.front()?;
        let went = f64::from(before.checked_sub(people).filter(|went| *went > 0)?);
        let per_person = now.saturating_sub(*then).as_secs_f64() / went;
        Duration::try_from_secs_f64(per_person * f64::from(people)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(state: &'static str, people: i32) -> Summary {
        Summary { state, people, ..Summary::default() }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_rest_takes_as_long_as_those_who_went() {
        let mut progress = Progress::new(false, None);
        let mut see = |people, seconds| progress.observe(Some(&node("draining", people)), at(seconds));
        assert_eq!(see(100, 0), Status::Draining { people: 100, eta: None });
        assert_eq!(see(100, 10), Status::Draining { people: 100, eta: None }, "nobody goes");
        assert_eq!(see(80, 20), Status::Draining { people: 80, eta: Some(at(80)) });
        assert_eq!(see(90, 30), Status::Draining { people: 90, eta: Some(at(270)) }, "newcomers to its rooms");
        assert_eq!(progress.most(), 100);
    }

    #[test]
    fn the_deadline_bounds_it() {
        let mut progress = Progress::new(false, Some(at(60)));
        let mut see = |people, seconds| progress.observe(Some(&node("draining", people)), at(seconds));
        assert_eq!(see(10, 0), Status::Draining { people: 10, eta: Some(at(60)) });
        assert_eq!(see(9, 30), Status::Draining { people: 9, eta: Some(at(30)) });
        assert_eq!(see(1, 90), Status::Draining { people: 1, eta: Some(at(0)) });
    }

    #[test]
    fn old_samples_do_not_count() {
        let mut progress = Progress::new(false, None);
        progress.observe(Some(&node("draining", 1_000)), at(0));
        let late = DRAIN_ETA_WINDOW + at(1);
        progress.observe(Some(&node("draining", 10)), late);
        let status = progress.observe(Some(&node("draining", 10)), late + at(10));
        assert_eq!(status, Status::Draining { people: 10, eta: None });
    }

    #[test]
    fn how_a_wait_ends() {
        let see = |stays, summary: Option<Summary>| Progress::new(stays, None).observe(summary.as_ref(), at(1));
        let cases = [
            (false, None, Status::Gone),
            (false, Some(node("gone", 3)), Status::Lost),
            (false, Some(node("serving", 3)), Status::Serving),
            (false, Some(node("cordoned", 3)), Status::Serving),
            (true, Some(node("draining", 0)), Status::Drained),
            (false, Some(node("draining", 0)), Status::Draining { people: 0, eta: None }),
        ];
        for (stays, summary, expected) in cases {
            assert_eq!(see(stays, summary), expected);
        }
    }
}
