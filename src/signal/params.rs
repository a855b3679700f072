//! The parameters of a connect URL, decoded. The first of several with one name counts, as in Go's `url.Values`.

use axum::extract::Query;
use axum::http::Uri;

#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// An unreadable query has no parameters.
    pub fn of(uri: &Uri) -> Params {
        Query::try_from_uri(uri).map(|Query(pairs)| Params(pairs)).unwrap_or_default()
    }

    /// Empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub fn string(&self, name: &str) -> String {
        self.text(name).to_owned()
    }

    /// `None` if absent or empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|t| !t.is_empty())
    }

    /// True only for `1` and `true` (WIRE.md §1.8).
    pub fn flag(&self, name: &str) -> bool {
        is_true(self.text(name))
    }

    /// `None` if absent or empty.
    pub fn optional_flag(&self, name: &str) -> Option<bool> {
        self.given(name).map(is_true)
    }

    /// 0 if absent or no number.
    pub fn number(&self, name: &str) -> i32 {
        self.text(name).parse().unwrap_or(0)
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::of(&format!("/rtc?{query}").parse().unwrap())
    }

    #[test]
    fn values_are_decoded_and_the_first_counts() {
        let p = params("a=x%20y+z&a=second&b=&c=%25%25");
        assert_eq!((p.text("a"), p.text("b"), p.text("c"), p.text("d")), ("x y z", "", "%%", ""));
        assert_eq!((p.given("a"), p.given("b")), (Some("x y z"), None));
    }

    #[test]
    fn flags_are_true_for_two_spellings_only() {
        let p = params("a=1&b=true&c=TRUE&d=yes&e=");
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(|n| p.flag(n)), [true, true, false, false, false, false]);
        assert_eq!(["a", "c", "e", "f"].map(|n| p.optional_flag(n)), [Some(true), Some(false), None, None]);
    }

    #[test]
    fn numbers_default_to_zero() {
        let p = params("a=16&b=x&c=99999999999");
        assert_eq!(["a", "b", "c", "d"].map(|n| p.number(n)), [16, 0, 0, 0]);
    }
}
