//! The embedded connector alone: restart, damage, limits.
