//! Agents (CLUSTER.md §2.4): which nodes have workers for them, jobs of rooms here for workers anywhere, jobs from anywhere for
//! workers here.

mod census;
mod dispatches;
mod launch;
mod topic;
mod workforce;

#[cfg(test)]
mod tests;

pub(super) use census::Census;
pub use dispatches::Dispatches;
pub use launch::Launcher;
pub use topic::Kind;
pub use workforce::{Presence, Refusal, Worker, Workforce};
