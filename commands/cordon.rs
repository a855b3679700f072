//! `lkops cordon` and `uncordon`: a node takes no new rooms, or does again. Its rooms go on either way.

use crate::exit::Failure;
use crate::orders::{Targets, conclude};
use crate::print::Format;
use lkops::cluster::drain::Order;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    targets: Targets,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub fn cordon(args: &Args) -> Result<(), Failure> {
    run(args, Order::Cordon)
}

pub fn uncordon(args: &Args) -> Result<(), Failure> {
    run(args, Order::Uncordon)
}

fn run(args: &Args, order: Order) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = args.targets.connect().await?;
        let mut outcomes = Vec::new();
        for node in args.targets.find(&cluster).await? {
            outcomes.push(cluster.order(&node, order).await);
        }
        conclude(&outcomes, args.output)
    })
}
