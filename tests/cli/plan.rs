use super::lkops::{file, lkops};

#[test]
fn a_plan_counts_subscribed_tracks_and_names_the_wall() {
    let plan = lkops(&["plan", "--shape", "25x(4av)", "-o", "json"]).json();
    assert_eq!((&plan["participants"], &plan["rooms"]), (&100.into(), &25.into()));
    assert_eq!((&plan["tracks"]["subscribed_video"], &plan["tracks"]["subscribed_audio"]), (&300.into(), &300.into()));
    assert_eq!(plan["rates"]["packets_out"], 300.0 * 260.0);
    let machines = plan["machines"].as_array().unwrap();
    assert!(machines.len() >= 4 && machines.iter().all(|m| m["wall"].is_string()), "{machines:#?}");
}

#[test]
fn machines_and_costs_can_be_ones_own() {
    let (_machines, machines) = file("- {name: tiny, vcpus: 1, memory_gib: 1, port_gbps: 0.1}\n");
    let (_costs, costs) = file(
        "machine: x\npacket_in_us: 1\npacket_out_us: 1\nburst_out_us: 1\nidle_us_per_s: 0\nidle_bytes: 0\n\
         participant_bytes: 0\nsubscription_bytes: 0\n",
    );
    let args = ["--machines", &machines, "--machine", "tiny", "--calibration", &costs];
    let out = lkops(&[&["plan", "--shape", "1x(1v,800s)"][..], &args].concat()).ok();
    let tiny: Vec<&str> = out.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(tiny[..4], ["tiny", "too", "small", "port"], "{out}");
}

#[test]
fn mistakes_are_one_line() {
    assert!(lkops(&["plan", "--shape", "4av"]).failed(2)[0].starts_with("error: `4av` is no kind of room"));
    let unknown = lkops(&["plan", "--shape", "(4av)", "--machine", "PDP-11"]).failed(2);
    assert!(unknown[0].starts_with("error: there is no machine `PDP-11`; there are CX32, "), "{unknown:?}");
    let (_costs, costs) = file("machine: x\n");
    let bad = lkops(&["plan", "--shape", "(4av)", "--calibration", &costs]).failed(1);
    assert!(bad[0].contains("is no calibration"), "{bad:?}");
}
