//! The binary: reads flags and environment, calls the library, prints, and turns failures into exit codes.

mod cli;
mod config_args;
mod cordon;
mod docs;
mod drain;
mod drain_bar;
mod exit;
mod generate_keys;
mod help_verbose;
mod load_test;
mod log;
mod nodes;
mod orders;
mod plan;
mod ports;
mod print;
mod print_config;
mod probe;
mod region;
mod serve;
mod table;
mod token;

use std::process::ExitCode;

fn main() -> ExitCode {
    exit::report(cli::run())
}
