//! Figures of several rounds, and the table they make.

use std::fmt::Write;

/// One figure over all rounds.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }

    /// Median with the least and the greatest.
    pub fn text(&self) -> String {
        match (self.median(), self.0.first(), self.0.last()) {
            (Some(median), Some(min), Some(max)) => format!("{} ({}-{})", short(median), short(*min), short(*max)),
            _ => "-".to_owned(),
        }
    }
}

fn short(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

/// One line: a figure of both servers.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub what: String,
    pub ours: Series,
    pub reference: Series,
}

impl Line {
    fn ratio(&self) -> String {
        match (self.ours.median(), self.reference.median()) {
            (Some(ours), Some(reference)) if ours > 0.0 && reference > ours => format!("1/{:.1}", reference / ours),
            (Some(ours), Some(reference)) if reference > 0.0 => format!("{:.1}", ours / reference),
            _ => "-".to_owned(),
        }
    }
}

/// All lines as Markdown.
#[derive(Default)]
pub struct Table(Vec<Line>);

impl Table {
    pub fn note(&mut self, what: &str, is_ours: bool, value: f64) {
        let at = self.0.iter().position(|line| line.what == what).unwrap_or_else(|| {
            self.0.push(Line { what: what.to_owned(), ..Line::default() });
            self.0.len() - 1
        });
        let line = &mut self.0[at];
        if is_ours { &mut line.ours } else { &mut line.reference }.push(value);
    }

    pub fn text(&self) -> String {
        let mut text = String::from("| figure | ours | reference | ours to reference |\n|---|---|---|---|\n");
        for line in &self.0 {
            let (ours, reference) = (line.ours.text(), line.reference.text());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} | {ours} | {reference} | {} |", line.what, line.ratio());
        }
        text
    }
}
