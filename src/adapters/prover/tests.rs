//! Whole proofs: that honest ones hold, and which dishonest ones do not.

mod honest;
mod world;
