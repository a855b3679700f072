use super::lkops::{lkops, lkops_with};

/// Nobody listens on port 1.
const NOWHERE: [&str; 6] = ["--url", "ws://127.0.0.1:1", "--api-key", "k", "--api-secret", "s"];

fn load_test(args: &[&str], code: i32) -> String {
    let all = [&["load-test"][..], &NOWHERE[..], args].concat();
    lkops(&all).failed(code).join("\n")
}

#[test]
fn an_unreachable_server_is_one_line() {
    let line = load_test(&[], 1);
    assert!(line.starts_with("error: cannot connect to 127.0.0.1:1: "), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn impossible_shapes_are_told_before_anything_is_asked_of_the_server() {
    assert_eq!(
        load_test(&["--subscribers", "5"], 2),
        "error: nobody publishes in a room of 5 subscribers; there would be nothing to measure"
    );
    assert!(load_test(&["--shape", "0x(4av)"], 2).starts_with("error: the shape has no participants"));
    assert!(load_test(&["--shape", "4av"], 2).starts_with("error: `4av` is no kind of room"));
    assert!(load_test(&["--participants", "9000000"], 2).contains("is the most one machine is asked for"));
    assert!(
        load_test(&["--participants", "3", "--rooms", "2", "--shape", "1x(4av)"], 2).contains("cannot be used with")
    );
}

#[test]
fn conditions_and_names_are_checked_when_read() {
    assert!(load_test(&["--fail-if", "lsos>1%"], 2).contains("there is no figure `lsos`"));
    assert!(load_test(&["--video-codec", "h266"], 2).contains("`h266` is none of vp8"));
    assert!(load_test(&["--layout", "2x2"], 2).contains("`2x2` is none of all, speaker, 3x3, 4x4, 5x5"));
    assert!(load_test(&["--num-per-second", "0"], 2).contains("nobody would ever arrive"));
}

#[test]
fn a_server_and_a_key_must_be_named() {
    assert_eq!(lkops(&["load-test"]).failed(2), ["error: the server's --url is missing; give --url or --dev"]);
    let env = [("LIVEKIT_URL", "ftp://x"), ("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET", "s")];
    let line = lkops_with(&["load-test"], &env).failed(1).join("\n");
    assert!(line.contains("`ftp://x/` is no URL of a server"), "{line}");
}

#[test]
fn workers_and_coordinator_need_a_redis() {
    assert!(load_test(&["--workers", "2"], 2).contains("--redis <ADDRESS>"));
    assert!(load_test(&["--workers", "0", "--redis", "127.0.0.1:1"], 2).contains("--workers"));
    let line = load_test(&["--participants", "3", "--workers", "2", "--redis", "127.0.0.1:1"], 1);
    assert!(line.contains("cannot reach redis at 127.0.0.1:1: "), "{line}");
    let line = load_test(&["--participants", "3", "--workers", "9", "--redis", "127.0.0.1:1"], 1);
    assert!(line.contains("more workers are asked for than there are participants"), "{line}");
    let alone = lkops(&["load-test", "worker"]).failed(2).join("\n");
    assert!(alone.contains("--redis is missing"), "{alone}");
    let nowhere = lkops(&["load-test", "worker", "--redis", "u:secret@127.0.0.1:1"]).failed(1).join("\n");
    assert!(nowhere.contains("cannot reach redis at 127.0.0.1:1: ") && !nowhere.contains("secret"), "{nowhere}");
}
