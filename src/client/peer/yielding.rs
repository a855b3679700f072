//! How what is published gives way to congestion: feedback goes to the estimate, and the estimate is shared out among the
//! tracks that yield. The third part of `peer`.

use super::Connection;
use crate::client::outgoing::{Outgoing, OutgoingSetup};
use crate::client::uplink::Uplink;
use crate::wire::rtcp::TransportCc;
use std::time::Instant;

impl Connection {
    pub(super) fn publish(&mut self, now: Instant, setup: OutgoingSetup) {
        let track = Outgoing::new(setup, now);
        if track.yields() {
            self.uplink.get_or_insert_with(|| Uplink::new(now));
        }
        self.outgoing.push(track);
        self.share_out();
    }

    pub(super) fn handle_transport_cc(&mut self, now: Instant, feedback: &TransportCc<'_>) {
        self.stats.feedback_in += 1;
        if let Some(uplink) = &mut self.uplink {
            uplink.handle_feedback(now, feedback);
            self.share_out();
        }
    }

    pub(super) fn handle_remb(&mut self, bitrate_bps: u64) {
        if let Some(uplink) = &mut self.uplink {
            uplink.handle_remb(bitrate_bps);
            self.share_out();
        }
    }

    /// Tracks that yield get shares as large as what they want; what does not yield takes its own first.
    pub(super) fn share_out(&mut self) {
        let Some(uplink) = &mut self.uplink else { return };
        let wanted = |yields: bool| -> u64 {
            self.outgoing.iter().filter(|t| t.yields() == yields).map(|t| u64::from(t.wanted_bps())).sum()
        };
        let (yielding, firm) = (wanted(true), wanted(false));
        uplink.set_wanted(u32::try_from(yielding + firm).unwrap_or(u32::MAX));
        let allowed = uplink.allowed_bps().map(|bps| u64::from(bps).saturating_sub(firm));
        for track in self.outgoing.iter_mut().filter(|t| t.yields()) {
            let share = allowed.map(|bps| bps * u64::from(track.wanted_bps()) / yielding.max(1));
            track.set_allowed(share.map(|bps| u32::try_from(bps).unwrap_or(u32::MAX)));
        }
    }
}
