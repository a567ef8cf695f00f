//! Whole nodes under a random schedule (being written).
