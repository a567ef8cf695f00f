//! The machine that the node runs on: its clock, its randomness, its disk, and the node's key on it.

mod blobs;
mod clock;
mod entropy;
mod files;
mod node_key;

pub use blobs::FileBlobs;
pub use clock::SystemClock;
pub use entropy::SystemEntropy;
pub use node_key::load_or_create_node_key;
