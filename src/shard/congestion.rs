//! Congestion control towards subscribers (WIRE.md §4.8): numbers what is sent, hears what arrives, shares the estimate out
//! to the legs and fills probes with padding. A connection that is not limited costs a note for each packet and no timer.

use super::command::CongestionConfig;
use super::forward::{Moment, Outbound};
use super::media::{LegEntry, MediaState, TrackEntry};
use super::state::State;
use super::{Event, ExtensionIds, LegKey, PeerKey};
use crate::media::allocate::{Allocation, Allocator, LegAllowance, Request, Rules};
use crate::media::bandwidth::Bandwidth;
use crate::media::bitrate::Bitrate;
use crate::media::opening::Opening;
use crate::media::pace::{PROBE_STEP, ProbePace, ResendBudget, Waiting};
use crate::wire::rtcp::{ReportBlock, TransportCc};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

const PLAN_INTERVAL: Duration = Duration::from_millis(100);
/// WIRE.md §4.8.
const PRIORITY_SCREEN: u8 = 255;
const PRIORITY_CAMERA: u8 = 1;
/// Bytes of a packet of padding on the wire, about.
const PADDING_BYTES: usize = 280;

/// One subscriber's connection.
pub struct Congestion {
    bandwidth: Bandwidth,
    allocator: Allocator,
    /// Of the next numbered packet.
    sequence: u16,
    probe: Option<ProbePace>,
    resends: ResendBudget,
    /// Packets of video, by leg and sequence number: the history keeps them.
    waiting: Waiting<(LegKey, u16)>,
    /// Shares were given out that may have to be taken back.
    shared: bool,
    planned: Instant,
    capacity_min: Bitrate,
    /// Holds instead of the estimate.
    fixed: Option<Bitrate>,
}

impl Congestion {
    pub fn new(now: Instant, config: &CongestionConfig, allow_pause: Option<bool>) -> Congestion {
        let mut bandwidth = Bandwidth::new(now);
        bandwidth.set_probe_intervals(config.probes);
        Congestion {
            bandwidth,
            allocator: Allocator::new(Rules {
                allow_pause: allow_pause.unwrap_or(config.rules.allow_pause),
                ..config.rules
            }),
            sequence: rand::random(),
            probe: None,
            resends: ResendBudget::default(),
            waiting: Waiting::default(),
            shared: false,
            planned: now,
            capacity_min: Bitrate(config.capacity_min_bps),
            fixed: None,
        }
    }

    /// The value of the transport-cc extension of the next packet.
    pub fn next_number(&self) -> [u8; 2] {
        self.sequence.to_be_bytes()
    }

    /// Notes a packet of video that was staged.
    ///
    /// # Cost
    /// No allocation but when more packets are in flight than ever before.
    pub fn note_sent(&mut self, now: Instant, numbered: bool, bytes: usize) {
        if let Some(probe) = &mut self.probe {
            probe.note_sent(bytes);
        }
        self.waiting.note_sent(bytes);
        if numbered {
            self.bandwidth.note_sent(now, self.sequence, bytes);
            self.sequence = self.sequence.wrapping_add(1);
        } else {
            self.bandwidth.note_unnumbered(now, bytes);
        }
    }

    /// Whether a packet of video may go now; otherwise it is to be held.
    ///
    /// # Cost
    /// A comparison while nothing is limited.
    pub fn admits(&mut self, now: Instant) -> bool {
        self.waiting.admits(now, self.pace())
    }

    pub fn hold(&mut self, leg: LegKey, sequence: u16, bytes: usize) {
        self.waiting.hold((leg, sequence), bytes);
    }

    /// What media may use now; a probe shows what passes, so media must not be the brake.
    fn pace(&self) -> Bitrate {
        let probe = self.probe.map_or(Bitrate::ZERO, |probe| probe.rate());
        self.bandwidth.pace().max(probe)
    }

    /// A key frame begins.
    pub fn note_burst(&mut self, now: Instant) {
        self.bandwidth.note_burst(now);
    }

    /// Whether a packet may be sent again now: one that finds a full queue is lost again.
    pub fn may_resend(&mut self, now: Instant) -> bool {
        self.resends.admits(now, self.bandwidth.estimate()) && !self.bandwidth.is_queued()
    }

    pub fn note_resent(&mut self, bytes: usize) {
        self.resends.note_sent(bytes);
    }

