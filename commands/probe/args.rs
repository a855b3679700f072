//! The flags of `lkops probe`.

use crate::exit::Failure;
use crate::print::Format;
use lkops::client::api::Keys;
use lkops::probe::threshold::Threshold;
use lkops::probe::{Access, Settings};
use std::time::Duration;

const MORE: &str = "Examples:
  lkops probe --dev
  lkops probe wss://live.example.com --api-key KEY --api-secret SECRET --fail-if 'join>2s' --fail-if 'loss>1%'
  lkops probe wss://live.example.com --relay-only
  lkops probe wss://live.example.com --every 1m --metrics-port 9464

Figures for --fail-if: join (from the first look-up to the first packet), loss, jitter, latency_p50, latency_p95, data
(median round trip of data messages). Of audio and video the worse one counts.

Exit codes: 0 all is well, 1 something on this machine, 2 usage, 4 a --fail-if condition was met, 10 the server cannot be
reached (DNS, TCP, TLS, HTTP), 11 it refused us (key, token), 12 signalling went wrong, 13 TURN, 14 ICE, 15 DTLS, 16 no
media or data came. With --every the exit code tells of the service itself: 0 when it is stopped.";

#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// URL of the server: ws://, wss://, http:// or https://
    #[arg(env = "LIVEKIT_URL", hide_env_values = true)]
    url: Option<String>,
    #[arg(long, env = "LIVEKIT_API_KEY", hide_env_values = true, help = "API key")]
    api_key: Option<String>,
    /// Secret of the key
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    api_secret: Option<String>,
    /// Token to join by in place of a key; to be given twice, first for who publishes, then for who subscribes
    #[arg(long, value_name = "TOKEN", conflicts_with = "dev")]
    token: Vec<String>,
    /// A server in development mode on this machine: its URL, key and secret
    #[arg(long)]
    dev: bool,
    /// Room to meet in [default: a random one]
    #[arg(long)]
    room: Option<String>,
    /// How long media is measured
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = lkops::config::parse_duration)]
    duration: Duration,
    /// Send media through the server's TURN servers and no other way
    #[arg(long, conflicts_with = "tcp_only")]
    relay_only: bool,
    /// Send media over TCP and no other way
    #[arg(long)]
    tcp_only: bool,
    /// Exit with 4 if that holds, such as join>2s, loss>1%, latency_p95>100ms; may be repeated
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Threshold>,
    /// Probe again and again at this interval, a line each
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub every: Option<Duration>,
    /// Show the results as lkops_probe_* metrics at http://:PORT/metrics
    #[arg(long, value_name = "PORT", requires = "every")]
    pub metrics_port: Option<u16>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

const DEV_URL: &str = "ws://127.0.0.1:7880";
const DEV_KEY: &str = "devkey";
const DEV_SECRET: &str = "secret";

/// Shortest interval: a probe is a join of two people.
const EVERY_MIN: Duration = Duration::from_secs(1);

fn interval(text: &str) -> Result<Duration, String> {
    let every = lkops::config::parse_duration(text).map_err(|error| error.to_string())?;
    if every < EVERY_MIN { Err("an interval is 1s or longer".to_owned()) } else { Ok(every) }
}

impl Args {
    pub fn settings(&self) -> Result<Settings, Failure> {
        let missing = |what: &str| Failure::Usage(format!("the server's {what} is missing; give {what} or --dev"));
        let url = self.url.clone().or_else(|| self.dev.then(|| DEV_URL.to_owned())).ok_or_else(|| missing("URL"))?;
        Ok(Settings {
            url,
            access: self.access()?,
            room: self.room.clone().unwrap_or_else(|| lkops::proto::id::random("lkops-probe-")),
            duration: self.duration,
            relay_only: self.relay_only,
            tcp_only: self.tcp_only,
            fail_if: self.fail_if.clone(),
        })
    }

    fn access(&self) -> Result<Access, Failure> {
        match &self.token[..] {
            [] => self.keys().map(Access::Keys),
            [sender, receiver] => Ok(Access::Tokens([sender.clone(), receiver.clone()])),
            _ => {
                let why = "--token is to be given twice: nobody receives their own media, so two people must join";
                Err(Failure::Usage(why.to_owned()))
            }
        }
    }

    fn keys(&self) -> Result<Keys, Failure> {
        let missing = |what: &str| Failure::Usage(format!("{what} is missing; give {what}, --token or --dev"));
        let dev = |text: &str| self.dev.then(|| text.to_owned());
        let key = dev(DEV_KEY).or_else(|| self.api_key.clone()).ok_or_else(|| missing("--api-key"))?;
        let secret = dev(DEV_SECRET).or_else(|| self.api_secret.clone()).ok_or_else(|| missing("--api-secret"))?;
        Ok(Keys { key, secret })
    }
}
