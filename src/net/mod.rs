//! Sockets: batched UDP with segmentation offload, framed TCP, and which local addresses there are. Called by `shard` and
//! `server`; knows nothing of what a datagram means.

pub mod addr;
mod offload;
pub mod tcp;
pub mod udp;