    /// When to look at it again; never while nothing is limited.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let probe = (self.probe.is_some() || !self.waiting.is_empty()).then(|| now + PROBE_STEP);
        let plan = (self.shared || self.bandwidth.is_limited()).then(|| self.planned + PLAN_INTERVAL);
        probe.into_iter().chain(plan).chain(self.bandwidth.deadline()).min()
    }

    fn room(&self, reserved: Bitrate) -> Bitrate {
        self.fixed.unwrap_or_else(|| self.bandwidth.estimate().max(self.capacity_min)).minus(reserved)
    }

    /// Holds a connection of which nothing is known to the least until more is; answers whether that begins.
    fn open(&mut self, now: Instant, asked: &Asked) -> bool {
        let rate = Opening::of(&asked.requests, asked.reserved).rate().filter(|_| asked.is_numbered && !asked.is_high);
        self.fixed.is_none() && rate.is_some_and(|rate| self.bandwidth.open(now, rate.max(self.capacity_min)))
    }

    fn plan(&mut self, now: Instant, reserved: Bitrate, requests: &[Request]) -> Allocation {
        if self.bandwidth.is_opening() {
            let opening = Opening::of(requests, reserved);
            if !opening.is_enough(self.bandwidth.estimate()) {
                return self.plan_opening(now, &opening, requests);
            }
            self.bandwidth.finish_opening();
        }
        let room = self.room(reserved);
        let clogged = self.fixed.is_none() && self.bandwidth.is_clogged(now);
        let room = if clogged { self.allocator.relieved(now, room, requests) } else { room };
        let allocation = self.allocator.plan(now, room, requests);
        self.bandwidth.set_goal(allocation.goal.map(|goal| goal.plus(reserved)));
        (self.planned, self.shared) = (now, !room.is_unlimited());
        allocation
    }

    fn plan_opening(&mut self, now: Instant, opening: &Opening, requests: &[Request]) -> Allocation {
        let allocation = opening.allocation(requests, self.allocator.rules());
        self.bandwidth.set_goal(allocation.goal);
        (self.planned, self.shared) = (now, true);
        allocation
    }
}

/// What the legs of a peer ask for.
#[derive(Default)]
struct Asked {
    legs: SmallVec<[usize; 8]>,
    requests: SmallVec<[Request; 8]>,
    /// What is sent whatever the estimate: screens with a single layer.
    reserved: Bitrate,
    /// Feedback will tell what becomes of packets.
    is_numbered: bool,
    /// A leg is on more than its lowest layer already.
    is_high: bool,
}

impl Asked {
    fn add(&mut self, now: Instant, index: usize, leg: &LegEntry, track: &TrackEntry) {
        let wanted = leg.down.target();
        if !track.up.is_video() || track.muted || wanted.paused {
            return;
        }
        let ladder = track.up.ladder(now, wanted);
        let single = ladder.first().zip(ladder.last()).is_some_and(|(a, b)| a.spatial == b.spatial);
        if track.up.is_screen_share() && single {
            self.reserved = self.reserved.plus(ladder.last().map_or(Bitrate::ZERO, |rung| rung.rate));
            return;
        }
        let usual = if track.up.is_screen_share() { PRIORITY_SCREEN } else { PRIORITY_CAMERA };
        let priority = if leg.priority == 0 { usual } else { leg.priority };
        self.is_numbered |= leg.extensions.transport_cc.is_some();
        self.is_high |= leg.down.current_layer() > ladder.first().map(|rung| rung.spatial);
        self.legs.push(index);
        self.requests.push(Request { priority, ladder, held: leg.allowed, paused: leg.paused });
    }
}

impl State {
    /// Takes in transport-wide feedback of a subscriber.
    pub fn handle_transport_cc(&mut self, now: Instant, index: usize, feedback: &TransportCc<'_>) {
        self.hear(now, index, |bandwidth| bandwidth.handle_feedback(now, feedback));
    }

    /// Takes in a subscriber's own estimate.
    pub fn handle_remb(&mut self, now: Instant, index: usize, bps: u64) {
        self.hear(now, index, |bandwidth| bandwidth.handle_remb(now, Bitrate(bps)));
    }

    /// Takes in what a report says was lost of a leg.
    pub fn handle_leg_loss(&mut self, now: Instant, index: usize, leg: usize, block: &ReportBlock) {
        let leg = &self.media.legs[leg];
        if self.media.tracks[leg.track].up.is_video() {
            let (rtt, fraction) = (leg.down.rtt(), f64::from(block.fraction_lost) / 256.0);
            self.hear(now, index, |bandwidth| bandwidth.handle_loss(now, fraction, rtt));
        }
    }

    /// Tells the estimator something; if the connection takes less than before, its legs learn it at once.
    fn hear(&mut self, now: Instant, index: usize, tell: impl FnOnce(&mut Bandwidth)) {
        let Some(congestion) = self.peers[index].congestion.as_mut() else { return };
        let before = congestion.bandwidth.estimate();
        tell(&mut congestion.bandwidth);
        if congestion.bandwidth.estimate() < before {
            self.share_out(now, index);
        }
    }

    /// Holds a subscriber's connection to `bps`, or lets it go by the estimate again.
    pub fn set_capacity(&mut self, now: Instant, peer: PeerKey, bps: Option<u64>) {
        let Some(index) = self.index_of(peer) else { return };
        if let Some(congestion) = self.peers[index].congestion.as_mut() {
            congestion.fixed = bps.map(Bitrate);
            self.share_out(now, index);
            self.wake(index, now);
        }
    }

