//! What to do about media that finds no way: said from what both sides offered and what the TURN servers answered. Called
//! by `run`.

use super::candidate::{Candidate, is_private};
use super::connection::{Lacking, Stages};
use super::path::Path;
use super::report::{Fault, Step, Trouble};
use super::turn::Bridge;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For a look at one of the server's TCP ports.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
/// Pairs told by name; there may be dozens.
const PAIRS_TOLD: usize = 6;

/// Says why a connection did not come about.
pub async fn no_path(lacking: Lacking, stages: &Stages, path: &Path, host: &str, bridges: &[Bridge]) -> Trouble {
    match lacking {
        Lacking::Description => no_description(),
        Lacking::Ice if path.is_relay() => relay_failed(stages, bridges),
        Lacking::Ice => ice_failed(stages, path, host).await,
        Lacking::Dtls => dtls_failed(stages),
    }
}

fn no_description() -> Trouble {
    let trouble = Trouble::at(Fault::Signalling, Step::Ice, "the server does not answer our description");
    trouble.hinting("look into the server's log for this room")
}

fn dtls_failed(stages: &Stages) -> Trouble {
    let message = if stages.failed { "the DTLS handshake failed" } else { "the DTLS handshake does not end" };
    let trouble = Trouble::at(Fault::Dtls, Step::Dtls, message);
    trouble.hinting("ICE works, so the ports are open: look for a firewall that inspects UDP, or a path whose MTU is below 1280 bytes")
}

/// No pair of candidates worked.
async fn ice_failed(stages: &Stages, path: &Path, host: &str) -> Trouble {
    let offered: Vec<&Candidate> = stages.remote.iter().collect();
    if offered.is_empty() {
        return none_offered(path);
    }
    let message = format!("no candidate pair works; tried {}", pairs(stages));
    let mut trouble = Trouble::at(Fault::Ice, Step::Ice, message);
    for candidate in offered.iter().filter(|candidate| candidate.tcp).take(PAIRS_TOLD) {
        trouble = trouble.hinting(look(candidate.address).await);
    }
    advice(&offered, host).into_iter().fold(trouble, Trouble::hinting)
}

fn none_offered(path: &Path) -> Trouble {
    let tcp = matches!(path, Path::Tcp(_));
    let what = if tcp { "the server offers no TCP candidate" } else { "the server offers no candidate" };
    let trouble = Trouble::at(Fault::Ice, Step::Ice, what);
    match tcp {
        true => trouble.hinting("set rtc.tcp_port and open it in the firewall"),
        false => trouble.hinting("check rtc.node_ip, rtc.ips and rtc.interfaces: they leave no address"),
    }
}

/// Local kinds by the remote candidates they go with.
fn pairs(stages: &Stages) -> String {
    let local = |protocol: &str| stages.local.iter().filter(|text| text.contains(&format!(" {protocol} "))).count();
    let told = stages
        .remote
        .iter()
        .take(PAIRS_TOLD)
        .map(|candidate| format!("{candidate} ({}, from {} of ours)", candidate.kind, local(candidate.protocol())));
    let more = stages.remote.len().saturating_sub(PAIRS_TOLD);
    let more = (more > 0).then(|| format!("{more} more"));
    told.chain(more).collect::<Vec<_>>().join(", ")
}

/// Whether anybody listens at a port of the server's.
async fn look(address: SocketAddr) -> String {
    match timeout(LOOK_PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => format!("TCP {address} takes connections, but ICE does not answer on it"),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            format!("TCP {address} refuses connections: nobody listens there, or a firewall rejects them")
        }
        Ok(Err(error)) => format!("TCP {address}: {error}"),
        Err(_) => format!("TCP {address} does not answer: open it in the firewall"),
    }
}

