//! Rooms driven by clients that are only signalling, against a shard that is only a command queue.

mod codecs;
mod directory;
mod disorder;
mod faults;
mod joining;
mod leaving;
mod media;
mod operations;
mod world;
