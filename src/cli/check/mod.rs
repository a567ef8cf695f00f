//! `check`: what an operator should know before the first task, as a list of findings.
//!
//! `doors` says who gets in, and what is open; `local` looks at what needs nothing but files and sockets, `probes` at connector, database, executor and data, `reach` at how others find this node.

mod doors;
mod finding;
mod live;
mod local;
mod probes;
mod reach;

pub(crate) use doors::doors;
pub(super) use finding::{Finding, Level, config_problems, json, lines};
pub(crate) use live::Live;
pub(super) use local::local;
pub(super) use probes::probes;
pub(super) use reach::reach;
