//! The server as a process: put together in `assemble`, it lives through the phases of `state` until a signal drains it.
//! Called by the `serve` command; knows neither terminal nor flags.

mod assemble;
mod drain;
mod external_ip;
mod ice_tcp;
mod listen;
mod local_rooms;
mod media_plane;
mod node_load;
mod overload;
mod patient;
mod peers;
mod state;
mod unix_signal;
mod vitals;

#[cfg(test)]
mod tests;

pub use assemble::{ServeError, run};
#[doc(hidden)] // only for the fuzz targets
pub use external_ip::mapped_address;
pub use listen::ListenError;
pub use state::Phase;
