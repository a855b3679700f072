//! Which of the servers that offer to serve a call gets it (CLUSTER.md §1.5). Pure: the caller tells the time.

use std::time::Duration;
use tokio::time::Instant;

/// How a method's servers are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Whoever answers first.
    First,
    /// Of those with an affinity above 0 the best; `window` after the first offer it is decided. An affinity of `enough`
    /// is taken at once.
    Best { window: Duration, enough: Option<f32> },
}

impl Rule {
    pub const AFFINITY: Rule = Rule::Best { window: Duration::from_millis(200), enough: None };
    pub const EGRESS: Rule = Rule::Best { window: Duration::from_millis(500), enough: Some(1.0) };
}

/// Nobody offers after this long: nobody will.
pub const SELECTION_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Chosen(String),
    /// Ask again then, or after another offer.
    Wait(Instant),
    /// So many offered, none would do.
    Nobody(usize),
}

pub struct Selection {
    rule: Rule,
    ends: Instant,
    decides: Option<Instant>,
    best: Option<(String, f32)>,
    offers: usize,
}

impl Selection {
    pub fn new(rule: Rule, now: Instant, deadline: Instant) -> Selection {
        let ends = deadline.min(now + SELECTION_TIMEOUT);
        Selection { rule, ends, decides: None, best: None, offers: 0 }
    }

    pub fn handle_offer(&mut self, server: String, affinity: f32, now: Instant) {
        self.offers += 1;
        let decided = match self.rule {
            Rule::First => now,
            Rule::Best { enough: Some(enough), .. } if affinity >= enough => now,
            Rule::Best { window, .. } => now + window,
        };
        let earlier = self.decides.map_or(decided, |before| before.min(decided));
        self.decides = Some(earlier);
        if self.is_better(affinity) {
            self.best = Some((server, affinity));
        }
    }

    fn is_better(&self, affinity: f32) -> bool {
        match (&self.best, self.rule) {
            (Some(_), Rule::First) => false,
            (None, Rule::First) => true,
            (best, Rule::Best { .. }) => affinity > best.as_ref().map_or(0.0, |(_, a)| *a),
        }
    }

    pub fn poll(&self, now: Instant) -> Verdict {
        let decides = self.decides.unwrap_or(self.ends);
        match &self.best {
            Some((server, _)) if now >= decides.min(self.ends) => Verdict::Chosen(server.clone()),
            None if now >= self.ends => Verdict::Nobody(self.offers),
            Some(_) => Verdict::Wait(decides.min(self.ends)),
            None => Verdict::Wait(self.ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Case {
        start: Instant,
        selection: Selection,
    }

    impl Case {
        #[allow(clippy::disallowed_methods)]
        fn new(rule: Rule, deadline_ms: u32) -> Case {
            let start = Instant::now();
            Case { start, selection: Selection::new(rule, start, start + deadline_ms * MS) }
        }

        fn offer(&mut self, at_ms: u32, server: &str, affinity: f32) {
            self.selection.handle_offer(server.to_owned(), affinity, self.start + at_ms * MS);
        }

        fn at(&self, ms: u32) -> Verdict {
            self.selection.poll(self.start + ms * MS)
        }

        fn wait(&self, ms: u32) -> Verdict {
            Verdict::Wait(self.start + ms * MS)
        }
    }

    fn chosen(server: &str) -> Verdict {
        Verdict::Chosen(server.to_owned())
    }

    #[test]
    fn the_first_wins_at_once() {
        let mut case = Case::new(Rule::First, 3000);
        assert_eq!(case.at(0), case.wait(1000));
        case.offer(5, "a", 0.0);
        case.offer(6, "b", 1.0);
        assert_eq!(case.at(6), chosen("a"));
    }

    #[test]
    fn the_best_wins_when_the_window_closes() {
        let mut case = Case::new(Rule::AFFINITY, 3000);
        case.offer(10, "a", 0.3);
        case.offer(100, "b", 0.6);
        case.offer(150, "c", 0.6);
        assert_eq!(case.at(209), case.wait(210));
        assert_eq!(case.at(210), chosen("b"));
    }

    #[test]
    fn who_has_no_affinity_starts_the_window_but_never_wins() {
        let mut case = Case::new(Rule::AFFINITY, 3000);
        case.offer(10, "a", 0.0);
        assert_eq!(case.at(300), case.wait(1000));
        assert_eq!(case.at(1000), Verdict::Nobody(1));
        case.offer(300, "b", 0.1);
        assert_eq!(case.at(300), chosen("b"));
    }

    #[test]
    fn an_egress_that_is_all_free_wins_at_once() {
        let mut case = Case::new(Rule::EGRESS, 3000);
        case.offer(10, "a", 0.5);
        assert_eq!(case.at(499), case.wait(510));
        case.offer(499, "b", 1.0);
        assert_eq!(case.at(499), chosen("b"));
    }

    #[test]
    fn nobody_offers_within_a_second_or_the_deadline() {
        assert_eq!(Case::new(Rule::First, 3000).at(1000), Verdict::Nobody(0));
        assert_eq!(Case::new(Rule::First, 400).at(400), Verdict::Nobody(0));
    }
}
