//! How far a draining node is: what its last statistics say, as a value that is told the time.

use super::nodes::Summary;
use crate::cluster::{Store, StoreError, is_heard};
use crate::limits::{DRAIN_ETA_WINDOW, DRAIN_LOST_LOOKS, DRAIN_MISSING_LOOKS, DRAIN_SAMPLES_MAX};
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
    /// It went silent before it was off the list: it died, or is cut off.
    Lost,
    /// It takes rooms again, or never stopped.
    Serving,
}

/// What one look at a node shows.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'n> {
    Listed(&'n Summary),
    /// It is off the list; whether it still hears, if anybody can tell. The store may have lost its entry.
    Missing {
        is_heard: Option<bool>,
    },
}

/// The node among those listed.
pub async fn sight<'n>(store: &Store, listed: &'n [Summary], node: &str) -> Result<Sight<'n>, StoreError> {
    if let Some(summary) = listed.iter().find(|summary| summary.id == node) {
        return Ok(Sight::Listed(summary));
    }
    let redis = store.redis();
    // Who lives may not be back yet.
    let tells = redis.is_unbroken() || redis.is_steady();
    Ok(Sight::Missing { is_heard: if tells { is_heard(redis, node).await? } else { Some(true) } })
}

/// A wait for one node.
#[derive(Clone, Debug)]
pub struct Progress {
    stays: bool,
    /// From the start of the wait.
    deadline: Option<Duration>,
    most: u32,
    /// When it was last seen.
    people: u32,
    samples: VecDeque<(Duration, u32)>,
    /// Looks in a row.
    missing: u32,
    lost: u32,
}

impl Progress {
    /// `stays`: it does not end when it is empty.
    pub fn new(stays: bool, deadline: Option<Duration>) -> Progress {
        Progress { stays, deadline, most: 0, people: 0, samples: VecDeque::new(), missing: 0, lost: 0 }
    }

    /// `now` counts from the start of the wait.
    pub fn observe(&mut self, sight: Sight, now: Duration) -> Status {
        match sight {
            Sight::Missing { is_heard } => self.miss(is_heard),
            Sight::Listed(node) if node.state == "gone" => self.lose(),
            Sight::Listed(node) => {
                (self.missing, self.lost) = (0, 0);
                self.see(node, now)
            }
        }
    }

    fn see(&mut self, node: &Summary, now: Duration) -> Status {
        self.people = u32::try_from(node.people).unwrap_or(0);
        match node.state {
            "draining" if self.people == 0 && self.stays => Status::Drained,
            "draining" => Status::Draining { people: self.people, eta: self.note(self.people, now) },
            _ => Status::Serving,
        }
    }

    fn miss(&mut self, is_heard: Option<bool>) -> Status {
        self.missing += 1;
        let is_gone = is_heard.map_or(self.missing >= DRAIN_MISSING_LOOKS, |is_heard| !is_heard);
        match (is_gone, self.lost > 0) {
            (false, _) => self.as_before(),
            (true, false) => Status::Gone,
            // It was struck by those who saw it die.
            (true, true) => Status::Lost,
        }
    }

    fn lose(&mut self) -> Status {
        self.lost += 1;
        if self.lost >= DRAIN_LOST_LOOKS { Status::Lost } else { self.as_before() }
    }

    fn as_before(&self) -> Status {
        Status::Draining { people: self.people, eta: None }
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
        let mut see = |people, seconds| progress.observe(Sight::Listed(&node("draining", people)), at(seconds));
        assert_eq!(see(100, 0), Status::Draining { people: 100, eta: None });
        assert_eq!(see(100, 10), Status::Draining { people: 100, eta: None }, "nobody goes");
        assert_eq!(see(80, 20), Status::Draining { people: 80, eta: Some(at(80)) });
        assert_eq!(see(90, 30), Status::Draining { people: 90, eta: Some(at(270)) }, "newcomers to its rooms");
        assert_eq!(progress.most(), 100);
    }

    #[test]
    fn the_deadline_bounds_it() {
        let mut progress = Progress::new(false, Some(at(60)));
        let mut see = |people, seconds| progress.observe(Sight::Listed(&node("draining", people)), at(seconds));
        assert_eq!(see(10, 0), Status::Draining { people: 10, eta: Some(at(60)) });
        assert_eq!(see(9, 30), Status::Draining { people: 9, eta: Some(at(30)) });
        assert_eq!(see(1, 90), Status::Draining { people: 1, eta: Some(at(0)) });
    }

    #[test]
    fn old_samples_do_not_count() {
        let mut progress = Progress::new(false, None);
        progress.observe(Sight::Listed(&node("draining", 1_000)), at(0));
        let late = DRAIN_ETA_WINDOW + at(1);
        progress.observe(Sight::Listed(&node("draining", 10)), late);
        let status = progress.observe(Sight::Listed(&node("draining", 10)), late + at(10));
        assert_eq!(status, Status::Draining { people: 10, eta: None });
    }

    #[test]
    fn how_a_wait_ends() {
        let see = |stays, summary: Summary| Progress::new(stays, None).observe(Sight::Listed(&summary), at(1));
        let cases = [
            (false, node("serving", 3), Status::Serving),
            (false, node("cordoned", 3), Status::Serving),
            (true, node("draining", 0), Status::Drained),
            (false, node("draining", 0), Status::Draining { people: 0, eta: None }),
        ];
        for (stays, summary, expected) in cases {
            assert_eq!(see(stays, summary), expected);
        }
    }

    /// What is seen of a node that drained with three people, look by look, and what it means at last.
    #[test]
    fn who_is_off_the_list_has_ended_unless_it_still_hears_or_was_silent_before() {
        let silent = node("gone", 3);
        let (lost, deaf) = (Sight::Listed(&silent), Sight::Missing { is_heard: Some(false) });
        let (hears, unknown) = (Sight::Missing { is_heard: Some(true) }, Sight::Missing { is_heard: None });
        let goes_on = Status::Draining { people: 3, eta: None };
        let cases: [(&[Sight], Status); 7] = [
            (&[deaf], Status::Gone),
            (&[hears, hears, hears, hears, hears], goes_on),
            (&[unknown, unknown, unknown], goes_on),
            (&[unknown, unknown, unknown, unknown], Status::Gone),
            (&[lost, lost], goes_on),
            (&[lost, lost, lost], Status::Lost),
            (&[lost, deaf], Status::Lost),
        ];
        for (sights, expected) in cases {
            let mut progress = Progress::new(false, None);
            progress.observe(Sight::Listed(&node("draining", 3)), at(0));
            let last = sights.iter().map(|sight| progress.observe(*sight, at(1))).last();
            assert_eq!(last, Some(expected), "{sights:?}");
        }
    }
}
