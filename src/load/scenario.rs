//! Scenarios: a shape with a course in time, as YAML. Rooms written in the shape language arrive at times and rates of their
//! own, and storms break many connections at once. Read by `--scenario`.

use super::language::{self, LanguageError, seconds};
use super::shape::{Shape, Storm, Traits};
use serde::Deserialize;
use std::time::Duration;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    pub shape: Shape,
    pub duration: Option<Duration>,
    pub per_second: Option<f64>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("the scenario is unreadable: {0}")]
    Yaml(#[from] serde_saphyr::Error),
    #[error(transparent)]
    Shape(#[from] LanguageError),
    #[error("`{0}` is no time; write it like 90s or 5m")]
    Time(String),
    #[error("`{0}` is no share; write it like 50%")]
    Share(String),
    #[error("{0} arrivals a second: nobody would ever arrive")]
    Rate(f64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Of the measuring window.
    duration: Option<String>,
    per_second: Option<f64>,
    rooms: Vec<Rooms>,
    #[serde(default)]
    storms: Vec<StormText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rooms {
    shape: String,
    /// Since the start of the test.
    start: Option<String>,
    per_second: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StormText {
    at: String,
    #[serde(default = "everybody")]
    share: String,
}

fn everybody() -> String {
    "100%".to_owned()
}

/// Reads a file's text. Traits it does not name are those of `common`.
pub fn parse(text: &str, common: &Traits) -> Result<Scenario, ScenarioError> {
    let file: File = serde_saphyr::from_str(text)?;
    let mut shape = Shape::default();
    for rooms in &file.rooms {
        let mut groups = language::parse(&rooms.shape, common)?.groups;
        for group in &mut groups {
            group.start = rooms.start.as_deref().map(time).transpose()?.unwrap_or_default();
            group.per_second = rooms.per_second.map(rate).transpose()?;
        }
        shape.groups.extend(groups);
    }
    for storm in &file.storms {
        shape.storms.push(Storm { at: time(&storm.at)?, share: share(&storm.share)? });
    }
    shape.storms.sort_by_key(|storm| storm.at);
    let duration = file.duration.as_deref().map(time).transpose()?;
    Ok(Scenario { shape, duration, per_second: file.per_second.map(rate).transpose()? })
}

fn time(text: &str) -> Result<Duration, ScenarioError> {
    if text == "0" || text == "0s" {
        return Ok(Duration::ZERO);
    }
    seconds(text).ok_or_else(|| ScenarioError::Time(text.to_owned()))
}

/// 0..=1.
fn share(text: &str) -> Result<f64, ScenarioError> {
    let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
    let valid = number.filter(|n| (0.0..=100.0).contains(n));
    valid.map(|n| n / 100.0).ok_or_else(|| ScenarioError::Share(text.to_owned()))
}

fn rate(per_second: f64) -> Result<f64, ScenarioError> {
    if per_second.is_finite() && per_second > 0.0 { Ok(per_second) } else { Err(ScenarioError::Rate(per_second)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../fixtures/scenarios/day.yaml");

    #[test]
    fn the_example_is_read() {
        let read = parse(EXAMPLE, &Traits::default()).unwrap();
        assert_eq!((read.duration, read.per_second), (Some(Duration::from_secs(120)), Some(10.0)));
        assert_eq!(read.shape.check(), Ok(()));
        let starts: Vec<u64> = read.shape.groups.iter().map(|g| g.start.as_secs()).collect();
        assert_eq!(starts, [0, 0, 20, 30]);
        assert_eq!(read.shape.groups[2].per_second, Some(50.0));
        assert_eq!(read.shape.storms, [Storm { at: Duration::from_secs(90), share: 0.5 }]);
        assert!(read.shape.groups[3].traits.tcp);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| parse(text, &Traits::default()).unwrap_err().to_string();
        assert!(error("rooms: [{shape: (1q)}]").contains("`1q` is nobody"));
        assert!(error("rooms: []\nstorms: [{at: soon}]").contains("`soon` is no time"));
        assert!(error("rooms: []\nstorms: [{at: 1s, share: half}]").contains("`half` is no share"));
        assert!(error("rooms: []\nper_second: 0").contains("nobody would ever arrive"));
        assert!(error("room: []").contains("room"), "{}", error("room: []"));
    }
}
