//! `lkops region pick`: the URL of the region nearest to somebody, for backends that hand out tokens.

use crate::config_args::ConfigArgs;
use crate::exit::Failure;
use crate::print::{self, Format};
use anyhow::anyhow;
use lkops::cluster::region::{Place, Ranked, Visitor, nearest, place_of};
use lkops::config::{Config, Purpose};
use serde_json::json;
use std::net::IpAddr;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the URL of the region nearest to a caller, from `lkops.regions`
    Pick(PickArgs),
}

#[derive(Debug, clap::Args)]
pub struct PickArgs {
    /// Address of the caller; a region whose networks hold it comes first
    #[arg(long, value_name = "ADDRESS", required_unless_present = "lat_lon")]
    ip: Option<IpAddr>,
    /// Where the caller is, in degrees
    #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true)]
    lat_lon: Option<Place>,
    /// Form of the output; json lists all regions, nearest first
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    config: ConfigArgs,
}

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Pick(args) => pick(args),
    }
}

fn pick(args: &PickArgs) -> Result<(), Failure> {
    let config = args.config.load(Purpose::Inspect)?.config;
    let ranked = ranked(&config, &Visitor { address: args.ip, place: args.lat_lon })?;
    match args.output {
        Format::Text => print::line(&ranked[0].region.url),
        Format::Json => print::json(&ranked.iter().map(row).collect()),
    }
}

/// Of an address no network holds, the configuration's own region is as near as can be told.
fn ranked<'a>(config: &'a Config, visitor: &Visitor) -> Result<Vec<Ranked<'a>>, Failure> {
    let regions = &config.lkops.regions;
    if regions.is_empty() {
        return Err(Failure::Usage("lkops.regions lists no region; add each with name, url, lat and lon".into()));
    }
    let ours = || nearest(regions, &Visitor { address: None, place: place_of(regions, &config.region) });
    let none = || {
        let address = visitor.address.map(|ip| ip.to_string()).unwrap_or_default();
        anyhow!(
            "no region's networks hold {address}: add one, give --lat-lon, or name a region to fall back on with --region"
        )
    };
    Ok(nearest(regions, visitor).or_else(ours).ok_or_else(none)?)
}

fn row(ranked: &Ranked) -> serde_json::Value {
    let Ranked { region, distance_m } = ranked;
    json!({"region": region.name, "url": region.url, "distance_m": distance_m.round()})
}
