//! Rows under headings, in columns as wide as they need.

/// Text in a table; numbers stand to the right.
pub enum Column {
    Left(&'static str),
    Right(&'static str),
}

impl Column {
    fn heading(&self) -> &'static str {
        match self {
            Column::Left(text) | Column::Right(text) => text,
        }
    }

    fn pad(&self, text: &str, width: usize) -> String {
        match self {
            Column::Left(_) => format!("{text:<width$}"),
            Column::Right(_) => format!("{text:>width$}"),
        }
    }
}

/// A line of headings and a line a row, without a line end after the last. Control characters, which names from outside may
/// hold, are shown as `?`; empty text as `-`.
pub fn format(columns: &[Column], rows: &[Vec<String>]) -> String {
    fitting(columns, rows, None)
}

/// The same within so many characters, if that can be: columns are left out for it, those in which nothing stands first, then
/// those to the right.
pub fn fitting(columns: &[Column], rows: &[Vec<String>], limit: Option<usize>) -> String {
    let headings = columns.iter().map(|column| column.heading().to_owned()).collect();
    let cells: Vec<Vec<String>> = std::iter::once(headings).chain(rows.iter().map(|row| clean(row))).collect();
    let widths: Vec<usize> = (0..columns.len()).map(|at| width(&cells, at)).collect();
    let shown = shown(&cells, &widths, limit.unwrap_or(usize::MAX));
    let line = |row: &Vec<String>| {
        let padded = shown.iter().map(|at| columns[*at].pad(&row[*at], widths[*at]));
        padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Between columns.
const GAP: &str = "  ";

fn width(cells: &[Vec<String>], at: usize) -> usize {
    cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)
}

/// Which columns fit.
fn shown(cells: &[Vec<String>], widths: &[usize], limit: usize) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..widths.len()).collect();
    let too_wide = |shown: &[usize]| {
        shown.iter().map(|at| widths[*at] + GAP.len()).sum::<usize>() > limit.saturating_add(GAP.len())
    };
    let is_empty = |at: &usize| cells.iter().skip(1).all(|row| row[*at] == "-");
    while shown.len() > 1 && too_wide(&shown) {
        let out = shown.iter().rposition(is_empty).unwrap_or(shown.len() - 1);
        shown.remove(out);
    }
    shown
}

fn clean(row: &[String]) -> Vec<String> {
    let clean = |text: &String| text.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
    row.iter().map(|text| if text.is_empty() { "-".to_owned() } else { clean(text) }).collect()
}

/// `1.5k`, `20M`: three digits and a decimal prefix.
pub fn rate(value: f32) -> String {
    let (mut value, mut prefixes) = (value, " kMGTP".chars());
    let mut prefix = prefixes.next();
    while value >= 999.5 {
        let Some(next) = prefixes.next() else { break };
        (value, prefix) = (value / 1_000.0, Some(next));
    }
    let digits = if value < 9.95 && prefix != Some(' ') { 1 } else { 0 };
    format!("{value:.digits$}{}", prefix.unwrap_or(' ')).trim_end().to_owned()
}

/// `45s`, `12m`, `7h30m`, `3d4h`.
pub fn lasting(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m"),
        3_600..86_400 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// `1 room`, `2 rooms`.
pub fn counted(count: impl Into<i64>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec!["\u{1b}[2J".to_owned(), String::new()]];
        let text = format(&[Column::Left("NAME"), Column::Right("N")], &rows);
        assert_eq!(text, "NAME  N\na     1\n?[2J  -");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let columns = [Column::Left("NODE"), Column::Left("REGION"), Column::Right("ROOMS"), Column::Left("VERSION")];
        let rows = vec![["a", "", "7", "1.0"].map(str::to_owned).to_vec()];
        let headings = |limit| {
            let table = fitting(&columns, &rows, Some(limit));
            table.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(headings(28), "NODE REGION ROOMS VERSION");
        assert_eq!(headings(27), "NODE ROOMS VERSION");
        assert_eq!(headings(19), "NODE ROOMS");
        assert_eq!(headings(1), "NODE");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1_500.0, "1.5k"),
            (20_000_000.0, "20M"),
            (999_600.0, "1.0M"),
            (1e20, "100000P"),
        ] {
            assert_eq!(rate(value), text);
        }
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (27_000, "7h30m"), (273_600, "3d4h")] {
            assert_eq!(lasting(seconds), text);
        }
    }
}
