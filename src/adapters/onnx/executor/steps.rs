//! What graph steps need of the node: datasets, and the graphs for its runtime.

use std::collections::BTreeSet;

use crate::drivers::graph_of;
use delta_domain::ids::DatasetName;
use delta_domain::manifest::{Source, Step};

/// The datasets that steps read.
pub(super) fn datasets_of(steps: &[Step]) -> BTreeSet<DatasetName> {
    let mut names = BTreeSet::new();
    for step in steps {
        if let Some((dataset, _)) = step.driver.walks() {
            names.insert(dataset.clone());
        }
        names.extend(step.inputs.values().filter_map(|s| match s {
            Source::Data { dataset, .. } => Some(dataset.clone()),
            _ => None,
        }));
    }
    names
}

/// The graphs that a runtime executes for some steps.
pub(super) fn graphs_of(steps: &[Step], runtime: &str) -> Vec<String> {
    let names: BTreeSet<&str> = steps.iter().filter_map(|s| graph_of(s, runtime)).collect();
    names.into_iter().map(str::to_owned).collect()
}
