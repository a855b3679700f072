//! What each signal protocol version unlocked (WIRE.md §2.2); questions on the client's software are in `client`.

use super::client::Client;

impl Client {
    /// msid stream ids are `PA_…|TR_…`, not just `PA_…`.
    pub fn packs_stream_ids(&self) -> bool {
        self.protocol() > 0
    }

    pub fn takes_subscriber_primary(&self) -> bool {
        self.protocol() > 2
    }

    pub fn takes_track_unpublished(&self) -> bool {
        self.protocol() > 6
    }

    /// Existing tracks are in the first subscriber offer.
    pub fn starts_fast(&self) -> bool {
        self.protocol() > 7
    }

    /// On resume it wants to hear who left meanwhile.
    pub fn hears_departures_on_resume(&self) -> bool {
        self.protocol() > 8 && self.takes_reconnect_response()
    }

    /// `leave` has an action, and may ask for a resume.
    pub fn takes_leave_action(&self) -> bool {
        self.protocol() > 12
    }

    /// A `request_response` also when all went well.
    pub fn takes_ok(&self) -> bool {
        self.protocol() > 14 && self.takes_request_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ClientInfo;

    #[test]
    fn each_gate_opens_at_its_version() {
        type Gate = fn(&Client) -> bool;
        let gates: [(i32, Gate); 6] = [
            (1, Client::packs_stream_ids),
            (3, Client::takes_subscriber_primary),
            (7, Client::takes_track_unpublished),
            (8, Client::starts_fast),
            (13, Client::takes_leave_action),
            (15, Client::takes_ok),
        ];
        let client = |protocol| Client(ClientInfo { protocol, ..ClientInfo::default() });
        for (version, gate) in gates {
            assert!(gate(&client(version)) && !gate(&client(version - 1)), "protocol {version}");
        }
    }
}
