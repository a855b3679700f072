//! Format parameters: the `name=value;name=value` lists of `a=fmtp` lines.

/// The value of a parameter; names are compared without case.
pub fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    pairs(fmtp).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The value of a parameter that is a small number.
pub fn number(fmtp: &str, name: &str) -> Option<u8> {
    parameter(fmtp, name)?.parse().ok()
}

/// The list with the parameter set to that value, at the end if it is new.
pub fn with(fmtp: &str, name: &str, value: &str) -> String {
    let rest = without(fmtp, name);
    let separator = if rest.is_empty() { "" } else { ";" };
    format!("{rest}{separator}{name}={value}")
}

/// The list without the parameter.
pub fn without(fmtp: &str, name: &str) -> String {
    let keeps = |item: &&str| !item.split('=').next().unwrap_or_default().trim().eq_ignore_ascii_case(name);
    fmtp.split(';').map(str::trim).filter(|item| !item.is_empty()).filter(keeps).collect::<Vec<_>>().join(";")
}

fn pairs(fmtp: &str) -> impl Iterator<Item = (&str, &str)> {
    fmtp.split(';').map(|item| item.split_once('=').unwrap_or((item, ""))).map(|(n, v)| (n.trim(), v.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_whatever_the_spacing_and_case() {
        let fmtp = "level-asymmetry-allowed=1; Packetization-Mode = 1;profile-level-id=42e01f";
        assert_eq!(parameter(fmtp, "packetization-mode"), Some("1"));
        assert_eq!(number("apt=96", "apt"), Some(96));
        assert_eq!(number("apt=960", "apt"), None);
        assert_eq!(parameter(fmtp, "mode"), None);
    }

    #[test]
    fn setting_replaces_and_removing_leaves_names_that_only_end_alike() {
        let cases = [
            (with("minptime=10;usedtx=0", "usedtx", "1"), "minptime=10;usedtx=1"),
            (with("", "stereo", "1"), "stereo=1"),
            (without("stereo=1;sprop-stereo=1", "stereo"), "sprop-stereo=1"),
            (without("a=1;;b=2;", "c"), "a=1;b=2"),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
    }
}
