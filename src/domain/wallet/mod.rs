//! A wallet's calls: which goes next, and how long the record takes to answer one.
//!
//! On a blockchain a call is a transaction that waits for its block, and a wallet has one of them under way at a time. So a node keeps
//! its calls in one queue and sends the one that is needed most; and what its deadlines must allow for is learnt from what it sees.

mod need;
mod pace;
mod queue;

pub use need::Need;
pub use pace::Pace;
pub use queue::{Asked, CallId, Full, Queue};
