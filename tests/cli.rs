//! What a user of the binary sees: output, errors and exit codes, one file per command under `cli/`.

mod cli {
    mod config;
    mod docs;
    mod help;
    mod keys;
    mod lkops;
    mod load_test;
    mod plan;
    mod ports;
    mod token;
}
