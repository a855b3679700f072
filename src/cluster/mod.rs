//! A node among others. Knows nothing of rooms' contents, media and HTTP.

pub mod region;
pub mod select;
