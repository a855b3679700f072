use super::lkops::{Run, lkops, lkops_with};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const KEY: [&str; 4] = ["--api-key", "k", "--api-secret", "s"];

fn probe(url: &str, args: &[&str]) -> Run {
    lkops(&[&["probe", url][..], &KEY[..], args].concat())
}

/// The one line that tells why.
fn error(run: &Run) -> &str {
    let mut lines = run.err.lines().filter_map(|line| line.strip_prefix("error: "));
    let line = lines.next().unwrap_or_else(|| panic!("{run:?}"));
    assert_eq!(lines.next(), None, "{run:?}");
    line
}

#[test]
fn a_closed_port_is_told_at_once_with_a_code_of_its_own() {
    #[allow(clippy::disallowed_methods)] // A test may look at the clock.
    let begun = Instant::now();
    let run = probe("ws://127.0.0.1:1", &[]);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(run.code, Some(10));
    assert!(error(&run).starts_with("tcp: cannot connect to 127.0.0.1:1: "), "{run:?}");
    assert!(run.out.contains("✔  dns") && run.out.contains("✘  tcp"), "{run:?}");
    assert!(run.err.starts_with("hint: "), "{run:?}");
}

#[test]
fn a_name_nobody_has_is_told() {
    let run = probe("wss://nobody.invalid", &[]);
    assert_eq!(run.code, Some(10));
    assert!(error(&run).starts_with("dns: cannot find `nobody.invalid`: "), "{run:?}");
}

#[test]
fn json_tells_the_same() {
    let run = probe("ws://127.0.0.1:1", &["-o", "json"]);
    assert_eq!(run.code, Some(10));
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["ok"], &report["trouble"]["fault"]), (&false.into(), &"unreachable".into()));
    assert_eq!((&report["steps"][0]["step"], &report["trouble"]["step"]), (&"dns".into(), &"tcp".into()));
}

/// Answers every request the same.
fn serve(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_server_that_is_none_of_livekits_is_told() {
    let run = probe(&serve("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), &[]);
    assert_eq!(run.code, Some(11), "{run:?}");
    assert!(error(&run).starts_with("websocket (sender): the server refused the connection: 404"), "{run:?}");
    assert!(run.out.contains("404 Not Found"), "{run:?}");
}

#[test]
fn plain_http_where_tls_is_wanted_is_told() {
    let url = serve("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let run = probe(&url.replace("http:", "https:"), &[]);
    assert_eq!(run.code, Some(10), "{run:?}");
    assert!(error(&run).starts_with("tls: cannot agree on TLS with 127.0.0.1: "), "{run:?}");
}

#[test]
fn what_is_asked_must_make_sense() {
    let usage = |args: &[&str]| lkops(&[&["probe"], args].concat()).failed(2).join("\n");
    assert!(usage(&[]).contains("the server's URL is missing; give URL or --dev"));
    assert!(usage(&["ws://h"]).contains("--api-key is missing"));
    assert!(usage(&["ws://h", "--token", "t"]).contains("--token is to be given twice"));
    assert!(usage(&["--dev", "--relay-only", "--tcp-only"]).contains("cannot be used with"));
    assert!(usage(&["--dev", "--metrics-port", "1"]).contains("--every"));
    assert!(usage(&["--dev", "--every", "10ms"]).contains("an interval is 1s or longer"));
    assert!(usage(&["--dev", "--fail-if", "lag>1s"]).contains("there is no figure `lag`"));
    assert!(usage(&["ftp://h", "--api-key", "k"]).contains("--api-secret"));
    let env = [("LIVEKIT_URL", "ftp://h"), ("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET", "s")];
    let run = lkops_with(&["probe"], &env);
    assert_eq!(run.code, Some(10));
    assert!(error(&run).contains("is no URL of a server"), "{run:?}");
}
