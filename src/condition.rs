//! Conditions on figures as operators write them: `join_p95>500ms`, `loss>0.5%`. Which figures there are is the caller's:
//! `load` and `probe` have some each.

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Ms,
    Percent,
    Bps,
    Count,
}

/// A figure compared with a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As written.
    pub text: String,
    pub figure: String,
    pub unit: Unit,
    above: bool,
    /// In the figure's unit.
    limit: f64,
}

/// The figures somebody has.
pub struct Figures {
    /// A condition or two on them, for whoever made a mistake.
    pub example: &'static str,
    /// All names, as told to whoever made a mistake.
    pub names: fn() -> String,
    /// `None` for a name there is not.
    pub unit_of: fn(&str) -> Option<Unit>,
}

/// What is wrong with a condition; the writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("`{text}` is no condition; write it like {example}")]
    Form { text: String, example: &'static str },
    #[error("there is no figure `{figure}`; there are {names}")]
    Figure { figure: String, names: String },
    #[error("`{figure}` has no such unit; it takes {takes}")]
    Unit { figure: String, takes: &'static str },
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Ms => "ms",
            Unit::Percent => "%",
            Unit::Bps => "bit/s",
            Unit::Count => "",
        }
    }

    fn takes(self) -> &'static str {
        match self {
            Unit::Ms => "us, ms or s",
            Unit::Percent => "%",
            Unit::Bps => "bps, kbps, mbps or gbps",
            Unit::Count => "none",
        }
    }

    /// How much of it one of what the text names is.
    fn factor(self, text: &str) -> Option<f64> {
        match (self, text) {
            (Unit::Ms, "ms") | (Unit::Percent, "%" | "") | (Unit::Bps, "bps" | "") | (Unit::Count, "") => Some(1.0),
            (Unit::Ms, "us") => Some(0.001),
            (Unit::Ms, "s") | (Unit::Bps, "kbps") => Some(1e3),
            (Unit::Bps, "mbps") => Some(1e6),
            (Unit::Bps, "gbps") => Some(1e9),
            _ => None,
        }
    }
}

impl Condition {
    /// Reads `FIGURE>NUMBER UNIT`, with `<`, `>=` or `<=` as well; equal is never beyond.
    pub fn parse(text: &str, figures: &Figures) -> Result<Condition, ConditionError> {
        let wrong = || ConditionError::Form { text: text.to_owned(), example: figures.example };
        let at = text.find(['>', '<']).ok_or_else(wrong)?;
        let (figure, rest) = (text[..at].trim().to_owned(), text[at + 1..].trim_start_matches('=').trim());
        let Some(unit) = (figures.unit_of)(&figure) else {
            return Err(ConditionError::Figure { figure, names: (figures.names)() });
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let Some(factor) = unit.factor(rest[end..].trim()) else {
            return Err(ConditionError::Unit { figure, takes: unit.takes() });
        };
        let above = text[at..].starts_with('>');
        Ok(Condition { text: text.to_owned(), figure, unit, above, limit: number * factor })
    }

    /// Whether it is met by that figure; what was not measured meets it too.
    pub fn is_met(&self, value: Option<f64>) -> bool {
        value.is_none_or(|value| if self.above { value > self.limit } else { value < self.limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURES: Figures = Figures {
        example: "join>500ms or loss>1%",
        names: || "join, loss, rate, lost".to_owned(),
        unit_of: |name| match name {
            "join" => Some(Unit::Ms),
            "loss" => Some(Unit::Percent),
            "rate" => Some(Unit::Bps),
            "lost" => Some(Unit::Count),
            _ => None,
        },
    };

    fn met(text: &str, value: f64) -> bool {
        Condition::parse(text, &FIGURES).unwrap().is_met(Some(value))
    }

    #[test]
    fn limits_are_in_the_figure_s_unit() {
        assert!(met("join>0.3s", 301.0) && !met("join > 300 ms", 300.0) && met("join<500us", 0.4));
        assert!(met("loss>0.5%", 0.6) && !met("loss>=0.5", 0.5) && met("rate<2mbps", 1.9e6) && met("lost>0", 1.0));
    }

    #[test]
    fn what_was_not_measured_meets_every_condition() {
        assert!(Condition::parse("join<1s", &FIGURES).unwrap().is_met(None));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| Condition::parse(text, &FIGURES).unwrap_err().to_string();
        assert_eq!(error("loss"), "`loss` is no condition; write it like join>500ms or loss>1%");
        assert_eq!(error("lsos>1%"), "there is no figure `lsos`; there are join, loss, rate, lost");
        assert_eq!(error("join>1%"), "`join` has no such unit; it takes us, ms or s");
        assert_eq!(error("lost>1s"), "`lost` has no such unit; it takes none");
        assert!(error("join>x").contains("is no condition") && error("join>1.2.3ms").contains("is no condition"));
    }
}
