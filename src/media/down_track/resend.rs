//! What a leg sends once more, and what it was made to hold back: packets it finds again in the track's history. A part of
//! `down_track`.

use super::DownTrack;
use crate::media::arrival::{Arrival, Body, Span};
use crate::media::drop_reason::DropReason;
use crate::media::outgoing::Outgoing;
use crate::media::sent::Sent;
use crate::media::settings;
use crate::media::up_track::UpTrack;
use crate::wire::rtp::OutHeader;
use std::time::{Duration, Instant};

/// Browsers ask ten times for a packet, on a short path within half a second.
const REFUSED_MAX: Duration = Duration::from_millis(150);

impl DownTrack {
    /// Answers one sequence number of the subscriber's NACK: what to send again and the packet it is made from.
    ///
    /// # Cost
    /// No allocation, no copy.
    pub fn resend<'a>(&mut self, now: Instant, up: &'a UpTrack, lost: u16) -> Result<(Outgoing, &'a [u8]), DropReason> {
        self.nacks += 1;
        let found = self.find_lost(now, up, lost);
        if let Err(reason) = found {
            self.drops.count(reason);
        }
        found
    }

    fn find_lost<'a>(&mut self, now: Instant, up: &'a UpTrack, lost: u16) -> Result<(Outgoing, &'a [u8]), DropReason> {
        // Where there is room, what is lost may still come sooner than the key frame.
        if self.picture_lost && self.selector.is_limited() && !self.is_key_frame_late(now) {
            return Err(DropReason::KeyFrameComing);
        }
        let sequence = self.rewriter.unwrap(lost).ok_or(DropReason::NotSent)?;
        if sequence < self.resend_from {
            return Err(DropReason::KeyFrameComing);
        }
        let sent = match self.sent.resend(now, sequence, self.rtt()) {
            Err(DropReason::NotSent) => return self.send_late(now, up, sequence),
            Err(DropReason::ResentOften) => return Err(self.give_up(DropReason::ResentOften)),
            sent => sent?,
        };
        let Some((arrival, packet)) = up.find(sent.source, sent.incoming) else {
            return Err(self.give_up(DropReason::HistoryGone));
        };
        let payload = self.payload_of(arrival, &sent).ok_or(DropReason::HistoryGone)?;
        self.resent += 1;
        if !up.is_layered() {
            self.refused = None;
        }
        let outgoing = self.outgoing(up, arrival, &sent, payload);
        Ok((self.on_rtx(outgoing), packet))
    }

    /// There is no room now for what the subscriber lacks. It soon stops asking and only waits, so that a key frame is the
    /// shorter way.
    pub fn refuse_resend(&mut self, now: Instant) {
        let since = *self.refused.get_or_insert(now);
        if now >= since + REFUSED_MAX {
            self.give_up_refused(now);
        }
    }

    pub(super) fn give_up_refused(&mut self, now: Instant) {
        if self.refused.is_some() && !self.is_key_frame_under_way(now) {
            self.give_up(DropReason::KeyFrameComing);
        }
    }

    /// A packet the subscriber lacks will not come any more: it waits for nothing but a key frame, though it may not know.
    fn give_up(&mut self, reason: DropReason) -> DropReason {
        self.picture_lost |= self.is_video;
        reason
    }

    /// A packet that was planned, and held back, for its turn now: what to send and the packet it is made from. `None` if
    /// it is of no more use.
    ///
    /// # Cost
    /// No allocation, no copy.
    pub fn release<'a>(&self, up: &'a UpTrack, held: u16) -> Option<(Outgoing, &'a [u8])> {
        let sequence = self.rewriter.unwrap(held)?;
        if self.picture_lost || self.muted || sequence < self.resend_from {
            return None;
        }
        let sent = self.sent.find(sequence)?;
        let (arrival, packet) = up.find(sent.source, sent.incoming)?;
        Some((self.outgoing(up, arrival, &sent, self.payload_of(arrival, &sent)?), packet))
    }

    /// A packet that came before the leg knew it would follow its stream: when the first packet of a key frame is
    /// recovered late, the rest of the frame has already gone by.
    fn send_late<'a>(
        &mut self,
        now: Instant,
        up: &'a UpTrack,
        sequence: u64,
    ) -> Result<(Outgoing, &'a [u8]), DropReason> {
        let source = self.rewriter.source().ok_or(DropReason::NotSent)?;
        let incoming = self.rewriter.incoming(sequence).ok_or(DropReason::NotSent)?;
        let (arrival, packet) = up.find(source, incoming).ok_or(DropReason::NotSent)?;
        let outgoing = self.try_plan(now, up, arrival)?;
        Ok((self.on_rtx(outgoing), packet))
    }

    /// The piece of the packet that was sent.
    fn payload_of(&self, arrival: &Arrival, sent: &Sent) -> Option<Span> {
        match (&arrival.body, sent.red_block) {
            (Body::Red(layout), Some(index)) => Some(layout.redundant.get(usize::from(index))?.as_ref()?.payload),
            _ => self.form(arrival).ok().map(|form| form.payload),
        }
    }

    /// Moves a packet to the RTX SSRC if the subscriber took one for its payload type (WIRE.md §4.3).
    fn on_rtx(&mut self, outgoing: Outgoing) -> Outgoing {
        let payload = settings::payload_of(&self.settings.payloads, outgoing.header.payload_type);
        let rtx_pt = payload.and_then(|(payload, _)| payload.rtx_pt);
        let Some((ssrc, payload_type)) = self.settings.rtx_ssrc.zip(rtx_pt) else { return outgoing };
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        Outgoing {
            original_sequence: Some(outgoing.header.sequence),
            padding: 0,
            header: OutHeader { sequence: self.rtx_sequence, payload_type, ssrc, ..outgoing.header },
            ..outgoing
        }
    }
}
