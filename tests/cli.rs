//! What a user of the binary sees: output, errors and exit codes, one file per command under `cli/`.

mod cli {
    mod config;
    mod docs;
    mod help;
    mod keys;
    mod lkops;
    mod load_test;
    mod nodes;
    mod plan;
    mod ports;
    mod probe;
    #[path = "../cluster/redis_server.rs"]
    #[allow(dead_code, reason = "other tests do more to it")]
    mod redis_server;
    mod region;
    mod token;
}
