//! The flags of `lkops load-test`: all of LiveKit's own load tester with their meaning, and ours.

use super::crew::{CrewArgs, WorkerArgs};
use crate::exit::Failure;
use anyhow::Context;
use lkops::client::Mode;
use lkops::client::api::Keys;
use lkops::client::media::VideoCodec;
use lkops::load::Setup;
use lkops::load::camera::Resolution;
use lkops::load::language;
use lkops::load::scenario;
use lkops::load::shape::{Group, Layout, People, Shape, ShapeError, Traits};
use lkops::load::threshold::Threshold;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  lkops load-test --dev --video-publishers 1 --subscribers 10 --duration 10s
  lkops load-test --url ws://host:7880 --participants 4 --rooms 25 --fail-if 'join_p95>500ms' --fail-if 'loss>0.5%'
  lkops load-test --dev --duration 1m --shape '25x(4av) + 1x(1v,800s) + 10x(6a,churn=5/min,data=20hz)'

Shapes: NUMBERx(people,traits), joined by +. People are a number and letters: a microphone, v camera, d display; they
watch and hear each other unless p (publishes only) is among the letters; s only subscribes. Traits: churn=5/min,
data=20hz, data-bytes=200, reliable, layout=3x3, codec=vp9, resolution=low, simulcast=off, key-frames=2s, loss=1%
(of what they receive), tcp, relay (by the server's TURN over UDP), speakers.

Exit codes: 0 done, 1 no run, 2 usage, 3 some joins failed or sessions were lost, 4 a --fail-if condition was met.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Let the load grow until a --fail-if condition is met, and name what was in the way
    FindCapacity(Box<CapacityArgs>),
    /// Measure what packets, bursts, people and tracks cost a server on this machine, for `lkops plan`
    Calibrate(CalibrateArgs),
    /// Make a part of the load another process, on any machine, asks for over Redis
    Worker(WorkerArgs),
}

#[derive(Debug, clap::Args)]
pub struct CapacityArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// What grows
    #[arg(long, value_enum, default_value_t)]
    pub grow: Grow,
    /// Times the given numbers at most
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub max: u32,
}

/// What grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Grow {
    #[default]
    Rooms,
    Subscribers,
}

#[derive(Debug, clap::Args)]
pub struct CalibrateArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The server's process on this machine
    #[arg(long, value_name = "PID")]
    pub server_pid: u32,
    /// Time of each run
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = lkops::config::parse_duration)]
    pub duration: Duration,
    /// How often each of the eight shapes is run; the run in the middle counts
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// Measure although other processes are busy; the result tells how much they took
    #[arg(long)]
    pub busy: bool,
    /// What to call this machine
    #[arg(long, value_name = "NAME", default_value = "this machine")]
    pub machine: String,
    /// Where the result goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub crew: CrewArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Name of the room; several are numbered [default: a random one]
    #[arg(long)]
    room: Option<String>,
    /// Time to measure once all have joined, such as 30s or 5m [default: until stopped]
    #[arg(long, value_name = "DURATION", value_parser = lkops::config::parse_duration)]
    duration: Option<Duration>,
    /// Participants of each room that publish video and watch nobody
    #[arg(long, visible_alias = "publishers", value_name = "NUMBER", default_value_t = 0)]
    video_publishers: u32,
    /// Participants of each room that publish audio and hear nobody; as far as they go, the same as the video publishers
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    audio_publishers: u32,
    /// Participants of each room that subscribe
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    subscribers: u32,
    /// Participants of each room that publish audio and video and subscribe to all others
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    participants: u32,
    /// Number of such rooms
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    rooms: u32,
    /// Rooms and people in the shape language, in place of the numbers above
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["video_publishers", "audio_publishers", "subscribers", "participants", "rooms"])]
    shape: Option<String>,
    /// Rooms with times of their own and storms, from a YAML file, in place of the numbers above
    #[arg(long, value_name = "FILE", conflicts_with_all = ["video_publishers", "audio_publishers", "subscribers", "participants", "rooms", "shape"])]
    scenario: Option<PathBuf>,
    /// What identities begin with [default: a random text]
    #[arg(long, value_name = "PREFIX")]
    identity_prefix: Option<String>,
    /// Highest encoding of published video
    #[arg(long, value_name = "QUALITY", default_value = "high", value_parser = resolution)]
    video_resolution: Resolution,
    /// Codec of published video: vp8, h264, vp9 or av1 [default: vp8 and h264 in turns for --video-publishers, vp8 for
    /// --participants and --shape]
    #[arg(long, value_name = "CODEC", value_parser = codec)]
    video_codec: Option<VideoCodec>,
    /// Participants that arrive each second, whether or not the server copes [default: 5]
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    num_per_second: Option<f64>,
    /// Whose video subscribers watch: all, speaker (1 large, 5 small), 3x3 (medium), 4x4, 5x5 (small); all audio is heard
    /// [default: speaker for --subscribers, all for --participants and --shape]
    #[arg(long, value_parser = layout)]
    layout: Option<Layout>,
    /// Publish one encoding of each video instead of simulcast
    #[arg(long)]
    no_simulcast: bool,
    /// Announce changing speakers
    #[arg(long)]
    simulate_speakers: bool,
    /// Run LiveKit's set of cases, one after the other, in place of the numbers above
    #[arg(long, conflicts_with_all = ["shape", "scenario"])]
    pub run_all: bool,
    /// One peer connection for each participant instead of two
    #[arg(long)]
    single_connection: bool,
    /// Media threads [default: the machine's cores]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
    /// Watch the server process of that id on this machine: CPU per packet, memory, dropped datagrams
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Read the server's own figures from this page in the Prometheus text format at both ends
    #[arg(long, value_name = "URL")]
    metrics_url: Option<String>,
    /// Exit with 4 if that holds at the end, such as join_p95>500ms, loss>0.5%, latency_p99>100ms; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<Threshold>,
    /// Write a page with charts as well
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Show what `lkops plan` predicts beside what was measured
    #[arg(long)]
    pub verify_plan: bool,
    /// Calibration for --verify-plan [default: the shipped one]
    #[arg(long, value_name = "FILE", requires = "verify_plan")]
    pub calibration: Option<PathBuf>,
    /// Compare with an earlier run's -o json
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Form of the results
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The form of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
    /// A line for each received track
    Csv,
}

