//! The load tester: makes rooms full of synthetic participants, measures what they get, and says whether to believe it.
//! Called by `commands`. It sees a server as any client does, over the wire, whichever server that is; it knows nothing of
//! terminals.

pub mod calibrate;
pub mod camera;
pub mod capacity;
mod chart;
pub mod compare;
pub mod crew;
mod data;
mod exposition;
mod figures;
pub mod html;
pub mod language;
mod member;
pub mod plan;
pub mod rates;
pub mod report;
mod run;
pub mod scenario;
mod schedule;
mod setup;
pub mod shape;
mod sight;
mod stages;
pub mod test;
pub mod threshold;
mod tiles;
mod times;
pub mod verify;
pub mod vitals;
pub mod watch;

pub use figures::Figures;
pub use run::{Cue, Progress, Stage};
pub use setup::{LoadError, Setup};
pub use stages::STAGES;
pub use times::Percentiles;
