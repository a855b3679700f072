//! Payloads put together part by part, in a buffer that may be too small. Bytes only.

/// Writes the parts one after the other from `begin` on and returns where they end; `None` if they do not fit.
pub fn put(out: &mut [u8], begin: usize, parts: &[&[u8]]) -> Option<usize> {
    let mut at = begin;
    for part in parts {
        let end = at + part.len();
        out.get_mut(at..end)?.copy_from_slice(part);
        at = end;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_or_do_not_fit() {
        let mut out = [9; 5];
        assert_eq!(put(&mut out, 1, &[&[1, 2], &[], &[3]]), Some(4));
        assert_eq!(out, [9, 1, 2, 3, 9]);
        assert_eq!(put(&mut out, 3, &[&[1, 2, 3]]), None);
        assert_eq!(put(&mut out, 7, &[&[]]), None, "begins behind the end");
    }
}
