//! The sending sections of a connection: which leg each carries, was described with and has agreed on.

use super::{Kind, Outcome, SenderSetup};
use crate::shard::LegKey;
use std::collections::{HashMap, VecDeque};

#[derive(Default)]
pub(super) struct Senders {
    pub waiting: VecDeque<SenderSetup>,
    pub sections: Vec<SendSection>,
    by_mid: HashMap<String, usize>,
}

/// A section the server may send on.
pub(super) struct SendSection {
    pub mid: String,
    pub kind: Kind,
    pub sender: Option<SenderSetup>,
    /// The leg in the last description the server wrote.
    pub described: Option<LegKey>,
    /// The leg in the last pair of offer and answer.
    pub agreed: Option<LegKey>,
    /// What was told of the sender last, so that it is told once.
    told: Option<Outcome>,
    used: bool,
    /// The client lets us send on it. Always true where the server offers.
    open: bool,
}

impl SendSection {
    fn new(mid: String, kind: Kind) -> SendSection {
        SendSection { mid, kind, sender: None, described: None, agreed: None, told: None, used: false, open: false }
    }

    pub fn leg(&self) -> Option<LegKey> {
        self.sender.as_ref().map(|s| s.leg)
    }

    /// Clients tell of a new track only on a section that was inactive before, so a section whose sender was removed must
    /// have been described and agreed on without one.
    pub fn is_free(&self, reuse: bool) -> bool {
        let empty = self.sender.is_none() && self.described.is_none() && self.agreed.is_none();
        self.open && empty && (reuse || !self.used)
    }

    pub fn place(&mut self, sender: SenderSetup) {
        self.sender = Some(sender);
        self.told = None;
        self.used = true;
    }

    pub fn take(&mut self) -> Option<SenderSetup> {
        self.told = None;
        self.sender.take()
    }

    /// The outcome, unless it was told before.
    pub fn tell(&mut self, outcome: Outcome) -> Option<Outcome> {
        if self.told.as_ref() == Some(&outcome) {
            return None;
        }
        self.told = Some(outcome.clone());
        Some(outcome)
    }
}

impl Senders {
    pub fn add(&mut self, sender: SenderSetup) {
        self.waiting.push_back(sender);
    }

    pub fn remove(&mut self, leg: LegKey) {
        self.waiting.retain(|s| s.leg != leg);
        for section in self.sections.iter_mut().filter(|s| s.leg() == Some(leg)) {
            section.take();
        }
    }

    /// Gives waiting senders the free sections of their kind, both in order.
    pub fn fill(&mut self, reuse: bool) {
        for section in self.sections.iter_mut().filter(|s| s.is_free(reuse)) {
            let fitting = self.waiting.iter().position(|w| w.kind == section.kind);
            if let Some(sender) = fitting.and_then(|index| self.waiting.remove(index)) {
                section.place(sender);
            }
        }
    }

    /// Whether a new description would say something else than the last.
    pub fn differ(&self) -> bool {
        !self.waiting.is_empty() || self.sections.iter().any(|s| s.leg() != s.described)
    }

    /// Senders of that kind that find no free section.
    pub fn lacking(&self, kind: Kind, reuse: bool) -> usize {
        let waiting = self.waiting.iter().filter(|w| w.kind == kind).count();
        let free = self.sections.iter().filter(|s| s.kind == kind && s.is_free(reuse)).count();
        waiting.saturating_sub(free)
    }

    pub fn section(&mut self, mid: &str) -> Option<&mut SendSection> {
        self.by_mid.get(mid).and_then(|index| self.sections.get_mut(*index))
    }

    pub fn sender(&self, mid: &str) -> Option<&SenderSetup> {
        self.by_mid.get(mid).and_then(|index| self.sections.get(*index))?.sender.as_ref()
    }

    /// Adds a section, or opens one again.
    pub fn open(&mut self, mid: &str, kind: Kind) {
        let next = self.sections.len();
        let index = *self.by_mid.entry(mid.to_owned()).or_insert(next);
        if index == next {
            self.sections.push(SendSection::new(mid.to_owned(), kind));
        }
        if let Some(section) = self.sections.get_mut(index).filter(|s| s.kind == kind) {
            section.open = true;
        }
    }

    pub fn close_all(&mut self) {
        self.sections.iter_mut().for_each(|s| s.open = false);
    }

    /// The client withdrew the sections that are still closed: their senders need others.
    pub fn leave_closed(&mut self) {
        for section in self.sections.iter_mut().filter(|s| !s.open) {
            (section.described, section.agreed) = (None, None);
            self.waiting.extend(section.take());
        }
    }

    pub fn mid_to_track_id(&self) -> HashMap<String, String> {
        let pair = |s: &SendSection| Some((s.mid.clone(), s.sender.as_ref()?.track_sid.clone()));
        self.sections.iter().filter_map(pair).collect()
    }
}
