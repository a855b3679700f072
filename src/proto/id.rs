//! Object ids: a prefix and 12 characters from an alphabet without look-alikes (WIRE.md §9.1).

use rand::Rng;

const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 12;

/// `prefix` followed by 12 random characters.
pub fn random(prefix: &str) -> String {
    let mut rng = rand::rng();
    let tail = (0..RANDOM_CHARS).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())] as char);
    prefix.chars().chain(tail).collect()
}

/// A room's sid.
pub fn room() -> String {
    random("RM_")
}

/// A participant session's sid.
pub fn participant() -> String {
    random("PA_")
}

/// A server node's id.
pub fn node() -> String {
    random("ND_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_prefix_and_length() {
        let id = room();
        assert!(id.starts_with("RM_"));
        assert_eq!(id.len(), 15);
        assert_ne!(id, room());
    }
}
