//! What became of a datagram handed to a peer. Called by `shard`, which counts the drops.

/// The fate of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An RTP packet, decrypted in place: it is the datagram's first so many bytes.
    Rtp(usize),
    /// A compound RTCP packet, as above.
    Rtcp(usize),
    /// It was for this layer: STUN or DTLS.
    Consumed,
    Dropped(Drop),
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drop {
    /// DTLS or media from an address no authenticated check came from.
    NotValidated,
    /// A wrong message integrity, SRTP tag or user name.
    BadAuth,
    /// An SRTP or SRTCP packet that was here before, or too old to tell.
    Replayed,
    /// Media before the DTLS handshake was done.
    NoKeys,
    /// Not a packet of any protocol we speak here.
    Malformed,
    /// One address more than a peer may use.
    TooMany,
    /// The peer has failed or was closed.
    Ended,
}
