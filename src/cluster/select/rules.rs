//! How nodes are selected, read from the configuration once.

use super::measure::Measure;
use crate::cluster::region::Place;
use crate::config::{Config, NodeSelector};
use std::collections::HashMap;

/// The operator's fault: `node_selector` says something that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("node_selector.kind: `{0}` is unknown; use any, cpuload, sysload or regionaware")]
    Kind(String),
    #[error(
        "node_selector.sort_by: `{0}` is unknown; use random, sysload, cpuload, rooms, clients, tracks or bytespersec"
    )]
    SortBy(String),
    #[error("node_selector.algorithm: `{0}` is unknown; use lowest or twochoice")]
    Algorithm(String),
    #[error("node_selector.regions: the node's own region `{0}` is not among them; add it with lat and lon")]
    OwnRegion(String),
}

/// What is asked of a node beyond being available.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    None,
    CpuBelow(f32),
    SysloadBelow(f32),
    /// Below the limit; then the nearest region, by distance in metres from ours.
    Nearest {
        sysload: f32,
        regions: HashMap<String, f64>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Lowest,
    TwoChoice,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub(super) filter: Filter,
    /// `None` is random.
    pub(super) measure: Option<Measure>,
    pub(super) algorithm: Algorithm,
    /// Two choices with debits, in place of `algorithm`.
    pub(super) balanced: bool,
}

impl Rules {
    /// The front's own configuration counts, not the node's.
    pub fn new(config: &Config) -> Result<Rules, RuleError> {
        let selector = &config.node_selector;
        Ok(Rules {
            filter: filter(selector, &config.region)?,
            measure: measure(&selector.sort_by)?,
            algorithm: algorithm(&selector.algorithm)?,
            balanced: config.lkops.is_placement_balanced(),
        })
    }
}

fn filter(selector: &NodeSelector, region: &str) -> Result<Filter, RuleError> {
    let sysload = selector.sysload_limit;
    match selector.kind.as_str() {
        "" | "any" | "random" => Ok(Filter::None),
        "cpuload" => Ok(Filter::CpuBelow(selector.cpu_load_limit)),
        "sysload" => Ok(Filter::SysloadBelow(sysload)),
        "regionaware" => Ok(Filter::Nearest { sysload, regions: distances(selector, region)? }),
        other => Err(RuleError::Kind(other.to_owned())),
    }
}

/// Without a list every region is as unknown as the other.
fn distances(selector: &NodeSelector, region: &str) -> Result<HashMap<String, f64>, RuleError> {
    let regions = &selector.regions;
    let own = regions.iter().find(|r| r.name == region);
    let Some(own) = own.map(Place::from) else {
        return if regions.is_empty() { Ok(HashMap::new()) } else { Err(RuleError::OwnRegion(region.to_owned())) };
    };
    Ok(regions.iter().map(|r| (r.name.clone(), own.distance_m(r.into()))).collect())
}

fn measure(sort_by: &str) -> Result<Option<Measure>, RuleError> {
    match sort_by {
        "random" => Ok(None),
        "sysload" => Ok(Some(Measure::Sysload)),
        "cpuload" => Ok(Some(Measure::CpuLoad)),
        "rooms" => Ok(Some(Measure::Rooms)),
        "clients" => Ok(Some(Measure::Clients)),
        "tracks" => Ok(Some(Measure::Tracks)),
        "bytespersec" => Ok(Some(Measure::BytesPerSecond)),
        other => Err(RuleError::SortBy(other.to_owned())),
    }
}

fn algorithm(name: &str) -> Result<Algorithm, RuleError> {
    match name {
        "lowest" => Ok(Algorithm::Lowest),
        "twochoice" => Ok(Algorithm::TwoChoice),
        other => Err(RuleError::Algorithm(other.to_owned())),
    }
}
