//! `lkops ports`: the ports a configuration needs open. Needs no API keys.

use crate::config_args::ConfigArgs;
use crate::exit::Failure;
use crate::print::{self, Format};
use lkops::config::{Config, Purpose};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// First and last port, and what for.
type Row = (u16, u16, &'static str);

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load(Purpose::Inspect)?.config;
    let (tcp, udp) = (tcp(&config), udp(&config));
    match args.output {
        Format::Text => {
            print::line(["TCP Ports".to_owned(), text(&tcp), "UDP Ports".to_owned(), text(&udp)].join("\n"))
        }
        Format::Json => print::json(&json!({"tcp": rows(&tcp), "udp": rows(&udp)})),
    }
}

fn tcp(config: &Config) -> Vec<Row> {
    let tls = if config.turn.enabled { config.turn.tls_port } else { 0 };
    let all = [(config.port, "HTTP service"), (config.rtc.tcp_port, "ICE/TCP"), (tls, "TURN/TLS")];
    all.into_iter().filter(|(port, _)| *port != 0).map(|(port, name)| (port, port, name)).collect()
}

fn udp(config: &Config) -> Vec<Row> {
    let rtc = &config.rtc;
    let ice = match rtc.udp_port {
        Some((first, last)) => (first, last, "ICE/UDP"),
        None => (rtc.port_range_start, rtc.port_range_end, "ICE/UDP range"),
    };
    let turn = if config.turn.enabled { config.turn.udp_port } else { 0 };
    let turn = (turn != 0).then_some((turn, turn, "TURN/UDP"));
    [Some(ice), turn].into_iter().flatten().collect()
}

fn text(rows: &[Row]) -> String {
    let line = |(first, last, name): &Row| {
        if first == last { format!("{first} - {name}") } else { format!("{first}-{last} - {name}") }
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn rows(rows: &[Row]) -> serde_json::Value {
    rows.iter().map(|(first, last, name)| json!({"first": first, "last": last, "service": name})).collect()
}
