//! What idle participants cost a server on this machine: memory each, CPU, and how long joining takes.
//!
//! `cargo run --release --example idle -- --url ws://127.0.0.1:7880 --server-pid $(pidof lkops) --participants 300`

use anyhow::{Context, Result, bail};
use clap::Parser;
use futures_util::{StreamExt, stream};
use lkops::client::api::Keys;
use lkops::client::{Engine, Mode, Options, Participant};
use lkops::load::vitals::Usage;
use std::time::Duration;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value = "ws://127.0.0.1:7880")]
    url: String,
    #[arg(long, default_value = "devkey")]
    api_key: String,
    #[arg(long, default_value = "secret")]
    api_secret: String,
    /// Process of the server
    #[arg(long)]
    server_pid: u32,
    #[arg(long, default_value_t = 300)]
    participants: usize,
    /// Participants of one room
    #[arg(long, default_value_t = 10)]
    per_room: usize,
    /// Participants joining at the same time
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// One peer connection instead of two
    #[arg(long)]
    single: bool,
    /// Seconds of idleness to measure
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Join and connect patience.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let engine = Engine::start(2)?;
    join(&args, &engine, 0).await.context("the first participant, whose cost is not counted")?;
    let pid = args.server_pid.to_string();
    let before = Usage::of(&pid)?;
    let joins = stream::iter(1..=args.participants).map(|n| join(&args, &engine, n)).buffer_unordered(args.at_once);
    let people: Vec<Result<Participant>> = joins.collect().await;
    let people = people.into_iter().collect::<Result<Vec<_>>>()?;
    let joined = Usage::of(&pid)?;
    let own = Usage::of("self")?;
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let idle = Usage::of(&pid)?;
    let own_idle = Usage::of("self")?;
    let ended = people.iter().filter(|p| p.view().ended.is_some()).count();
    if ended > 0 {
        bail!("{ended} participants were lost while idle");
    }
    report(&args, &people, &[before, joined, idle], &[own, own_idle]);
    Ok(())
}

async fn join(args: &Args, engine: &Engine, n: usize) -> Result<Participant> {
    let keys = Keys { key: args.api_key.clone(), secret: args.api_secret.clone() };
    let room = format!("idle-{}", n / args.per_room.max(1));
    let mut options = Options::new(&args.url, keys.join(&room, &format!("p{n}")));
    options.mode = if args.single { Mode::Single } else { Mode::Dual };
    let participant = Participant::join(engine, options).await?;
    participant.connected(PATIENCE).await?;
    Ok(participant)
}

fn report(args: &Args, people: &[Participant], [before, joined, idle]: &[Usage; 3], [own, own_idle]: &[Usage; 2]) {
    let mut times: Vec<Duration> = people.iter().filter_map(|p| p.view().timing.connected).collect();
    times.sort_unstable();
    let at =
        |q: usize| times.get((times.len() * q / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default();
    let count = people.len().max(1);
    let per = |later: &Usage| later.rss_bytes.saturating_sub(before.rss_bytes) as f64 / 1024.0 / count as f64;
    let share = |from: &Usage, to: &Usage| (to.cpu - from.cpu).as_secs_f64() / args.seconds as f64 * 100.0;
    println!("participants        {count}, {} peer connections", if args.single { "single" } else { "dual" });
    println!("join to connected   p50 {:?}, p95 {:?}, max {:?}", at(50), at(95), at(100));
    println!("server CPU per join {:?}", (joined.cpu - before.cpu) / count as u32);
    println!("server memory       {:.1} KiB each after joining, {:.1} KiB each after idling", per(joined), per(idle));
    println!("                    {} KiB before, {} KiB now", before.rss_bytes / 1024, idle.rss_bytes / 1024);
    println!("server CPU, idle    {:.2} % of one core over {} s", share(joined, idle), args.seconds);
    println!("this process        {} KiB, {:.2} % of one core", own_idle.rss_bytes / 1024, share(own, own_idle));
}
