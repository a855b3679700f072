//! What `drain`, `cordon` and `uncordon` share: which nodes, the question before, and what became of each.

use crate::config_args::ConfigArgs;
use crate::exit::Failure;
use crate::print::{self, Format};
use lkops::cluster::drain::{Operator, Order, OrderFailure};
use lkops::cluster::{Redis, Store};
use lkops::config::Purpose;
use lkops::ops::nodes::Summary;
use lkops::ops::targets::{Wanted, targets};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};

/// Which nodes. `--region` is the configuration's flag.
#[derive(clap::Args)]
pub struct Targets {
    /// Ids of nodes, parts of them that no other id begins with, or addresses
    #[arg(required_unless_present_any = ["all", "region"])]
    nodes: Vec<String>,
    /// Every node of the cluster
    #[arg(long, conflicts_with_all = ["nodes", "region"])]
    all: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A cluster one can look at and give orders to.
pub struct Cluster {
    pub store: Store,
    operator: Operator,
}

/// What became of one node.
pub struct Outcome {
    pub node: String,
    pub result: Result<String, Trouble>,
}

pub enum Trouble {
    Failed(String),
    /// It was told, but is not done in time.
    Late(String),
}

impl Targets {
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let redis = self.config.load(Purpose::Inspect)?.config.redis;
        if !redis.is_configured() {
            return Err(Failure::Usage("no Redis is configured; give --config or --redis-host".into()));
        }
        let redis = Redis::connect(&redis).await?;
        Ok(Cluster { store: Store::new(redis.clone()), operator: Operator::new(redis).await })
    }

    pub async fn find(&self, cluster: &Cluster) -> Result<Vec<Summary>, Failure> {
        let region = self.config.flag("region").map(str::to_owned);
        if region.is_some() && !self.nodes.is_empty() {
            return Err(Failure::Usage("give nodes or --region, not both".into()));
        }
        let wanted = Wanted { nodes: self.nodes.clone(), region, all: self.all };
        Ok(targets(&cluster.store.nodes().await?, &wanted, cluster.now_s())?)
    }
}

impl Cluster {
    pub fn now_s(&self) -> i64 {
        self.store.redis().clock().unix_s()
    }

    pub async fn order(&self, node: &Summary, order: Order) -> Outcome {
        let asked = match self.is_stock(&node.id).await {
            true => Err(OrderFailure::Refused(stock(order).to_owned())),
            false => self.operator.order(&node.id, order).await,
        };
        let result = match asked {
            Ok(mode) => Ok(mode),
            Err(failure) => self.drains_anyway(node, order).await.ok_or_else(|| trouble(failure)),
        };
        Outcome { node: node.id.clone(), result }
    }

    /// Ours tell their release; where that cannot be read, an order shows it.
    async fn is_stock(&self, node: &str) -> bool {
        self.store.versions().await.is_ok_and(|ours| !ours.contains_key(node))
    }

    /// A node that ends may be gone before it has answered, and a stock node that got its signal cannot be told anything, but
    /// be watched.
    async fn drains_anyway(&self, node: &Summary, order: Order) -> Option<String> {
        let Order::Drain(_) = order else { return None };
        let entry = self.store.node(&node.id).await.ok()?;
        match entry.map(|entry| Summary::of(&entry, self.now_s()).state) {
            None => Some("ended".to_owned()),
            Some("draining") => Some("draining".to_owned()),
            Some(_) => None,
        }
    }
}

fn trouble(failure: OrderFailure) -> Trouble {
    Trouble::Failed(match failure {
        OrderFailure::Refused(why) => why,
        OrderFailure::Silent => {
            "does not answer: it is dead, cut off from Redis, or too busy; what it was told is unknown".to_owned()
        }
    })
}

/// What a livekit-server does instead.
fn stock(order: Order) -> &'static str {
    match order {
        Order::Drain(_) | Order::End => {
            "is a livekit-server and takes no orders: it drains when it is sent SIGTERM, waits for its people without a \
             deadline, and cannot move them; `lkops drain NODE --wait` then shows how far it is"
        }
        Order::Cancel => "is a livekit-server and cannot undo a drain",
        Order::Cordon | Order::Uncordon => {
            "is a livekit-server and cannot be cordoned: it writes its own state to Redis every two seconds"
        }
    }
}

/// Asks on the terminal; without one somebody must have said yes before.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("nobody is there to ask; give --yes to go ahead, or --dry-run to look".into()));
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if agreed { Ok(()) } else { Err(Failure::Failed(anyhow::anyhow!("nothing was done"))) }
}

/// Prints what became of each node; the exit code is that of the worst.
pub fn conclude(outcomes: &[Outcome], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print::json(&outcomes.iter().map(Outcome::json).collect())?,
        Format::Text => {
            for outcome in outcomes {
                match &outcome.result {
                    Ok(state) => print::line(format_args!("{} {state}", outcome.node))?,
                    Err(trouble) => eprintln!("{} {}", outcome.node, trouble.text()),
                }
            }
        }
    }
    verdict(outcomes)
}

fn verdict(outcomes: &[Outcome]) -> Result<(), Failure> {
    let failed = outcomes.iter().filter(|o| matches!(o.result, Err(Trouble::Failed(_)))).count();
    let late = outcomes.iter().filter(|o| matches!(o.result, Err(Trouble::Late(_)))).count();
    match (failed, late) {
        (0, 0) => Ok(()),
        (0, late) => Err(Failure::Missed(vec![format!("{late} of {} nodes not done in time", outcomes.len())])),
        (failed, _) if failed == outcomes.len() => Err(Failure::Failed(anyhow::anyhow!("no node did it"))),
        (failed, _) => Err(Failure::Partial(format!("{failed} of {} nodes did not do it", outcomes.len()))),
    }
}

impl Outcome {
    fn json(&self) -> serde_json::Value {
        match &self.result {
            Ok(state) => json!({"node": self.node, "state": state}),
            Err(trouble) => json!({"node": self.node, "error": trouble.text()}),
        }
    }
}

impl Trouble {
    fn text(&self) -> &str {
        match self {
            Trouble::Failed(text) | Trouble::Late(text) => text,
        }
    }
}
