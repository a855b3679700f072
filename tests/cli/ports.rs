use super::lkops::{file, lkops};
use serde_json::json;

#[test]
fn ports_need_no_keys() {
    let expected = "TCP Ports\n7880 - HTTP service\n7881 - ICE/TCP\nUDP Ports\n50000-60000 - ICE/UDP range\n";
    assert_eq!(lkops(&["ports"]).ok(), expected);
}

#[test]
fn turn_and_a_shared_udp_port_are_listed_when_configured() {
    let yaml = "turn: {enabled: true, domain: t.example.com, tls_port: 5349, udp_port: 3478}\n\
                rtc: {udp_port: 7882-7892, tcp_port: 0}\nkey_file: /nonexistent\n";
    let (_file, path) = file(yaml);
    let expected = "TCP Ports\n7880 - HTTP service\n5349 - TURN/TLS\nUDP Ports\n7882-7892 - ICE/UDP\n3478 - TURN/UDP\n";
    assert_eq!(lkops(&["ports", "--config", &path]).ok(), expected);
}

#[test]
fn ports_are_json_on_demand() {
    let ports = lkops(&["ports", "--udp-port", "7882", "-o", "json"]).json();
    assert_eq!(ports["udp"], json!([{"first": 7882, "last": 7882, "service": "ICE/UDP"}]));
}
