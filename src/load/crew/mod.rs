//! A load test on many machines: workers and a coordinator that meet over Redis. The coordinator splits the shape, sets the
//! start by Redis's clock, says when to measure, and adds up what the workers counted, histogram by histogram. Called by
//! `commands`.

mod bus;
mod clock;
mod coordinator;
mod harvest;
mod letter;
mod worker;

pub use bus::CrewError;
pub use coordinator::{Coordination, coordinate};
pub use harvest::{Harvest, Worker};
pub use worker::{Worked, work};
