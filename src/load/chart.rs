//! A figure over time, drawn as SVG: a line with an area under it, round numbers at the axis, the measuring window shaded.
//! Called by `html`.

use std::fmt::Write as _;

/// Size in SVG units.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 150.0;
/// Room for the numbers at the left, above the line and below it.
const LEFT: f64 = 48.0;
const ABOVE: f64 = 10.0;
const BELOW: f64 = 20.0;

/// What is drawn.
pub struct Chart<'a> {
    pub name: &'a str,
    /// Seconds and values.
    pub points: &'a [(f64, f64)],
    /// Beginning and end of the measuring window in seconds.
    pub window: (f64, f64),
}

impl Chart<'_> {
    /// Nothing where there are no points.
    pub fn write(&self, out: &mut String) {
        let Some((end, _)) = self.points.last() else { return };
        let end = end.max(1e-9);
        let top = round_up(self.points.iter().map(|(_, value)| *value).fold(0.0, f64::max));
        let x = |at: f64| LEFT + at.clamp(0.0, end) / end * (WIDTH - LEFT);
        let y = |value: f64| HEIGHT - value / top * (HEIGHT - ABOVE);
        let name = self.name;
        let _ = write!(
            out,
            "<figure><figcaption>{name}</figcaption><svg viewBox=\"0 0 {WIDTH} {}\" role=img aria-label=\"{name}\">",
            HEIGHT + BELOW
        );
        let (from, to) = (x(self.window.0), x(self.window.1));
        let _ =
            write!(out, "<rect class=window x={from:.1} y={ABOVE} width={:.1} height={} />", to - from, HEIGHT - ABOVE);
        for part in 0..=2 {
            let value = top * f64::from(part) / 2.0;
            let at = y(value);
            let _ = write!(
                out,
                "<path class=grid d=\"M{LEFT} {at:.1}H{WIDTH}\" /><text x={} y={:.1} text-anchor=end>{}</text>",
                LEFT - 6.0,
                at + 4.0,
                number(value)
            );
        }
        let line: Vec<String> =
            self.points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
        let (line, first) = (line.join(" "), x(self.points[0].0));
        let _ = write!(
            out,
            "<polygon points=\"{first:.1},{HEIGHT} {line} {WIDTH},{HEIGHT}\" /><polyline points=\"{line}\" />\
             <text x={LEFT} y={}>0 s</text><text x={WIDTH} y={} text-anchor=end>{end:.0} s</text></svg></figure>",
            HEIGHT + 15.0,
            HEIGHT + 15.0
        );
    }
}

/// The next of 1, 2, 4, 5, 10, 20 …; halves of these are short.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(10.0 * power)
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 0.12, 8.0, 35.2, 22.99, 100.0].map(round_up), [1.0, 0.2, 10.0, 40.0, 40.0, 100.0]);
        assert_eq!([0.0, 0.1, 17.5, 20.0].map(number), ["0", "0.1", "17.5", "20"]);
    }

    #[test]
    fn a_chart_needs_points() {
        let mut out = String::new();
        Chart { name: "Loss", points: &[], window: (0.0, 0.0) }.write(&mut out);
        assert_eq!(out, "");
        Chart { name: "Loss", points: &[(0.0, 1.0), (10.0, 2.0)], window: (5.0, 99.0) }.write(&mut out);
        assert!(out.contains("48.0,80.0 460.0,10.0"), "half way up, then at the top: {out}");
        assert!(out.contains("x=254.0 y=10 width=206.0"), "the window ends with the chart: {out}");
    }
}
