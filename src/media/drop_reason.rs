//! Why a packet went no further. Every drop has a name and a count; called by everything in `media`.

/// The reason a packet was not taken, not forwarded, or not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The packet or its payload header could not be read.
    Malformed,
    /// The payload type was not negotiated for the track.
    UnknownPayload,
    /// No such encoding on this track.
    UnknownStream,
    /// It arrived before.
    Duplicate,
    /// It is older than the history.
    TooOld,
    /// It carries padding only.
    Padding,
    /// The publisher muted the track.
    Muted,
    /// The subscriber disabled the track.
    Paused,
    /// The subscriber did not accept this codec.
    NoCodec,
    /// Forwarding starts at a key frame, this is none.
    AwaitsKeyFrame,
    /// It belongs to another layer's stream than the one forwarded.
    OtherLayer,
    /// It belongs to a spatial layer above the target, within the same stream.
    SpatialLayer,
    /// It belongs to a temporal layer above the target.
    TemporalLayer,
    /// It came so late that its place in the outgoing series is forgotten, or was never kept.
    MappingGone,
    /// A retransmission was asked for a packet never sent, or sent too long ago.
    NotSent,
    /// The packet to be sent again is no longer in the history.
    HistoryGone,
    /// It was sent again only just now.
    ResentLately,
    /// It was sent again as often as is allowed.
    ResentOften,
    /// A key frame was asked for, or came; what precedes it is not worth sending again.
    KeyFrameComing,
}

impl DropReason {
    pub const COUNT: usize = DropReason::ALL.len();

    pub const ALL: [DropReason; 19] = [
        DropReason::Malformed,
        DropReason::UnknownPayload,
        DropReason::UnknownStream,
        DropReason::Duplicate,
        DropReason::TooOld,
        DropReason::Padding,
        DropReason::Muted,
        DropReason::Paused,
        DropReason::NoCodec,
        DropReason::AwaitsKeyFrame,
        DropReason::OtherLayer,
        DropReason::SpatialLayer,
        DropReason::TemporalLayer,
        DropReason::MappingGone,
        DropReason::NotSent,
        DropReason::HistoryGone,
        DropReason::ResentLately,
        DropReason::ResentOften,
        DropReason::KeyFrameComing,
    ];

    /// The name a metric carries.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::Malformed => "malformed",
            DropReason::UnknownPayload => "unknown_payload",
            DropReason::UnknownStream => "unknown_stream",
            DropReason::Duplicate => "duplicate",
            DropReason::TooOld => "too_old",
            DropReason::Padding => "padding",
            DropReason::Muted => "muted",
            DropReason::Paused => "paused",
            DropReason::NoCodec => "no_codec",
            DropReason::AwaitsKeyFrame => "awaits_key_frame",
            DropReason::OtherLayer => "other_layer",
            DropReason::SpatialLayer => "spatial_layer",
            DropReason::TemporalLayer => "temporal_layer",
            DropReason::MappingGone => "mapping_gone",
            DropReason::NotSent => "not_sent",
            DropReason::HistoryGone => "history_gone",
            DropReason::ResentLately => "resent_lately",
            DropReason::ResentOften => "resent_often",
            DropReason::KeyFrameComing => "key_frame_coming",
        }
    }
}

/// How often each reason occurred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::COUNT]);

impl Drops {
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.of(reason))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_cell_and_name() {
        let mut drops = Drops::default();
        for (n, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, n);
            (0..=n).for_each(|_| drops.count(reason));
        }
        assert!(drops.iter().enumerate().all(|(n, (_, count))| count == n as u64 + 1));
        let names: std::collections::HashSet<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), DropReason::COUNT);
    }
}
