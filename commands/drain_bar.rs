//! The wait for draining nodes as the operator sees it: a bar each on a terminal, else a line now and then.

use crate::table::{counted, lasting};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lkops::ops::drain::Status;
use lkops::ops::nodes::RoomSummary;
use std::collections::HashMap;
use std::io::IsTerminal;

/// Rooms named beside the bar.
const ROOMS_SHOWN_MAX: usize = 3;

pub struct Bars {
    all: MultiProgress,
    by_node: HashMap<String, ProgressBar>,
    is_terminal: bool,
    /// What was last said of each node where there is no terminal.
    said: HashMap<String, String>,
}

impl Bars {
    pub fn new() -> Bars {
        let is_terminal = std::io::stderr().is_terminal();
        Bars { all: MultiProgress::new(), by_node: HashMap::new(), is_terminal, said: HashMap::new() }
    }

    pub fn show(&mut self, node: &str, status: Status, most: u32, rooms: &[RoomSummary]) {
        let Status::Draining { people, eta } = status else { return };
        let text = text(people, eta.map(|eta| i64::try_from(eta.as_secs()).unwrap_or(i64::MAX)), rooms);
        if self.is_terminal {
            let bar = self.by_node.entry(node.to_owned()).or_insert_with(|| self.all.add(bar(node)));
            bar.set_length(most.into());
            bar.set_position(most.saturating_sub(people).into());
            bar.set_message(text);
        } else if self.said.get(node) != Some(&summary(people, rooms)) {
            eprintln!("{node}  {text}");
            self.said.insert(node.to_owned(), summary(people, rooms));
        }
    }

    pub fn finish(&mut self, node: &str) {
        if let Some(bar) = self.by_node.remove(node) {
            bar.finish_and_clear();
        }
    }
}

fn bar(node: &str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(node.to_owned());
    // The template is written here, and a test reads it.
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=>."));
    bar
}

/// What does not fit on one line is cut off, as a bar of two lines is drawn anew below itself.
const TEMPLATE: &str = "{prefix} [{bar:12}] {pos}/{len} gone  {wide_msg}";

/// What must change before another line is worth it.
fn summary(people: u32, rooms: &[RoomSummary]) -> String {
    format!("{people} {}", rooms.len())
}

/// The most important first.
fn text(people: u32, eta_s: Option<i64>, rooms: &[RoomSummary]) -> String {
    let shown = rooms.iter().take(ROOMS_SHOWN_MAX).map(|room| format!("{} ({})", printable(&room.room), room.people));
    let held = shown.collect::<Vec<_>>().join(", ");
    let more = if rooms.len() > ROOMS_SHOWN_MAX { ", ..." } else { "" };
    let held = if held.is_empty() { String::new() } else { format!(": {held}{more}") };
    let eta = eta_s.map(|s| format!(" for about {}", lasting(s))).unwrap_or_default();
    let people = counted(people, "person", "people");
    let rooms = match u32::try_from(rooms.len()).unwrap_or(u32::MAX) {
        // Rooms are looked at less often than people are counted.
        0 => String::new(),
        rooms => format!(" in {}", counted(rooms, "room", "rooms")),
    };
    format!("{people}{rooms} left{eta}{held}")
}

fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(room: &str, people: u32) -> RoomSummary {
        RoomSummary { room: room.into(), sid: String::new(), node: String::new(), people, publishers: 0, age_s: 0 }
    }

    #[test]
    fn it_says_who_holds_the_node_and_for_how_long() {
        let rooms = [room("standup", 8), room("de\u{1b}mo", 4), room("c", 1), room("d", 1)];
        assert_eq!(
            text(14, Some(125), &rooms),
            "14 people in 4 rooms left for about 2m: standup (8), de?mo (4), c (1), ..."
        );
        assert_eq!(text(0, None, &[]), "0 people left");
    }

    #[test]
    fn the_bar_can_be_drawn() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
