//! `lkops help-verbose`: the help of `serve` with the flag of every configuration key.

use crate::cli;
use crate::config_args::{Generated, generated};
use crate::exit::Failure;
use crate::print;

pub fn run() -> Result<(), Failure> {
    let with_flags = |serve: clap::Command| serve.args(generated(Generated::Shown)).next_line_help(true);
    let mut command = cli::documented().mut_subcommand("serve", with_flags);
    command.build();
    let Some(serve) = command.find_subcommand_mut("serve") else { return Ok(()) };
    print::line(serve.render_help())
}