fn advice(offered: &[&Candidate], host: &str) -> Vec<String> {
    let mut all = Vec::new();
    let is_public = !is_local_name(host);
    if is_public && offered.iter().all(|candidate| is_private(candidate.address.ip())) {
        all.push("the server offers private addresses alone: set rtc.use_external_ip: true, or rtc.node_ip".to_owned());
    }
    let mut ports: Vec<u16> = offered.iter().filter(|c| !c.tcp).map(|c| c.address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    if let (Some(first), Some(last)) = (ports.first(), ports.last()) {
        let ports = if first == last { first.to_string() } else { format!("{first} to {last}") };
        all.push(format!("open UDP {ports} to the server in every firewall; `lkops ports` lists all it needs"));
    }
    if !offered.iter().any(|candidate| candidate.tcp) {
        all.push("it offers no TCP either: set rtc.tcp_port for networks without UDP".to_owned());
    }
    all
}

/// Names and addresses that mean this machine or its network.
fn is_local_name(host: &str) -> bool {
    host.parse().map_or_else(|_| host == "localhost" || host.ends_with(".local"), is_private)
}

/// The TURN servers were asked in vain.
pub fn no_allocation(bridges: &[Bridge]) -> Trouble {
    let told: Vec<String> = bridges.iter().map(|bridge| format!("{}: {}", bridge.url, bridge.view().why())).collect();
    let why = told.join("; ");
    let trouble = Trouble::at(Fault::Turn, Step::Turn, format!("no TURN server allocates: {why}"));
    trouble.hinting(hint_for_turn(&why))
}

/// The server names none.
pub fn no_turn(offered: &[String]) -> Trouble {
    let others =
        if offered.is_empty() { "no ICE servers at all".to_owned() } else { format!("only {}", offered.join(", ")) };
    let trouble = Trouble::at(Fault::Turn, Step::Turn, format!("the server offers no TURN server, {others}"));
    trouble.hinting("set turn.enabled: true, or name servers in rtc.turn_servers")
}

fn hint_for_turn(why: &str) -> &'static str {
    match why {
        _ if why.contains("certificate") => {
            "check turn.cert_file: its name must be turn.domain, its dates valid, its chain whole; or let a proxy end TLS with turn.external_tls"
        }
        _ if why.contains("cannot find") => "check turn.domain in the DNS",
        _ if why.contains(": 401") => {
            "the credentials the server hands out are not those its TURN server takes: check rtc.turn_servers, or clocks"
        }
        _ if why.contains(": 403") => "the TURN server forbids this client's address",
        _ if why.contains(": 486") || why.contains(": 508") => {
            "the TURN server has no relay ports left: widen turn.relay_range_start to relay_range_end"
        }
        _ => {
            "open the TURN port (turn.udp_port, turn.tls_port) in every firewall, and check that turn.domain leads to it"
        }
    }
}

/// There is an allocation, and nothing comes through it.
fn relay_failed(stages: &Stages, bridges: &[Bridge]) -> Trouble {
    let views = bridges.iter().map(|bridge| (&bridge.url, bridge.view()));
    let (relays, refused): (Vec<_>, Vec<_>) = views.partition(|(_, view)| view.forbidden.is_none());
    if let Some((url, refusal)) = refused.first().and_then(|(url, view)| Some((url, view.forbidden.as_ref()?))) {
        let message = format!("{url} refuses permission to reach the server's media: {refusal}");
        let trouble = Trouble::at(Fault::Turn, Step::Ice, message);
        return trouble
            .hinting("allow the TURN server to relay to the media node's addresses (denied peers, private networks)");
    }
    let permitted: u32 = relays.iter().map(|(_, view)| view.permitted).sum();
    let tried = pairs(stages);
    let message = format!("the relay gave {permitted} permissions, but nothing comes back through it; tried {tried}");
    let trouble = Trouble::at(Fault::Turn, Step::Ice, message);
    trouble.hinting("the TURN server must reach the node's UDP ports, and they must let its relay ports in")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(text: &str) -> Candidate {
        Candidate::parse(&format!("candidate:1 1 {text} typ host")).unwrap()
    }

    fn stages(remote: &[&str]) -> Stages {
        let local = vec!["host udp 10.0.0.9:4".to_owned(), "host tcp 10.0.0.9:9".to_owned()];
        Stages { local, remote: remote.iter().map(|text| candidate(text)).collect(), ..Stages::default() }
    }

    #[tokio::test]
    async fn pairs_ports_and_addresses_are_told() {
        let stages = stages(&["udp 1 10.0.0.1 7882", "udp 1 10.0.0.1 7884"]);
        let path = Path::Any([10, 0, 0, 9].into());
        let trouble = no_path(Lacking::Ice, &stages, &path, "sfu.example.com", &[]).await;
        assert!(trouble.message.contains("udp 10.0.0.1:7882 (host, from 1 of ours)"), "{trouble:?}");
        let hints = trouble.hints.join("\n");
        assert!(hints.contains("rtc.use_external_ip") && hints.contains("UDP 7882 to 7884"), "{hints}");
        assert!(hints.contains("rtc.tcp_port"));
        let near = no_path(Lacking::Ice, &stages, &path, "10.0.0.1", &[]).await;
        assert!(!near.hints.join("\n").contains("use_external_ip"), "the URL is private too");
    }

    #[tokio::test]
    async fn a_closed_tcp_port_is_looked_at() {
        let stages = stages(&["tcp 1 127.0.0.1 1"]);
        let trouble = no_path(Lacking::Ice, &stages, &Path::Tcp([127, 0, 0, 1].into()), "127.0.0.1", &[]).await;
        assert!(trouble.hints[0].starts_with("TCP 127.0.0.1:1 refuses connections"), "{trouble:?}");
    }

    #[tokio::test]
    async fn a_server_without_candidates_is_told() {
        let trouble = no_path(Lacking::Ice, &stages(&[]), &Path::Tcp([10, 0, 0, 9].into()), "h", &[]).await;
        assert_eq!((trouble.fault, trouble.message.as_str()), (Fault::Ice, "the server offers no TCP candidate"));
    }

    #[test]
    fn no_turn_server_is_told_with_what_there_is() {
        assert!(no_turn(&[]).message.ends_with("no ICE servers at all"));
        assert!(no_turn(&["stun:h".into()]).message.ends_with("only stun:h"));
    }
}
