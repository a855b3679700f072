//! The command line as clap sees it: which commands there are, and who runs them.

use crate::config_args::{self, Generated};
use crate::exit::Failure;
use crate::{
    cordon, docs, drain, generate_keys, help_verbose, load_test, nodes, plan, ports, probe, region, serve, token,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "lkops", version, about, max_term_width = 120, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the media server
    Serve(serve::Args),
    /// Make an API key and its secret
    GenerateKeys(generate_keys::Args),
    /// Print the ports a configuration needs open
    Ports(ports::Args),
    /// Print a token to join a room, for development
    #[command(hide = true)]
    CreateJoinToken(token::JoinArgs),
    /// List the nodes of a cluster, their rooms and people
    Nodes(nodes::Args),
    /// Empty nodes: they take no new rooms and end when nobody is left
    Drain(drain::Args),
    /// Have nodes take no new rooms; theirs go on
    Cordon(cordon::Args),
    /// Have cordoned nodes take new rooms again
    Uncordon(cordon::Args),
    /// Regions and their URLs
    #[command(subcommand)]
    Region(region::Command),
    /// Access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Fill rooms with synthetic participants and measure what they get
    LoadTest(Box<load_test::Args>),
    /// Say how many cores, gigabits and nodes a shape needs
    Plan(plan::Args),
    /// Join a server as a stranger would and say which step fails, and why
    Probe(probe::Args),
    /// Print the help of serve with the flag of every configuration key
    HelpVerbose,
    /// Man pages, shell completions and the sample configuration
    #[command(subcommand)]
    Docs(docs::Command),
}

/// Commands that read a configuration and therefore take a flag for each of its keys.
const CONFIGURED: [&str; 9] =
    ["serve", "ports", "create-join-token", "token", "region", "nodes", "drain", "cordon", "uncordon"];

/// Commands in which `--region` says which nodes.
const BY_REGION: [&str; 3] = ["drain", "cordon", "uncordon"];

/// The command line as it is documented.
pub fn documented() -> clap::Command {
    BY_REGION.iter().fold(Cli::command(), |all, name| {
        all.mut_subcommand(name, |command| command.mut_arg("region", |arg| arg.help("Every node of this region")))
    })
}

/// The command line as it is parsed: with the generated flags, hidden.
fn parsed() -> clap::Command {
    CONFIGURED.iter().fold(documented(), |all, name| {
        all.mut_subcommand(name, |command| {
            let with_flags = |command: clap::Command| command.args(config_args::generated(Generated::Hidden));
            let itself = !command.is_subcommand_required_set();
            let all = command.mut_subcommands(with_flags);
            if itself { with_flags(all) } else { all }
        })
    })
}

/// Parses the process's arguments and runs the command they name.
pub fn run() -> Result<(), Failure> {
    let matches = parsed().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::GenerateKeys(args) => generate_keys::run(&args),
        Command::Ports(args) => ports::run(&args),
        Command::CreateJoinToken(args) => token::create_join(&args),
        Command::Nodes(args) => nodes::run(&args),
        Command::Drain(args) => drain::run(&args),
        Command::Cordon(args) => cordon::cordon(&args),
        Command::Uncordon(args) => cordon::uncordon(&args),
        Command::Region(command) => region::run(&command),
        Command::Token(command) => token::run(&command),
        Command::LoadTest(args) => load_test::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::HelpVerbose => help_verbose::run(),
        Command::Docs(command) => docs::run(&command),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::parsed().debug_assert();
    }
}
