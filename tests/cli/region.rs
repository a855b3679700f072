use super::lkops::{Run, file, lkops};

const REGIONS: &str = "lkops:\n  regions:\n    - {name: eu, url: 'wss://eu.example.com', lat: 50.1, lon: 8.7}\n    - {name: \
                       us, url: 'wss://us.example.com', lat: 38.9, lon: -77.4, networks: [192.0.2.0/24]}\n";

fn pick(args: &[&str]) -> Run {
    let (_file, path) = file(REGIONS);
    lkops(&[&["region", "pick", "--config", &path], args].concat())
}

#[test]
fn the_nearest_regions_url_is_printed() {
    for (args, url) in [
        (["--lat-lon", "48.86,2.35"], "wss://eu.example.com\n"),
        (["--lat-lon", "-33.4,-70.6"], "wss://us.example.com\n"),
        (["--ip", "192.0.2.9"], "wss://us.example.com\n"),
    ] {
        assert_eq!(pick(&args).ok(), url, "{args:?}");
    }
    let list = pick(&["--lat-lon", "50.1,8.7", "-o", "json"]).json();
    assert_eq!((&list[0]["region"], &list[0]["distance_m"]), (&"eu".into(), &0.0.into()));
    assert_eq!(list[1]["url"], "wss://us.example.com");
}

#[test]
fn an_unknown_address_falls_back_or_fails() {
    let errors = pick(&["--ip", "198.51.100.1"]).failed(1);
    assert!(errors[0].starts_with("error: no region's networks hold 198.51.100.1: "), "{errors:?}");
    assert_eq!(pick(&["--ip", "198.51.100.1", "--region", "eu"]).ok(), "wss://eu.example.com\n");
}

#[test]
fn mistakes_are_code_2() {
    assert_eq!(pick(&[]).code, Some(2), "somebody must be somewhere");
    assert_eq!(pick(&["--lat-lon", "91,0"]).code, Some(2));
    let errors = lkops(&["region", "pick", "--lat-lon", "0,0"]).failed(2);
    assert_eq!(errors, ["error: lkops.regions lists no region; add each with name, url, lat and lon"]);
}
