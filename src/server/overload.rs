//! When the node takes something from its subscribers because it can no longer do everything; in which order is
//! `media::degrade`'s. Told the load with each look at the statistics.

use crate::proto::NodeStats;
use crate::shard::{Command, Degradation, Shards};
use tokio::sync::watch;

/// Looks in a row above the mark before a step further: one may be an accident.
const LOOKS_ABOVE: u32 = 2;
/// Looks in a row well below it before a step back…
const LOOKS_BELOW: u32 = 5;
/// …doubled each time the step had to be taken again at once, up to this.
const LOOKS_BELOW_MAX: u32 = 160;
/// Well below: what a step gave back costs must fit too.
const BELOW: f32 = 0.75;
/// A step taken again within so many looks after it was taken back was taken back too soon.
const TOO_SOON: u32 = 15;

/// How far the node has gone and what would change it.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// Load, 0 to 1, above which something goes; 0 is never.
    mark: f32,
    step: Degradation,
    above: u32,
    below: u32,
    patience: u32,
    /// Looks since a step was taken back.
    since_back: Option<u32>,
}

impl Overload {
    pub fn new(mark: f32) -> Overload {
        Overload { mark, step: Degradation::None, above: 0, below: 0, patience: LOOKS_BELOW, since_back: None }
    }

    /// The step to be at, given the load of the time since the last look.
    pub fn observe(&mut self, load: f32) -> Degradation {
        self.since_back = self.since_back.map(|looks| looks.saturating_add(1));
        self.above = if self.mark > 0.0 && load >= self.mark { self.above + 1 } else { 0 };
        self.below = if load <= self.mark * BELOW { self.below + 1 } else { 0 };
        if self.above >= LOOKS_ABOVE {
            self.go_further();
        } else if self.below >= self.patience {
            self.go_back();
        }
        self.step
    }

    fn go_further(&mut self) {
        let too_soon = self.since_back.take().is_some_and(|looks| looks <= TOO_SOON);
        self.patience = if too_soon { (self.patience * 2).min(LOOKS_BELOW_MAX) } else { self.patience };
        self.step = self.step.further();
        (self.above, self.below) = (0, 0);
    }

    fn go_back(&mut self) {
        if self.step == Degradation::None {
            self.patience = LOOKS_BELOW;
        } else {
            self.step = self.step.back();
            self.since_back = Some(0);
        }
        (self.above, self.below) = (0, 0);
    }

    /// Never returns. Has the shards keep to the step; one that is not none is repeated, because tracks come and go.
    pub async fn run(mut self, mut stats: watch::Receiver<NodeStats>, own: watch::Receiver<f32>, shards: Shards) {
        while stats.changed().await.is_ok() {
            let load = pressing(stats.borrow_and_update().cpu_load, *own.borrow());
            let before = self.step;
            let step = self.observe(load);
            if step != before {
                tracing::warn!(?step, load, "what subscribers get changes with the node's load");
            }
            if step != before || step != Degradation::None {
                shards.iter().for_each(|shard| shard.send(Command::Degrade(step)));
            }
        }
    }
}

/// The load that counts: what others take of the machine does not get less by our sending less.
fn pressing(node: f32, own: f32) -> f32 {
    if own >= node / 2.0 { node } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node whose load is what its people want, less what each step saves.
    fn run(wanted: &dyn Fn(usize) -> f32, looks: usize) -> Vec<Degradation> {
        let mut overload = Overload::new(0.9);
        let saved = |step| match step {
            Degradation::None => 1.0,
            Degradation::TopLayers => 0.6,
            Degradation::FrameRate => 0.4,
            Degradation::LeastWatched => 0.25,
            Degradation::Video => 0.08,
        };
        let mut step = Degradation::None;
        (0..looks)
            .map(|look| {
                step = overload.observe((wanted(look) * saved(step)).min(1.0));
                step
            })
            .collect()
    }

    fn changes(steps: &[Degradation]) -> usize {
        steps.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn a_node_with_room_takes_nothing() {
        assert!(run(&|look| if look % 2 == 0 { 1.0 } else { 0.85 }, 200).iter().all(|s| *s == Degradation::None));
    }

    #[test]
    fn it_goes_no_further_than_it_must() {
        for (wanted, expected) in [
            (1.2, Degradation::TopLayers),
            (1.8, Degradation::FrameRate),
            (3.0, Degradation::LeastWatched),
            (9.0, Degradation::Video),
        ] {
            let steps = run(&|_| wanted, 12);
            assert_eq!(steps.last(), Some(&expected), "{wanted}");
            assert!(steps.is_sorted());
        }
    }

    #[test]
    fn it_comes_back_step_by_step_when_people_leave() {
        let steps = run(&|look| if look < 20 { 9.0 } else { 0.3 }, 60);
        assert_eq!((steps[19], steps[59]), (Degradation::Video, Degradation::None));
        assert!(steps[20..].is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn what_failed_is_tried_ever_more_rarely() {
        // Without the step 1.1 of what there is, with it 0.66, which looks like room for more.
        let steps = run(&|_| 1.1, 1_000);
        let (early, late) = (changes(&steps[..200]), changes(&steps[800..]));
        assert!(late <= 4 && late < early / 2, "{early} changes, later {late}");
    }

    #[test]
    fn a_mark_of_zero_is_never_reached() {
        let mut overload = Overload::new(0.0);
        assert!((0..100).all(|_| overload.observe(1.0) == Degradation::None));
    }

    #[test]
    fn others_load_is_not_ours_to_relieve() {
        assert_eq!((pressing(1.0, 0.8), pressing(1.0, 0.3), pressing(0.4, 0.3)), (1.0, 0.3, 0.4));
    }
}
