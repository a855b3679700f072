//! Questions on a client's software, which decide what it is offered (WIRE.md §2.2).

use crate::proto::ClientInfo;
use crate::proto::client_info::{Capability, Sdk};

/// What a client said of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client(pub ClientInfo);

impl Client {
    /// Signal protocol version.
    pub fn protocol(&self) -> i32 {
        self.0.protocol
    }

    pub fn is_firefox(&self) -> bool {
        self.browser_is(&["firefox", "firefox mobile"])
    }

    pub fn is_safari(&self) -> bool {
        self.browser_is(&["safari", "mobile safari"])
    }

    /// OBS sends no sender reports on the lower layers.
    pub fn is_obs(&self) -> bool {
        self.0.browser.contains("OBS")
    }

    pub fn is_go(&self) -> bool {
        self.0.sdk() == Sdk::Go
    }

    /// Audio towards it may be RED.
    pub fn takes_red(&self) -> bool {
        !self.is_firefox() && !self.is_safari()
    }

    /// It ignores the order of codecs in an answer, so the answer lists one.
    pub fn wants_one_video_codec(&self) -> bool {
        self.is_firefox() && self.os_is(&["linux", "android"])
    }

    /// Removed sections of its subscriber connection may carry another track.
    pub fn reuses_sections(&self) -> bool {
        self.protocol() > 3 && !self.is_safari()
    }

    /// It connects to passive TCP candidates.
    pub fn may_use_ice_tcp(&self) -> bool {
        match self.0.sdk() {
            Sdk::Go => false,
            Sdk::Swift => self.is_at_least([1, 0, 5]),
            _ => true,
        }
    }

    /// ICE-lite is no obstacle; the configuration and the client's wish have their own say.
    pub fn may_use_ice_lite(&self) -> bool {
        self.protocol() > 5 && !self.is_firefox()
    }

    /// Audio and video of one stream may share an msid stream.
    pub fn takes_synced_streams(&self) -> bool {
        self.protocol() > 9 && !self.is_firefox()
    }

    pub fn takes_reconnect_response(&self) -> bool {
        self.0.sdk() != Sdk::Js || self.is_at_least([1, 6, 3])
    }

    pub fn takes_track_subscribed(&self) -> bool {
        !self.is_old_rust()
    }

    pub fn takes_request_response(&self) -> bool {
        !self.is_old_rust()
    }

    /// A track's codec may change without a new section.
    pub fn takes_codec_change(&self) -> bool {
        !matches!(self.0.sdk(), Sdk::Go | Sdk::Unknown)
    }

    /// SCTP without checksums (RFC 9653).
    pub fn takes_sctp_zero_checksum(&self) -> bool {
        match self.0.sdk() {
            Sdk::Unknown => false,
            Sdk::Go => self.is_at_least([2, 4, 0]),
            _ => true,
        }
    }

    /// Packet trailers are left on media towards it.
    pub fn takes_packet_trailer(&self) -> bool {
        self.0.capabilities().any(|c| c == Capability::CapPacketTrailer)
    }

    /// Compares by identity when a participant is replaced; needs no DISCONNECTED for the former one.
    pub fn tells_sessions_apart(&self) -> bool {
        self.protocol() > 11
    }

    pub(super) fn browser_is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.browser.eq_ignore_ascii_case(name))
    }

    pub(super) fn os_is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.os.eq_ignore_ascii_case(name))
    }

    /// Browser newer than `version`.
    pub(super) fn browser_is_newer_than(&self, version: [u32; 3]) -> bool {
        numbers(&self.0.browser_version) > version
    }

    /// SDK version.
    fn is_at_least(&self, version: [u32; 3]) -> bool {
        numbers(&self.0.version) >= version
    }

    fn is_old_rust(&self) -> bool {
        self.0.sdk() == Sdk::Rust && self.protocol() < 10
    }
}

/// The first three numbers of a dotted version; what is missing or not a number counts as 0.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(sdk: Sdk, version: &str, protocol: i32) -> Client {
        Client(ClientInfo { sdk: sdk as i32, version: version.into(), protocol, ..Default::default() })
    }

    fn browser(name: &str, os: &str) -> Client {
        Client(ClientInfo {
            browser: name.into(),
            os: os.into(),
            protocol: 17,
            sdk: Sdk::Js as i32,
            version: "2.0.0".into(),
            ..Default::default()
        })
    }

    #[test]
    fn versions_compare_by_number() {
        let cases = [
            ("1.6.3", true),
            ("1.6.10", true),
            ("2", true),
            ("1.6.2", false),
            ("1.6", false),
            ("", false),
            ("1.6.x", false),
        ];
        for (version, newer) in cases {
            assert_eq!(client(Sdk::Js, version, 9).takes_reconnect_response(), newer, "{version}");
        }
    }

    #[test]
    fn ice_tcp_by_sdk() {
        let cases = [
            (client(Sdk::Go, "9.9.9", 9), false),
            (client(Sdk::Swift, "1.0.4", 9), false),
            (client(Sdk::Swift, "1.0.5", 9), true),
            (client(Sdk::Unknown, "", 9), true),
        ];
        for (client, expected) in cases {
            assert_eq!(client.may_use_ice_tcp(), expected, "{client:?}");
        }
    }

    #[test]
    fn browsers() {
        let cases = [
            ("Chrome", "Linux", true, true, false, true),
            ("Firefox", "Linux", false, true, true, false),
            ("Firefox Mobile", "Android", false, true, true, false),
            ("firefox", "Mac OS X", false, true, false, false),
            ("Safari", "Mac OS X", false, false, false, true),
        ];
        for (name, os, red, reuse, one_codec, lite) in cases {
            let c = browser(name, os);
            assert_eq!(
                (c.takes_red(), c.reuses_sections(), c.wants_one_video_codec(), c.may_use_ice_lite()),
                (red, reuse, one_codec, lite),
                "{name} on {os}"
            );
        }
    }

    #[test]
    fn gates_by_sdk_and_protocol() {
        assert!(!client(Sdk::Rust, "1.0.0", 9).takes_track_subscribed());
        assert!(client(Sdk::Rust, "1.0.0", 10).takes_request_response());
        assert!(!client(Sdk::Js, "1.0.0", 3).reuses_sections());
        assert!(!client(Sdk::Go, "2.3.9", 15).takes_sctp_zero_checksum());
        assert!(client(Sdk::Go, "2.4.0", 15).takes_sctp_zero_checksum());
        assert!(!client(Sdk::Unknown, "2.4.0", 15).takes_codec_change());
        assert!(!client(Sdk::Js, "2.0.0", 11).tells_sessions_apart());
        assert!(client(Sdk::Js, "2.0.0", 12).tells_sessions_apart());
    }

    #[test]
    fn packet_trailer_is_a_capability() {
        let mut c = client(Sdk::Js, "2.0.0", 17);
        assert!(!c.takes_packet_trailer());
        c.0.capabilities = vec![99, Capability::CapPacketTrailer as i32];
        assert!(c.takes_packet_trailer());
    }
}