/// Where the server is and who may use it.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// URL of the server, ws:// or http://
    #[arg(long, env = "LIVEKIT_URL", hide_env_values = true)]
    url: Option<String>,
    #[arg(long, env = "LIVEKIT_API_KEY", hide_env_values = true, help = "API key")]
    api_key: Option<String>,
    /// Secret of the key
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    api_secret: Option<String>,
    /// A server in development mode on this machine: its URL, key and secret
    #[arg(long)]
    dev: bool,
}

/// A shape with its times, from flags or a file.
struct Course {
    shape: Shape,
    shape_text: String,
    duration: Option<Duration>,
    per_second: f64,
}

/// As in LiveKit's load tester.
const PER_SECOND: f64 = 5.0;

const DEV_URL: &str = "ws://127.0.0.1:7880";
const DEV_KEY: &str = "devkey";
const DEV_SECRET: &str = "secret";

impl ServerArgs {
    /// URL and keys; what `--dev` leaves open comes from the flags.
    pub fn place(&self) -> Result<(String, Keys), Failure> {
        let dev = |text: &str| self.dev.then(|| text.to_owned());
        let missing = |what: &str| Failure::Usage(format!("the server's {what} is missing; give {what} or --dev"));
        let url = self.url.clone().or_else(|| dev(DEV_URL)).ok_or_else(|| missing("--url"))?;
        let key = dev(DEV_KEY).or_else(|| self.api_key.clone()).ok_or_else(|| missing("--api-key"))?;
        let secret = dev(DEV_SECRET).or_else(|| self.api_secret.clone()).ok_or_else(|| missing("--api-secret"))?;
        Ok((url, Keys { key, secret }))
    }
}

impl RunArgs {
    pub fn setup(&self) -> Result<Setup, Failure> {
        let (url, keys) = self.server.place()?;
        let Course { shape, shape_text, duration, per_second } = self.course()?;
        let shape_failed = |error: ShapeError| Failure::Usage(error.to_string());
        shape.check().map_err(shape_failed)?;
        if let Some(room) = self.room.clone().filter(|_| shape.rooms() > 1 && self.rooms == 1 && self.shape.is_none()) {
            return Err(shape_failed(ShapeError::NamedRooms(room)));
        }
        Ok(Setup {
            url,
            keys,
            shape,
            shape_text,
            room: self.room.clone().unwrap_or_else(|| lkops::proto::id::random("load-")),
            identity_prefix: self.identity_prefix.clone().unwrap_or_else(|| lkops::proto::id::random("t")),
            per_second,
            duration: duration.filter(|d| !d.is_zero()),
            threads: self.workers(),
            mode: if self.single_connection { Mode::Single } else { Mode::Dual },
            server_pid: self.server_pid,
            metrics_url: self.metrics_url.clone(),
        })
    }

