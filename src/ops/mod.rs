//! What operators ask and tell a cluster of, stock nodes and ours alike. Called by `commands`; knows no terminal.

pub mod drain;
pub mod nodes;
pub mod targets;