    /// Does what is due for a subscriber's connection.
    pub fn mind_congestion(&mut self, now: Instant, index: usize) {
        let Some(congestion) = self.peers[index].congestion.as_mut() else { return };
        if congestion.deadline(now).is_none() {
            return;
        }
        congestion.bandwidth.handle_timeout(now);
        if now >= congestion.planned + PLAN_INTERVAL {
            self.share_out(now, index);
        }
        self.release(now, index);
        self.pad(now, index);
    }

    /// Sends what waited and whose turn it is.
    fn release(&mut self, now: Instant, index: usize) {
        let moment = self.moment(now);
        while let Some(congestion) = self.peers[index].congestion.as_mut() {
            let pace = congestion.pace();
            let Some((leg, sequence)) = congestion.waiting.poll(now, pace) else { return };
            let (mut out, media) = self.outbound();
            out.stage_held(index, &moment, media, leg, sequence);
        }
    }

    /// A leg came or wants more: of a connection that is new it is first asked what it takes.
    pub fn open_congestion(&mut self, now: Instant, index: usize) {
        let asked = self.asked(now, index);
        let congestion = self.peers[index].congestion.as_mut();
        if congestion.is_some_and(|congestion| congestion.open(now, &asked)) {
            self.share_out(now, index);
        }
    }

    fn asked(&self, now: Instant, index: usize) -> Asked {
        let mut asked = Asked::default();
        for leg in &self.peers[index].legs {
            let entry = &self.media.legs[*leg];
            asked.add(now, *leg, entry, &self.media.tracks[entry.track]);
        }
        asked
    }

    fn share_out(&mut self, now: Instant, index: usize) {
        let asked = self.asked(now, index);
        let Some(congestion) = self.peers[index].congestion.as_mut() else { return };
        let allocation = congestion.plan(now, asked.reserved, &asked.requests);
        let mut changed: Vec<(LegKey, bool)> = Vec::new();
        for (leg, share) in asked.legs.iter().zip(&allocation.shares) {
            changed.extend(self.allow(now, *leg, *share));
        }
        if !changed.is_empty() {
            let event = Event::StreamState { peer: self.peers[index].key, legs: changed };
            self.tell(index, event);
        }
    }

    /// Gives a leg its share; answers whether it is paused now if that has changed.
    fn allow(&mut self, now: Instant, leg: usize, share: Option<LegAllowance>) -> Option<(LegKey, bool)> {
        let entry = &mut self.media.legs[leg];
        let is_paused = share.is_some_and(|share| share.paused);
        entry.paused = entry.paused.filter(|_| is_paused).or(is_paused.then_some(now));
        entry.allowed = share;
        self.limit(now, leg)
    }

    /// Fills the probe that is due or under way.
    fn pad(&mut self, now: Instant, index: usize) {
        let leg = self.peers[index].legs.iter().copied().find(|leg| self.media.legs[*leg].is_padded());
        let Some(congestion) = self.peers[index].congestion.as_mut() else { return };
        // Without a leg that can be padded a probe would show nothing.
        if congestion.probe.is_none() && leg.is_some() {
            congestion.probe = congestion.bandwidth.poll_probe(now).map(|cluster| ProbePace::new(now, cluster));
        }
        let Some(probe) = congestion.probe else { return };
        let packets = probe.due(now).div_ceil(PADDING_BYTES);
        let moment = self.moment(now);
        let (mut out, media) = self.outbound();
        if let Some(leg) = leg {
            (0..packets).for_each(|_| out.stage_padding(index, &moment, media, leg));
        }
        if let Some(congestion) = self.peers[index].congestion.as_mut().filter(|_| probe.is_over(now)) {
            congestion.probe = None;
        }
    }
}

impl LegEntry {
    /// Its padding counts for the estimate.
    fn is_padded(&self) -> bool {
        self.started && is_counted(&self.extensions)
    }
}

impl Outbound<'_> {
    fn stage_held(&mut self, subscriber: usize, moment: &Moment, media: &MediaState, leg: LegKey, sequence: u16) {
        let leg = media.leg_of.get(&leg).and_then(|leg| media.legs.get(*leg));
        let Some(leg) = leg.filter(|leg| leg.peer == subscriber) else { return };
        if let Some((outgoing, packet)) = leg.down.release(&media.tracks[leg.track].up, sequence) {
            self.stage(subscriber, &leg.extensions, moment, &outgoing, packet);
        }
    }

    fn stage_padding(&mut self, subscriber: usize, moment: &Moment, media: &mut MediaState, leg: usize) {
        let leg = &mut media.legs[leg];
        let Some(padding) = leg.down.padding(moment.now) else { return };
        self.stage_extended(subscriber, &leg.extensions, moment, |extra, slot| padding.write(extra, slot));
    }
}

/// Whether packets under these extensions are counted by a subscriber's estimate.
pub fn is_counted(extensions: &ExtensionIds) -> bool {
    extensions.transport_cc.is_some() || extensions.abs_send_time.is_some()
}
