//! `lkops docs`: writes man pages and completions, and prints the sample configuration, all from the one definition of each.

use crate::cli;
use crate::exit::Failure;
use crate::print;
use anyhow::Context;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write a man page for every command
    Man {
        /// Where to
        dir: PathBuf,
    },
    /// Write completions for bash, zsh and fish
    Completions {
        /// Where to
        dir: PathBuf,
    },
    /// Print a livekit.yaml with every key, its meaning and its default
    Config,
}

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Man { dir } => man(dir),
        Command::Completions { dir } => completions(dir),
        Command::Config => print::line(lkops::config::keys::sample().trim_end()),
    }
}

fn man(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let command = cli::documented().disable_help_subcommand(true);
    Ok(clap_mangen::generate_to(command, dir).with_context(|| format!("cannot write to {}", dir.display()))?)
}

fn completions(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut cli::documented(), "lkops", dir)
            .with_context(|| format!("cannot write to {}", dir.display()))?;
    }
    Ok(())
}
