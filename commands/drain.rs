//! `lkops drain`: nodes take no new rooms, empty, and end; with a bar for the wait.

use crate::drain_bar::Bars;
use crate::exit::Failure;
use crate::orders::{Cluster, Outcome, Targets, Trouble, conclude, confirm};
use crate::print::Format;
use crate::table::counted;
use lkops::cluster::drain::{Order, Terms};
use lkops::config::parse_duration;
use lkops::ops::drain::{Progress, Sight, Status, sight};
use lkops::ops::nodes::{self, RoomSummary, Summary};
use lkops::ops::targets::others_serve;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Nodes tell every two seconds.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Every so many looks the rooms are looked at, too, which a large cluster has many of.
const ROOM_LOOKS: u32 = 5;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    targets: Targets,
    /// After this time whoever is left is told to reconnect and lands on other nodes; without it the node waits for ever
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    deadline: Option<Duration>,
    /// Move rooms to other nodes now: their people reconnect there, as who they are
    #[arg(long = "move")]
    moves: bool,
    /// Keep the process when it is empty, to bring it back with --cancel
    #[arg(long)]
    stay: bool,
    /// Undo a drain: the node takes rooms again
    #[arg(long, conflicts_with_all = ["deadline", "moves", "stay", "wait", "one_at_a_time", "dry_run"])]
    cancel: bool,
    /// Wait until nobody is left, and show who holds it
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time, with exit code 4
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "wait")]
    timeout: Option<Duration>,
    /// The next node only when the one before is done and another takes rooms; waits
    #[arg(long)]
    one_at_a_time: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show what would be done, and stop
    #[arg(long)]
    dry_run: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = args.targets.connect().await?;
        let targets = args.targets.find(&cluster).await?;
        if args.cancel { cancel(args, &cluster, &targets).await } else { drain(args, &cluster, &targets).await }
    })
}

async fn cancel(args: &Args, cluster: &Cluster, targets: &[Summary]) -> Result<(), Failure> {
    let mut outcomes = Vec::new();
    for node in targets {
        outcomes.push(cluster.order(node, Order::Cancel).await);
    }
    conclude(&outcomes, args.output)
}

async fn drain(args: &Args, cluster: &Cluster, targets: &[Summary]) -> Result<(), Failure> {
    let alone = !args.one_at_a_time && !others_serve(&cluster.store.nodes().await?, targets, cluster.now_s());
    plan(targets, alone);
    if args.dry_run {
        return Ok(());
    }
    let nodes = if targets.len() == 1 { "this node".to_owned() } else { format!("these {} nodes", targets.len()) };
    confirm(&format!("Drain {nodes}?"), args.yes)?;
    let steps: Vec<&[Summary]> = if args.one_at_a_time { targets.chunks(1).collect() } else { vec![targets] };
    let mut outcomes = Vec::new();
    for step in steps {
        if args.one_at_a_time && !others_serve_in_time(args, cluster, step).await {
            outcomes.extend(step.iter().map(not_begun));
        } else {
            outcomes.extend(drain_together(args, cluster, step).await);
        }
    }
    conclude(&outcomes, args.output)
}

fn not_begun(node: &Summary) -> Outcome {
    let why = "still serves: no other node came that takes rooms".to_owned();
    Outcome { node: node.id.clone(), result: Err(Trouble::Late(why)) }
}

/// On stderr: it is talk, not data.
fn plan(targets: &[Summary], alone: bool) {
    for node in targets {
        let Summary { id, region, rooms, people, state, .. } = node;
        let (rooms, people) = (counted(*rooms, "room", "rooms"), counted(*people, "person", "people"));
        eprintln!("{id}  {region}  {state}  {rooms}  {people}");
    }
    if alone {
        eprintln!("no other node serves: new rooms will be refused, and nothing can move");
    }
}

/// A cluster that is replaced node by node must never have nobody. False once `--timeout` has passed.
async fn others_serve_in_time(args: &Args, cluster: &Cluster, step: &[Summary]) -> bool {
    let waiting = until_others_serve(cluster, step);
    match args.timeout {
        Some(most) => timeout(most, waiting).await.is_ok(),
        None => {
            waiting.await;
            true
        }
    }
}

