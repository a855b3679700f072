//! Which nodes an order is for.

use super::nodes::{Summary, UnknownNode, find};
use crate::proto::Node;

/// As the operator names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub nodes: Vec<String>,
    pub region: Option<String>,
    pub all: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error(transparent)]
    Unknown(#[from] UnknownNode),
    #[error("{0} was last heard of {1} s ago and cannot be told anything; it is dead, or cut off from Redis")]
    Silent(String, i64),
    #[error("no node of region `{0}` is there; `lkops nodes` lists regions")]
    NoneIn(String),
    #[error("no node is there")]
    None,
}

/// Nodes named must be there; of a region and of all those count that are. Each once, in the order named or listed.
pub fn targets(nodes: &[Node], wanted: &Wanted, now_s: i64) -> Result<Vec<Summary>, TargetError> {
    let summary = |node: &Node| Summary::of(node, now_s);
    if !wanted.nodes.is_empty() {
        return named(nodes, wanted, now_s);
    }
    let here = nodes.iter().map(summary).filter(Summary::is_here);
    let in_region = |node: &Summary| wanted.region.as_ref().is_none_or(|region| node.region == *region);
    let mut found: Vec<Summary> = here.filter(in_region).collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    match (&wanted.region, found.is_empty()) {
        (_, false) => Ok(found),
        (Some(region), true) => Err(TargetError::NoneIn(region.clone())),
        (None, true) => Err(TargetError::None),
    }
}

fn named(nodes: &[Node], wanted: &Wanted, now_s: i64) -> Result<Vec<Summary>, TargetError> {
    let mut found: Vec<Summary> = Vec::new();
    for name in &wanted.nodes {
        let summary = Summary::of(find(nodes, name)?, now_s);
        if !summary.is_here() {
            return Err(TargetError::Silent(summary.id, summary.heard_s.unwrap_or_default()));
        }
        if !found.iter().any(|known| known.id == summary.id) {
            found.push(summary);
        }
    }
    Ok(found)
}

/// Whether somebody takes new rooms while these do not.
pub fn others_serve(nodes: &[Node], targets: &[Summary], now_s: i64) -> bool {
    let is_target = |node: &Node| targets.iter().any(|target| target.id == node.id);
    nodes.iter().any(|node| !is_target(node) && Summary::of(node, now_s).state == "serving")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::NodeStats;

    fn node(id: &str, region: &str, updated_at: i64) -> Node {
        let stats = Some(NodeStats { updated_at, ..NodeStats::default() });
        Node { id: id.into(), region: region.into(), state: 1, stats, ..Node::default() }
    }

    fn cluster() -> [Node; 4] {
        [node("c", "eu", 100), node("a", "eu", 100), node("b", "us", 99), node("dead", "eu", 10)]
    }

    fn ids(wanted: Wanted) -> Result<String, TargetError> {
        let found = targets(&cluster(), &wanted, 100)?;
        Ok(found.iter().map(|node| node.id.as_str()).collect())
    }

    fn by_name(names: &[&str]) -> Result<String, TargetError> {
        ids(Wanted { nodes: names.iter().map(|n| (*n).to_owned()).collect(), ..Wanted::default() })
    }

    #[test]
    fn nodes_are_named_or_gathered() {
        assert_eq!(by_name(&["c", "a", "c"]).unwrap(), "ca");
        assert_eq!(ids(Wanted { all: true, ..Wanted::default() }).unwrap(), "abc");
        let region = |name: &str| ids(Wanted { region: Some(name.into()), ..Wanted::default() });
        assert_eq!(region("eu").unwrap(), "ac");
        assert_eq!(region("asia"), Err(TargetError::NoneIn("asia".into())));
    }

    #[test]
    fn who_is_not_there_cannot_be_told() {
        assert_eq!(by_name(&["dead"]), Err(TargetError::Silent("dead".into(), 90)));
        assert!(matches!(by_name(&["a", "x"]), Err(TargetError::Unknown(_))));
    }

    #[test]
    fn somebody_else_must_serve() {
        let serve = |names: &[&str]| {
            let wanted = Wanted { nodes: names.iter().map(|n| (*n).to_owned()).collect(), ..Wanted::default() };
            others_serve(&cluster(), &targets(&cluster(), &wanted, 100).unwrap(), 100)
        };
        assert!(serve(&["a"]) && serve(&["a", "b"]));
        assert!(!serve(&["a", "b", "c"]), "the dead do not serve");
    }
}
