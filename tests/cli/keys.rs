use super::lkops::lkops;

#[test]
fn keys_are_printed_as_livekit_prints_them() {
    let out = lkops(&["generate-keys"]).ok();
    let (key, secret) = out.trim_end().split_once('\n').expect("two lines");
    let key = key.strip_prefix("API Key:  ").expect("two spaces");
    let secret = secret.strip_prefix("API Secret:  ").expect("two spaces");
    assert!(key.starts_with("API") && key.len() == 15, "{key}");
    assert!(secret.len() == 43 && secret.chars().all(|c| c.is_ascii_alphanumeric()), "{secret}");
    assert_ne!(lkops(&["generate-keys"]).ok(), out);
}

#[test]
fn keys_are_json_on_demand() {
    let keys = lkops(&["generate-keys", "-o", "json"]).json();
    assert!(keys["api_key"].as_str().unwrap().starts_with("API"));
    assert_eq!(keys["api_secret"].as_str().unwrap().len(), 43);
}
