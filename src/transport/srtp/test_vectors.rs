//! Published packets for the transforms' tests.

use super::Profile;

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(super) const GCM_SALT: &[u8; 12] = b"Quid pro quo";
const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) const GCM_RTP: &str = "8040f17b8041f8d35501a0b2
    47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";

pub(super) const GCM_SRTP: [(Profile, &str, &str); 2] = [
    (
        Profile::AeadAes128Gcm,
        KEY_128,
        "8040f17b8041f8d35501a0b2
        f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
        899d7f27beb16a9152cf765ee4390cce",
    ),
    (
        Profile::AeadAes256Gcm,
        KEY_256,
        "8040f17b8041f8d35501a0b2
        32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b
        7aa3db36dfffd6b0f9bb7878d7a76c13",
    ),
];

pub(super) const GCM_RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e930
    4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

pub(super) const GCM_SRTCP: [(Profile, &str, &str); 2] = [
    (
        Profile::AeadAes128Gcm,
        KEY_128,
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded
        0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    ),
    (
        Profile::AeadAes256Gcm,
        KEY_256,
        "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de047
        6f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
    ),
];

pub(super) const CM_KEY: &str = "e1f97a0d3e018be0d64fa32c06de4139";
pub(super) const CM_SALT: &str = "0ec675ad498afeebb6960b3aabe6";
pub(super) const CM_RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
pub(super) const CM_SRTP: &str = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb";
pub(super) const CM_RTCP: &str = "81c8000bcafebabeabababababababababababababababab";
pub(super) const CM_SRTCP: &str = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798";
