//! Durations as Go writes them (`1m30s`, `100ms`), the form of every duration key. Called by `kind` and `value`.

use std::time::Duration;

/// Units by size in nanoseconds, in the order Go prints them.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads `1h2m3.5s`. A number needs its unit, save a lone `0`; negative durations mean nothing here.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.starts_with('-') {
        return Err(format!("`{text}` is negative"));
    }
    let mut rest = digits;
    let mut total = 0.0;
    while !rest.is_empty() {
        let (nanos, tail) = component(rest).ok_or_else(|| refusal(text))?;
        total += nanos;
        rest = tail;
    }
    if digits.is_empty() || total > i64::MAX as f64 {
        return Err(refusal(text));
    }
    Ok(Duration::from_nanos(total.round() as u64))
}

fn refusal(text: &str) -> String {
    format!("`{text}` is not a duration; write it with its unit, such as 5s, 100ms or 1m30s")
}

fn component(text: &str) -> Option<(f64, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, tail) = text.split_at(number_end);
    let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
    let (unit, tail) = tail.split_at(unit_end);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((number.parse::<f64>().ok()? * nanos, tail))
}

/// Writes what `parse` reads back, as short as it can: `90s` is `1m30s`, `1500ms` is `1.5s`.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}us", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{}ms", nanos as f64 / 1e6),
        _ => format_clock(duration),
    }
}

fn format_clock(duration: Duration) -> String {
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    let seconds = (duration.as_nanos() % 60_000_000_000) as f64 / 1e9;
    let parts = [(hours as f64, "h"), (minutes as f64, "m"), (seconds, "s")];
    parts.iter().filter(|(amount, _)| *amount > 0.0).map(|(amount, unit)| format!("{amount}{unit}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        let cases = [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("100ms", 100_000_000),
            ("1m30s", 90_000_000_000),
            ("7.5s", 7_500_000_000),
            ("2h", 7_200_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("9ns", 9),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", "5 s", "five", "-5s", "5s5", "1d", "1.2.3s", "9999999999h", "+"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["0s", "5s", "100ms", "1m30s", "7.5s", "2h", "1h30m", "2m", "3us", "9ns", "1.5s", "2.5ms"] {
            let duration = parse(text).unwrap();
            assert_eq!(format(duration), text);
            assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
