//! Which RTCP feedback a section's codecs take (WIRE.md §3.4).

use super::{Flow, Role};
use crate::sdp::Feedback;
use crate::shard::Codec;

/// What is left of the offered feedback in an answer.
///
/// Opus that the client sends always takes nack, whatever was offered: browsers do not offer it and obey it all the same.
pub(super) fn answered(role: Role, flow: Flow, codec: Codec, offered: &[Feedback]) -> Vec<Feedback> {
    let always = codec == Codec::Opus && flow == Flow::Receive;
    taken(role, flow, codec)
        .iter()
        .copied()
        .filter(|f| offered.contains(f) || (always && *f == Feedback::Nack))
        .collect()
}

/// The feedback of our own offers. Redundant audio needs no retransmission.
pub(super) fn offered(codec: Codec, redundant: bool) -> Vec<Feedback> {
    let drop_nack = redundant && codec.is_audio();
    taken(Role::Subscriber, Flow::Send, codec)
        .iter()
        .copied()
        .filter(|f| !(drop_nack && *f == Feedback::Nack))
        .collect()
}

fn taken(role: Role, flow: Flow, codec: Codec) -> &'static [Feedback] {
    use Feedback::{CcmFir, GoogRemb, Nack, NackPli, TransportCc};
    match (codec.is_audio(), flow, role) {
        (true, ..) => &[Nack],
        (false, Flow::Receive, Role::Single) => &[GoogRemb, TransportCc, CcmFir, Nack, NackPli],
        (false, Flow::Receive, _) => &[TransportCc, CcmFir, Nack, NackPli],
        (false, Flow::Send, _) => &[GoogRemb, TransportCc, CcmFir, Nack, NackPli],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Feedback::*;

    #[test]
    fn answers_take_what_was_offered_and_known() {
        let all = [GoogRemb, TransportCc, CcmFir, Nack, NackPli];
        let cases = [
            (answered(Role::Publisher, Flow::Receive, Codec::Vp8, &all), vec![TransportCc, CcmFir, Nack, NackPli]),
            (answered(Role::Single, Flow::Receive, Codec::Vp8, &all), all.to_vec()),
            (answered(Role::Single, Flow::Send, Codec::Vp8, &all), all.to_vec()),
            (answered(Role::Publisher, Flow::Receive, Codec::Vp8, &[Nack]), vec![Nack]),
            (answered(Role::Publisher, Flow::Receive, Codec::Opus, &[TransportCc]), vec![Nack]),
            (answered(Role::Single, Flow::Send, Codec::Opus, &[]), vec![]),
            (answered(Role::Publisher, Flow::Receive, Codec::Red, &[]), vec![]),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn offered_audio_takes_nack_unless_it_is_redundant() {
        assert_eq!(offered(Codec::Opus, false), [Nack]);
        assert_eq!(offered(Codec::Opus, true), []);
        assert_eq!(offered(Codec::Vp8, true), [GoogRemb, TransportCc, CcmFir, Nack, NackPli]);
    }
}
