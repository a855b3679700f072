//! Tables of text: columns as wide as they must be, the first to the left, numbers to the right.

/// Lines of aligned columns under a line of names.
pub fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([names[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let head = line(&widths, names.iter().copied());
    let body = rows.iter().map(|row| line(&widths, row.iter().map(String::as_str)));
    std::iter::once(head).chain(body).collect::<Vec<_>>().join("\n")
}

fn line<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
    let aligned = cells
        .zip(widths)
        .enumerate()
        .map(|(at, (cell, width))| if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
    aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// `1.25 Mbit/s`.
pub fn bitrate(bps: f64) -> String {
    match bps {
        bps if bps >= 1e9 => format!("{:.2} Gbit/s", bps / 1e9),
        bps if bps >= 1e6 => format!("{:.2} Mbit/s", bps / 1e6),
        bps => format!("{:.0} kbit/s", bps / 1e3),
    }
}

/// Milliseconds, with more digits where there are few.
pub fn ms(ms: f64) -> String {
    match ms {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    }
}

pub fn percent(percent: f64) -> String {
    if percent == 0.0 || percent >= 10.0 { format!("{percent:.0} %") } else { format!("{percent:.2} %") }
}

pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let rows = [vec!["a".into(), "1".into()], vec!["long name".into(), "100".into()]];
        assert_eq!(table(&["room", "n"], &rows), "room         n\na            1\nlong name  100");
    }

    #[test]
    fn quantities_have_their_units() {
        assert_eq!([bitrate(1.5e9), bitrate(2e6), bitrate(5e3)], ["1.50 Gbit/s", "2.00 Mbit/s", "5 kbit/s"]);
        assert_eq!([ms(0.1234), ms(12.34), ms(1234.5)], ["0.12", "12.3", "1234"]);
        assert_eq!(
            [percent(0.0), percent(0.5), percent(50.0), mib(3 << 20)],
            ["0 %", "0.50 %", "50 %", "3 MiB"].map(String::from)
        );
    }
}
