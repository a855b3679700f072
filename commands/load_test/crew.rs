//! `lkops load-test worker`, and the flags by which a load test is carried out by workers.

use crate::exit::Failure;
use lkops::load::crew::{Coordination, Worked, work};
use std::time::Duration;
use tokio::sync::watch;

/// Where workers and coordinator meet.
#[derive(Debug, clap::Args)]
pub struct MeetingArgs {
    /// Redis to meet at, host:port or a redis:// URL; may be the one of a cluster
    #[arg(long, value_name = "ADDRESS")]
    redis: Option<String>,
    /// Name under which workers and coordinator find each other
    #[arg(long, value_name = "NAME", default_value = "default")]
    crew: String,
}

/// Whether others carry the load test out.
#[derive(Debug, clap::Args)]
pub struct CrewArgs {
    /// Have so many `lkops load-test worker` processes make the load, found at --redis
    #[arg(long, value_name = "NUMBER", requires = "redis", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    #[command(flatten)]
    meeting: MeetingArgs,
    /// How long the workers are waited for
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = lkops::config::parse_duration)]
    wait: Duration,
}

#[derive(Debug, clap::Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    meeting: MeetingArgs,
    /// Name in reports [default: a random one]
    #[arg(long)]
    name: Option<String>,
    /// Media threads [default: the machine's cores]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
    /// End after one test
    #[arg(long)]
    once: bool,
}

impl CrewArgs {
    pub fn coordination(&self) -> Option<Coordination> {
        let (workers, redis) = (usize::from(self.workers?), self.meeting.redis.clone()?);
        Some(Coordination { redis, crew: self.meeting.crew.clone(), workers, wait: self.wait })
    }
}

/// Works until stopped.
pub fn run(args: &WorkerArgs) -> Result<(), Failure> {
    let missing = || Failure::Usage("--redis is missing: it is where worker and coordinator meet".to_owned());
    let redis = args.meeting.redis.as_deref().ok_or_else(missing)?;
    let name = args.name.clone().unwrap_or_else(|| lkops::proto::id::random("worker-"));
    let threads = args.threads.unwrap_or_else(super::args::cores).clamp(1, 256);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let result = runtime.block_on(async {
        let (stop_sender, stop) = watch::channel(false);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                stop_sender.send_replace(true);
            }
        });
        loop {
            let worked =
                work(redis, &args.meeting.crew, &name, threads, stop.clone(), |said| eprintln!("{said}")).await?;
            if worked == Worked::Stopped || args.once {
                return Ok(());
            }
        }
    });
    // Tasks that still say goodbye need not be waited for.
    runtime.shutdown_background();
    result
}
