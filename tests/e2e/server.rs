//! A real server of a test's own on free loopback ports, with its log.

use lkops::client::api::{Api, Keys};
use lkops::client::media::{AudioSource, VideoSource};
use lkops::client::stats::{Stats, TrackStats};
use lkops::client::{Engine, Options, Participant};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

/// How long what must happen soon may take: on a machine that has other work as well.
pub const PATIENCE: Duration = Duration::from_secs(20);

const KEY: &str = "devkey";
const SECRET: &str = "secretsecretsecretsecretsecretsecret";

/// How a server differs from the usual one.
#[derive(Clone, Debug)]
pub struct Setup {
    pub ip: IpAddr,
    /// Further lines of the configuration's `rtc` section, and whole sections.
    pub rtc: &'static str,
    pub more: &'static str,
    pub env: Vec<(&'static str, String)>,
    /// The network namespace it runs in, of which `ip` is an address.
    pub namespace: Option<String>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { ip: IpAddr::from([127, 0, 0, 1]), rtc: "", more: "", env: Vec::new(), namespace: None }
    }
}

pub struct Server {
    child: Child,
    pub url: String,
    pub udp_port: u16,
    log: watch::Receiver<Vec<String>>,
    _config: tempfile::NamedTempFile,
}

/// All participants of all tests share two media threads.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::start(2).expect("media threads start"))
}

/// The server under test; measurements may name another build of it.
#[allow(clippy::disallowed_methods)]
fn binary() -> String {
    std::env::var("LKOPS_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_lkops").to_owned())
}

fn command(namespace: Option<&str>) -> Command {
    match namespace {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name, &binary()]);
            command
        }
        None => Command::new(binary()),
    }
}

/// In a namespace of its own nobody else has any.
const NAMESPACE_PORTS: [u16; 3] = [7880, 7881, 7882];

/// Ports that were free a moment ago.
fn free_ports(ip: IpAddr) -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind(SocketAddr::new(ip, 0)).expect("a free port"));
    listeners.map(|l| l.local_addr().expect("a bound address").port())
}

impl Server {
    pub async fn start() -> Server {
        Server::with(Setup::default()).await
    }

    /// Tries other ports when somebody else took one in between.
    pub async fn with(setup: Setup) -> Server {
        for _ in 0..5 {
            if let Some(server) = Server::try_start(&setup).await {
                return server;
            }
        }
        panic!("the server does not start: {setup:?}");
    }

    async fn try_start(setup: &Setup) -> Option<Server> {
        let ports = setup.namespace.as_ref().map(|_| NAMESPACE_PORTS);
        let [port, tcp_port, udp_port] = ports.unwrap_or_else(|| free_ports(setup.ip));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config(setup, port, tcp_port, udp_port)).unwrap();
        let mut child = command(setup.namespace.as_deref())
            .args(["serve", "--config"])
            .arg(file.path())
            .env_clear()
            .envs(setup.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        let log = follow(child.stderr.take().expect("piped"));
        let url = format!("ws://{}", SocketAddr::new(setup.ip, port));
        let server = Server { child, url, udp_port, log, _config: file };
        server.logged(|line| line["fields"]["message"] == "listening").await.then_some(server)
    }

    pub fn api(&self) -> Api {
        Api::new(&self.url, keys()).unwrap()
    }

    pub fn options(&self, room: &str, identity: &str) -> Options {
        Options::new(&self.url, keys().join(room, identity))
    }

    pub async fn join(&self, room: &str, identity: &str) -> Participant {
        self.join_with(self.options(room, identity)).await
    }

    /// Joined and connected.
    pub async fn join_with(&self, options: Options) -> Participant {
        let participant = Participant::join(engine(), options).await.unwrap_or_else(|e| panic!("{e}\n{}", self.text()));
        if let Err(error) = participant.connected(PATIENCE).await {
            panic!("{error}: {:?}\n{}", *participant.view(), self.text());
        }
        participant
    }

    /// Waits for a line of the log; false if the server ends or takes too long.
    pub async fn logged(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> bool {
        let mut log = self.log.clone();
        let has =
            |lines: &Vec<String>| lines.iter().any(|line| serde_json::from_str(line).is_ok_and(|json| wanted(&json)));
        matches!(timeout(3 * PATIENCE, log.wait_for(has)).await, Ok(Ok(_)))
    }

    /// All lines of the log so far; every one is JSON.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        let log = self.log.borrow();
        log.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    pub fn text(&self) -> String {
        self.log.borrow().join("\n")
    }

    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the server runs").to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.unwrap();
        assert!(status.success());
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub async fn exit(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("the server does not end\n{}", self.text())).unwrap()
    }
}

pub fn keys() -> Keys {
    Keys { key: KEY.to_owned(), secret: SECRET.to_owned() }
}

fn config(setup: &Setup, port: u16, tcp_port: u16, udp_port: u16) -> String {
    let Setup { ip, rtc, more, .. } = setup;
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    format!(
        "port: {port}\nbind_addresses: [\"{ip}\"]\nkeys:\n  {KEY}: {SECRET}\nlogging:\n  json: true\nrtc:\n  \
         tcp_port: {tcp_port}\n  udp_port: {udp_port}\n  node_ip: \"{ip}\"\n  enable_loopback_candidate: true\n  \
         ips:\n    includes: [\"{ip}/{bits}\"]\n{rtc}\n{more}\n"
    )
}

/// Reads a log into memory; the channel closes with it.
fn follow(stderr: tokio::process::ChildStderr) -> watch::Receiver<Vec<String>> {
    let (sender, receiver) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|log| log.push(line));
        }
    });
    receiver
}

/// Asks for media statistics until they satisfy; fails with the last ones.
pub async fn until_stats(participant: &Participant, what: &str, holds: impl Fn(&Stats) -> bool) -> Stats {
    let mut looks = interval(Duration::from_millis(20));
    let mut last = Stats::default();
    let looking = async {
        loop {
            looks.tick().await;
            last = participant.stats().await.expect("the session lasts");
            if holds(&last) {
                return;
            }
        }
    };
    let done = timeout(PATIENCE, looking).await;
    assert!(done.is_ok(), "not within {PATIENCE:?}: {what}\n{last:#?}");
    last
}

/// Publishes a microphone and a camera.
pub async fn publish(participant: &Participant) {
    participant.publish_audio("mic", AudioSource::default()).await.unwrap();
    let camera = VideoSource { fps: 20, ..VideoSource::p360(250_000) };
    participant.publish_video("cam", camera).await.unwrap();
}

/// Has received that many tracks, each for a while.
pub fn receives(stats: &Stats, tracks: usize, frames: u64) -> bool {
    stats.received.len() == tracks && stats.received.iter().all(|t| t.frames >= frames)
}

/// Nothing of what was sent is missing. Loopback loses nothing, so neither may we.
pub fn assert_flawless(who: &str, track: &TrackStats) {
    let faults = (track.lost, track.skipped, track.duplicates, track.frames_broken);
    assert_eq!(faults, (0, 0, 0, 0), "{who}: {track:#?}");
}

/// Waits until all tracks have gone on for so many frames from now.
pub async fn goes_on(participant: &Participant, frames: u64) -> Stats {
    let before = participant.stats().await.unwrap();
    let went_on = |stats: &Stats| {
        before.received.iter().all(|t| stats.track(&t.track_sid).is_some_and(|now| now.frames >= t.frames + frames))
    };
    until_stats(participant, "media goes on", went_on).await
}
