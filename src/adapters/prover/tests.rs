//! Whole proofs: that honest ones hold, and which dishonest ones do not.

mod certificates;
mod dishonest;
mod honest;
mod messages;
mod rows;
mod vectors;
mod world;
