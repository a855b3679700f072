//! What nodes and workers say to each other, as recorded.

mod golden;