/// Redis may go and come back meanwhile.
async fn until_others_serve(cluster: &Cluster, step: &[Summary]) {
    let mut looks = interval(LOOK_INTERVAL);
    let mut told = false;
    loop {
        looks.tick().await;
        let nodes = cluster.store.nodes().await.unwrap_or_default();
        if others_serve(&nodes, step, cluster.now_s()) {
            return;
        }
        if !std::mem::replace(&mut told, true) {
            eprintln!("waiting for another node to take rooms");
        }
    }
}

async fn drain_together(args: &Args, cluster: &Cluster, step: &[Summary]) -> Vec<Outcome> {
    let terms = Terms { deadline: args.deadline, moves: args.moves, stays: args.stay };
    let mut outcomes = Vec::new();
    for node in step {
        outcomes.push(cluster.order(node, Order::Drain(terms)).await);
    }
    if args.wait || args.one_at_a_time {
        wait(args, cluster, &mut outcomes).await;
    }
    outcomes
}

/// Replaces the outcome of each node that was told by what became of it.
async fn wait(args: &Args, cluster: &Cluster, outcomes: &mut [Outcome]) {
    let began = Instant::now();
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waits: Vec<Wait> = outcomes.iter().enumerate().filter_map(|(at, o)| Wait::new(at, o, args)).collect();
    let mut bars = Bars::new();
    let mut turn = 0;
    while !waits.is_empty() {
        looks.tick().await;
        let late = args.timeout.is_some_and(|most| began.elapsed() >= most);
        look(cluster, &mut waits, turn % ROOM_LOOKS == 0).await;
        turn += 1;
        waits.retain(|wait| {
            bars.show(&wait.node, wait.status, wait.progress.most(), &wait.rooms);
            let ended = wait.result(late);
            let is_over = ended.is_some();
            if let Some(result) = ended {
                bars.finish(&wait.node);
                outcomes[wait.at].result = result;
            }
            !is_over
        });
    }
}

/// One node that is waited for.
struct Wait {
    at: usize,
    node: String,
    progress: Progress,
    status: Status,
    rooms: Vec<RoomSummary>,
    began: Instant,
    /// Looks in a row at which it took rooms: the first may be older than the order.
    serving: u32,
}

/// A node publishes what it was told within this many looks.
const SERVING_LOOKS_MAX: u32 = 5;

impl Wait {
    fn new(at: usize, outcome: &Outcome, args: &Args) -> Option<Wait> {
        outcome.result.as_ref().ok()?;
        let progress = Progress::new(args.stay, args.deadline);
        let status = Status::Draining { people: 0, eta: None };
        let node = outcome.node.clone();
        Some(Wait { at, node, progress, status, rooms: Vec::new(), began: Instant::now(), serving: 0 })
    }

    fn observe(&mut self, sight: Sight) {
        self.status = self.progress.observe(sight, self.began.elapsed());
        self.serving = if self.status == Status::Serving { self.serving + 1 } else { 0 };
    }

    fn result(&self, late: bool) -> Option<Result<String, Trouble>> {
        let failed = |why: &str| Some(Err(Trouble::Failed(why.to_owned())));
        match self.status {
            Status::Gone => Some(Ok("ended".to_owned())),
            Status::Drained => Some(Ok("drained".to_owned())),
            Status::Lost => failed("went silent while it drained: it died, or is cut off from Redis"),
            Status::Serving if self.serving >= SERVING_LOOKS_MAX => {
                failed("takes rooms again: the drain was cancelled")
            }
            Status::Draining { people, .. } if late => {
                Some(Err(Trouble::Late(format!("still has {}", counted(people, "person", "people")))))
            }
            Status::Serving | Status::Draining { .. } => None,
        }
    }
}

/// Redis may go and come back meanwhile; what is not seen is seen later.
async fn look(cluster: &Cluster, waits: &mut [Wait], with_rooms: bool) {
    let now_s = cluster.now_s();
    let Ok(nodes) = nodes::list(&cluster.store, now_s).await else { return };
    for wait in waits {
        if let Ok(sight) = sight(&cluster.store, &nodes, &wait.node).await {
            wait.observe(sight);
        }
        if with_rooms && let Ok(rooms) = nodes::rooms(&cluster.store, Some(&wait.node), now_s).await {
            wait.rooms = rooms.into_iter().filter(|room| room.people > 0).collect();
        }
    }
}
