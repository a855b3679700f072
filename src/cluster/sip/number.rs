//! Telephone numbers, which are written in many ways.

/// Digits with a leading `+`; what is no number stays as it is.
pub fn normalize(number: &str) -> String {
    if !is_number(number) {
        return number.to_owned();
    }
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    if digits.starts_with('+') { digits } else { format!("+{digits}") }
}

fn is_number(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')'))
}

pub fn is_same(a: &str, b: &str) -> bool {
    a == b || normalize(a) == normalize(b)
}

/// No list allows all.
pub fn is_allowed(number: &str, allowed: &[String]) -> bool {
    allowed.is_empty() || allowed.iter().any(|a| is_same(number, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        for written in ["+15551234", "15551234", "+1 (555) 12-34", "1-555-1234"] {
            assert_eq!(normalize(written), "+15551234", "{written}");
        }
        for other in ["", "+", "alice", "+1x"] {
            assert_eq!(normalize(other), other);
        }
        assert!(is_allowed("1555", &[]) && is_allowed("1555", &["+1-555".into()]) && !is_allowed("1", &["2".into()]));
    }
}
