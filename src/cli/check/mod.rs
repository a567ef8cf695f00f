//! `check`: what an operator should know before the first task, as a list of findings.
//!
//! `local` looks at what needs nothing but files and sockets, `probes` at connector, database, executor and data.

mod finding;
mod local;
mod probes;

pub(super) use finding::{Finding, Level, config_problems, json, lines};
pub(super) use local::local;
pub(super) use probes::probes;
