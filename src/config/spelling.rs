//! The known word nearest to a misspelt one. Called by `keys` and `kind` for "did you mean".

/// The candidate reached in fewest edits, if that is few enough to be a slip: one, and one more for every four letters.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let measured = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let (edits, best) = measured.min()?;
    (edits <= 1 + word.len() / 4).then_some(best)
}

/// Edit distance (Levenshtein), in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let substituted = row[j] + usize::from(x != *y);
            next.push(substituted.min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        for (a, b, edits) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("tcp_prt", "tcp_port", 1), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn only_slips_are_corrected() {
        assert_eq!(nearest("mine", ["mime", "fmtp_line"]), Some("mime"));
        assert_eq!(nearest("zzz", ["mime", "fmtp_line"]), None);
        assert_eq!(nearest("mime", []), None);
    }
}
