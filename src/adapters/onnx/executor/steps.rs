//! What graph steps need of the node: the graphs for its runtime.

use std::collections::BTreeSet;

use crate::drivers::graph_of;
use delta_domain::manifest::Step;

/// The graphs that a runtime executes for some steps.
pub(super) fn graphs_of(steps: &[Step], runtime: &str) -> Vec<String> {
    let names: BTreeSet<&str> = steps.iter().filter_map(|s| graph_of(s, runtime)).collect();
    names.into_iter().map(str::to_owned).collect()
}