    pub fn workers(&self) -> usize {
        self.threads.unwrap_or_else(cores).clamp(1, 256)
    }

    /// Of our own flags, or of those of LiveKit's load tester, which has other defaults.
    fn traits(&self, layout: Layout) -> Traits {
        let own = Some(VideoCodec::Vp8).filter(|_| layout == Layout::All);
        Traits {
            layout: self.layout.unwrap_or(layout),
            codec: self.video_codec.or(own),
            resolution: self.video_resolution,
            simulcast: !self.no_simulcast,
            speakers: self.simulate_speakers,
            ..Traits::default()
        }
    }

    fn course(&self) -> Result<Course, Failure> {
        let per_second = self.num_per_second.unwrap_or(PER_SECOND);
        let Some(path) = &self.scenario else {
            let (shape, shape_text) = self.shape()?;
            return Ok(Course { shape, shape_text, duration: self.duration, per_second });
        };
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = scenario::parse(&text, &self.traits(Layout::All));
        let read = read.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        Ok(Course {
            shape: read.shape,
            shape_text: path.display().to_string(),
            duration: self.duration.or(read.duration),
            per_second: self.num_per_second.or(read.per_second).unwrap_or(PER_SECOND),
        })
    }

    /// The shape, and as text.
    fn shape(&self) -> Result<(Shape, String), Failure> {
        if let Some(text) = &self.shape {
            let shape = language::parse(text, &self.traits(Layout::All));
            return Ok((shape.map_err(|error| Failure::Usage(error.to_string()))?, text.clone()));
        }
        let people = self.people();
        let layout = if self.participants > 0 { Layout::All } else { Layout::Speaker };
        let group = Group { rooms: self.rooms, people, traits: self.traits(layout), ..Group::default() };
        let text = language::text(&group);
        Ok((Shape { groups: vec![group], ..Shape::default() }, text))
    }

    /// As LiveKit's load tester has it: the first publishers publish both, and none subscribes. Without any number: one
    /// publisher and one subscriber.
    fn people(&self) -> Vec<People> {
        let (video, audio) = (self.video_publishers, self.audio_publishers);
        let both = video.min(audio);
        let none = video + audio + self.subscribers + self.participants == 0;
        let (video, subscribers) = if none { (1, 1) } else { (video, self.subscribers) };
        let publishers = |count, audio, video| People { count, audio, video, ..People::default() };
        let all = [
            publishers(both, true, true),
            publishers(video - both, false, true),
            publishers(audio - both, true, false),
            People { subscribes: true, ..publishers(self.participants, true, true) },
            People { subscribes: true, ..publishers(subscribers, false, false) },
        ];
        all.into_iter().filter(|people| people.count > 0).collect()
    }
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl CalibrateArgs {
    /// One of the runs.
    pub fn setup(&self, text: &str) -> Result<Setup, Failure> {
        let (url, keys) = self.server.place()?;
        let shape = language::parse(text, &Traits::default()).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Setup {
            url,
            keys,
            shape,
            shape_text: text.to_owned(),
            room: lkops::proto::id::random("load-"),
            identity_prefix: lkops::proto::id::random("t"),
            per_second: CALIBRATE_PER_SECOND,
            duration: Some(self.duration),
            threads: cores(),
            mode: Mode::Dual,
            server_pid: Some(self.server_pid),
            metrics_url: None,
        })
    }
}

/// Joins are not what is measured.
const CALIBRATE_PER_SECOND: f64 = 20.0;

fn named<T>(name: &str, found: Option<T>, names: &[&str]) -> Result<T, String> {
    found.ok_or_else(|| format!("`{name}` is none of {}", names.join(", ")))
}

fn layout(text: &str) -> Result<Layout, String> {
    named(text, Layout::from_name(text), &Layout::NAMES.map(|(name, _)| name))
}

fn codec(text: &str) -> Result<VideoCodec, String> {
    named(text, VideoCodec::from_name(text), &["vp8", "h264", "vp9", "av1"])
}

fn resolution(text: &str) -> Result<Resolution, String> {
    named(text, Resolution::from_name(text), &Resolution::NAMES.map(|(name, _)| name))
}

fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("nobody would ever arrive".to_owned()) }
}
