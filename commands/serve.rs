//! `lkops serve`: loads the configuration, starts the log, runs the server.

use crate::config_args::ConfigArgs;
use crate::exit::Failure;
use crate::print::Format;
use crate::{log, print_config};
use lkops::config::Purpose;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print every configuration key with its value and where it came from, and stop; secrets are not shown
    #[arg(long)]
    print_config: bool,
    /// Form of --print-config
    #[arg(short, long, value_enum, default_value_t, requires = "print_config")]
    output: Format,
    /// Taken for compatibility, without effect
    #[arg(long, hide = true, value_name = "FILE")]
    cpuprofile: Option<PathBuf>,
    /// Taken for compatibility, without effect
    #[arg(long, hide = true, value_name = "FILE")]
    memprofile: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let loaded = args.config.load(Purpose::Serve)?;
    if args.print_config {
        return print_config::print(&loaded, args.output);
    }
    log::start(&loaded.config.logging);
    if args.cpuprofile.is_some() || args.memprofile.is_some() {
        tracing::warn!("--cpuprofile and --memprofile have no effect");
    }
    for notice in &loaded.notices {
        tracing::warn!("{notice}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(lkops::server::run(loaded))?)
}
