//! What a user of the binary sees: output, errors and exit codes, one file per command under `cli/`.

#[path = "support/redis_server.rs"]
mod redis_server;

mod cli {
    use super::redis_server;
    mod config;
    mod docs;
    mod help;
    mod keys;
    mod lkops;
    mod nodes;
    mod ports;
    mod region;
    mod token;
}
