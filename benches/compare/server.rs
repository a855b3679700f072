//! A server under test: ours or a reference of the same interface, alone on loopback ports, with what it takes of the
//! machine.

use anyhow::{Context, Result, bail};
use lkops::client::api::Keys;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Whose server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours(PathBuf),
    Reference(PathBuf),
}

impl Kind {
    pub fn is_ours(&self) -> bool {
        matches!(self, Kind::Ours(_))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Kind::Ours(_) => "ours",
            Kind::Reference(_) => "reference",
        }
    }
}

pub struct Server {
    child: Child,
    pub url: String,
    _config: tempfile::NamedTempFile,
}

const KEY: &str = "devkey";
const SECRET: &str = "secretsecretsecretsecretsecretsecret";
/// Ports a server takes: HTTP, ICE over TCP, ICE over UDP.
const PORTS: u16 = 3;
const START: Duration = Duration::from_secs(10);

pub fn keys() -> Keys {
    Keys { key: KEY.to_owned(), secret: SECRET.to_owned() }
}

impl Server {
    /// Starts it and waits until it listens. Each server has ports of its own, counted from `first_port`.
    pub async fn start(kind: &Kind, first_port: u16) -> Result<Server> {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let port = first_port + PORTS * (TAKEN.fetch_add(1, Ordering::Relaxed) % 250);
        let config = tempfile::NamedTempFile::new()?;
        std::fs::write(config.path(), configuration(port))?;
        let child = command(kind, config.path())
            .env_remove("LIVEKIT_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the server ({})", kind.name()))?;
        let server = Server { child, url: format!("ws://127.0.0.1:{port}"), _config: config };
        server.listening(port).await?;
        Ok(server)
    }

    async fn listening(&self, port: u16) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if begun.elapsed() > START {
                bail!("the server does not listen on port {port}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id().context("the server has ended")?)
    }

    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

fn command(kind: &Kind, config: &Path) -> Command {
    let (Kind::Ours(path) | Kind::Reference(path)) = kind;
    let mut command = Command::new(path);
    if kind.is_ours() {
        command.arg("serve");
    }
    command.arg("--config").arg(config);
    command
}

fn configuration(port: u16) -> String {
    let (tcp, udp) = (port + 1, port + 2);
    format!(
        "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nkeys:\n  {KEY}: {SECRET}\nlogging:\n  level: error\nrtc:\n  \
         tcp_port: {tcp}\n  udp_port: {udp}\n  node_ip: 127.0.0.1\n  enable_loopback_candidate: true\n  ips:\n    \
         includes: [\"127.0.0.1/32\"]\n{}",
        std::env::var_os("LKOPS_COMPARE_CONFIG").map_or(String::new(), |more| more.to_string_lossy().into_owned())
    )
}

/// What a process has taken.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu: Duration,
    pub rss_kib: u64,
}

/// Linux counts processor time in hundredths of a second (`sysconf(_SC_CLK_TCK)` is 100 on all its ports we build for).
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    pub fn of(pid: u32) -> Result<Usage> {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{name}")).with_context(|| format!("process {pid}, `{name}`"))
        };
        let status = read("status")?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let stat = read("stat")?;
        // The name in parentheses may hold anything; fields are counted behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u32>().ok()).context("processor time");
        Ok(Usage { rss_kib: rss.trim_end_matches("kB").trim().parse()?, cpu: TICK * (ticks(11)? + ticks(12)?) })
    }
}
