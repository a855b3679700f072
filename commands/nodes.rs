//! `lkops nodes`: the nodes of a cluster, their rooms and people, read from Redis. Stock nodes and ours alike.

use crate::config_args::ConfigArgs;
use crate::exit::Failure;
use crate::print::{self, Format};
use crate::table::{self, Column, lasting, rate};
use lkops::cluster::Store;
use lkops::config::Purpose;
use lkops::ops::nodes::{self, PersonSummary, RoomSummary, Summary};
use serde::Serialize;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Args)]
struct ListArgs {
    #[command(flatten)]
    view: View,
}

/// Where to look, and how to tell.
#[derive(clap::Args)]
struct View {
    /// Form of the output; a table leaves out the columns for which a terminal has no room
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print everything a node tells of itself, and its rooms
    Inspect(InspectArgs),
    /// List rooms, the fullest first
    Rooms(RoomsArgs),
    /// List the people of a room or of a node
    Participants(ParticipantsArgs),
}

#[derive(clap::Args)]
struct InspectArgs {
    /// The node's id, a part of it that no other begins with, or its address
    node: String,
    #[command(flatten)]
    view: View,
}

#[derive(clap::Args)]
struct RoomsArgs {
    /// Only this node's
    node: Option<String>,
    #[command(flatten)]
    view: View,
}

#[derive(clap::Args)]
struct ParticipantsArgs {
    /// The room
    #[arg(required_unless_present = "node")]
    room: Option<String>,
    /// All rooms of this node
    #[arg(long, conflicts_with = "room")]
    node: Option<String>,
    #[command(flatten)]
    view: View,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.command {
            None => list(&args.list.view).await,
            Some(Command::Inspect(args)) => inspect(args).await,
            Some(Command::Rooms(args)) => rooms(args).await,
            Some(Command::Participants(args)) => participants(args).await,
        }
    })
}

/// The store the configuration names.
pub async fn connect(config: &ConfigArgs) -> Result<Store, Failure> {
    let redis = config.load(Purpose::Inspect)?.config.redis;
    if !redis.is_configured() {
        return Err(Failure::Usage("no Redis is configured; give --config or --redis-host".into()));
    }
    Ok(Store::connect(&redis).await?)
}

/// The cluster's time.
fn now_s(store: &Store) -> i64 {
    store.redis().clock().unix_s()
}

impl View {
    fn show<T: Serialize>(&self, data: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.output {
            Format::Text => print::line(text()),
            Format::Json => print::json(&serde_json::to_value(data)?),
        }
    }
}

async fn list(view: &View) -> Result<(), Failure> {
    let store = connect(&view.config).await?;
    let nodes = nodes::list(&store, now_s(&store)).await?;
    view.show(&nodes, || table_of_nodes(&nodes))
}

/// What else there is `inspect` shows.
fn table_of_nodes(nodes: &[Summary]) -> String {
    use Column::{Left, Right};
    let columns = [
        Left("NODE"),
        Left("STATE"),
        Left("REGION"),
        Right("ROOMS"),
        Right("PEOPLE"),
        Right("TRACKS"),
        Right("CPU"),
        Right("LOAD"),
        Right("IN"),
        Right("OUT"),
        Right("AGE"),
        Left("VERSION"),
    ];
    let row = |n: &Summary| {
        vec![
            n.id.clone(),
            state(n),
            n.region.clone(),
            n.rooms.to_string(),
            n.people.to_string(),
            format!("{}/{}", n.tracks_in, n.tracks_out),
            format!("{:.0}%", n.cpu * 100.0),
            format!("{:.2}", n.load),
            rate(n.bits_in_per_second),
            rate(n.bits_out_per_second),
            lasting(n.age_s),
            n.version.clone(),
        ]
    };
    table::fitting(&columns, &nodes.iter().map(row).collect::<Vec<_>>(), print::width())
}

/// How long the silent have been so; of the others it says nothing.
fn state(node: &Summary) -> String {
    match node.heard_s.filter(|_| !node.is_here()) {
        Some(seconds) => format!("{} {}", node.state, lasting(seconds)),
        None => node.state.to_owned(),
    }
}

async fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let store = connect(&args.view.config).await?;
    let all = store.nodes().await?;
    let node = nodes::find(&all, &args.node)?;
    let rooms = nodes::rooms(&store, Some(&node.id), now_s(&store)).await?;
    let listed = nodes::list(&store, now_s(&store)).await?;
    let summary = listed.into_iter().find(|known| known.id == node.id).unwrap_or_default();
    let data = serde_json::json!({"summary": summary, "node": node, "rooms": rooms});
    args.view.show(&data, || {
        let facts = facts(&summary).into_iter().map(|(name, value)| format!("{name:<10} {value}"));
        let facts = facts.collect::<Vec<_>>().join("\n");
        if rooms.is_empty() { facts } else { format!("{facts}\n\n{}", table_of_rooms(&rooms)) }
    })
}

fn facts(n: &Summary) -> Vec<(&'static str, String)> {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    vec![
        ("node", n.id.clone()),
        ("state", n.state.to_owned()),
        ("version", or_none(&n.version)),
        ("region", or_none(&n.region)),
        ("ip", or_none(&n.ip)),
        ("age", lasting(n.age_s)),
        ("heard", n.heard_s.map_or("never".to_owned(), |s| format!("{} ago", lasting(s.max(0))))),
        ("rooms", n.rooms.to_string()),
        ("people", n.people.to_string()),
        ("tracks", format!("{} published, {} subscribed", n.tracks_in, n.tracks_out)),
        ("cpu", format!("{:.0}% of {}", n.cpu * 100.0, n.cpus)),
        ("load", format!("{:.2}", n.load)),
        ("memory", format!("{:.1} of {:.1} GiB", gib(n.memory_used_bytes), gib(n.memory_total_bytes))),
        ("bit rate", format!("{} in, {} out", bit_rate(n.bits_in_per_second), bit_rate(n.bits_out_per_second))),
    ]
}

/// `1.5 Mbit/s`.
fn bit_rate(bits_per_second: f32) -> String {
    let text = rate(bits_per_second);
    let number = text.trim_end_matches(char::is_alphabetic);
    format!("{number} {}bit/s", &text[number.len()..])
}

async fn rooms(args: &RoomsArgs) -> Result<(), Failure> {
    let store = connect(&args.view.config).await?;
    let node = match &args.node {
        Some(wanted) => Some(nodes::find(&store.nodes().await?, wanted)?.id.clone()),
        None => None,
    };
    let rooms = nodes::rooms(&store, node.as_deref(), now_s(&store)).await?;
    args.view.show(&rooms, || table_of_rooms(&rooms))
}

fn table_of_rooms(rooms: &[RoomSummary]) -> String {
    use Column::{Left, Right};
    let columns = [Left("ROOM"), Left("SID"), Left("NODE"), Right("PEOPLE"), Right("PUBLISHERS"), Right("AGE")];
    let row = |r: &RoomSummary| {
        let numbers = [r.people.to_string(), r.publishers.to_string(), lasting(r.age_s)];
        [r.room.clone(), r.sid.clone(), r.node.clone()].into_iter().chain(numbers).collect()
    };
    table::fitting(&columns, &rooms.iter().map(row).collect::<Vec<_>>(), print::width())
}

async fn participants(args: &ParticipantsArgs) -> Result<(), Failure> {
    let store = connect(&args.view.config).await?;
    let now_s = now_s(&store);
    let rooms = match (&args.room, &args.node) {
        (Some(room), _) => vec![room.clone()],
        (None, wanted) => {
            let all = store.nodes().await?;
            let node = nodes::find(&all, wanted.as_deref().unwrap_or_default())?;
            nodes::rooms(&store, Some(&node.id), now_s).await?.into_iter().map(|r| r.room).collect()
        }
    };
    let people = nodes::people(&store, &rooms, now_s).await?;
    args.view.show(&people, || table_of_people(&people))
}

fn table_of_people(people: &[PersonSummary]) -> String {
    use Column::{Left, Right};
    let columns =
        [Left("ROOM"), Left("IDENTITY"), Left("NAME"), Left("STATE"), Right("TRACKS"), Right("JOINED"), Left("SID")];
    let row = |p: &PersonSummary| {
        let text = |s: &str| s.to_owned();
        let [tracks, joined] = [p.tracks.to_string(), lasting(p.joined_s)];
        vec![text(&p.room), text(&p.identity), text(&p.name), text(p.state), tracks, joined, text(&p.sid)]
    };
    table::fitting(&columns, &people.iter().map(row).collect::<Vec<_>>(), print::width())
}
