//! Names of psrpc's channels (CLUSTER.md §1.1): parts joined by `|`, empty ones left out, each escaped.

use std::fmt::Write;

/// Requests to the servers of a method; for publish/subscribe methods the messages themselves.
pub fn request(service: &str, method: &str, topic: &[&str]) -> String {
    of_method(service, method, topic, "REQ")
}

/// Which server is to do it.
pub fn grant(service: &str, method: &str, topic: &[&str]) -> String {
    of_method(service, method, topic, "RCLAIM")
}

/// Streams, from the client to the server.
pub fn to_server(service: &str, method: &str, topic: &[&str]) -> String {
    of_method(service, method, topic, "STR")
}

/// Offers of servers to that client.
pub fn claims(service: &str, client_id: &str) -> String {
    join([service, client_id, "CLAIM"])
}

pub fn responses(service: &str, client_id: &str) -> String {
    join([service, client_id, "RES"])
}

/// Streams, from the server to the client.
pub fn to_client(service: &str, client_id: &str) -> String {
    join([service, client_id, "STR"])
}

fn of_method(service: &str, method: &str, topic: &[&str], use_: &str) -> String {
    join([service, method].into_iter().chain(topic.iter().copied()).chain([use_]))
}

fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut name = String::new();
    for part in parts.into_iter().filter(|p| !p.is_empty()) {
        if !name.is_empty() {
            name.push('|');
        }
        escape(part, &mut name);
    }
    name
}

fn escape(part: &str, into: &mut String) {
    for c in part.chars() {
        // Writing to a String cannot fail.
        let _ = match u32::from(c) {
            _ if c.is_ascii_alphanumeric() || c == '_' => into.write_char(c),
            code @ ..0x10000 => write!(into, "u+{code:04x}"),
            code => write!(into, "U+{code:08x}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_escaped_and_empty_ones_vanish() {
        let cases = [
            (request("EgressInternal", "StartEgress", &[""]), "EgressInternal|StartEgress|REQ"),
            (
                request("Participant", "MutePublishedTrack", &["room1_bob smith@é"]),
                "Participant|MutePublishedTrack|room1_bobu+0020smithu+0040u+00e9|REQ",
            ),
            (
                request("AgentInternal", "JobRequest", &["my-bot.v2", "publisher"]),
                "AgentInternal|JobRequest|myu+002dbotu+002ev2|publisher|REQ",
            ),
            (grant("Room", "DeleteRoom", &["a|b+/"]), "Room|DeleteRoom|au+007cbu+002bu+002f|RCLAIM"),
            (to_server("Signal", "RelaySignal", &["ND_x"]), "Signal|RelaySignal|ND_x|STR"),
            (to_client("Signal", "ND_x"), "Signal|ND_x|STR"),
            (claims("Room", "CLI_1"), "Room|CLI_1|CLAIM"),
            (responses("Room", "😀"), "Room|U+0001f600|RES"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
