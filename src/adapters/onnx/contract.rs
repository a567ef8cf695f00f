//! Whether checked graphs fit the task: every input has a source of its type, every mapped output exists, what leaves has its shape.
//!
//! Types are followed through the steps, with lengths that are known only when data are read left open; those are compared at run time.
//! All of it happens before a member joins a round, so that a task that cannot work fails for its author and not in the middle.

mod data;
mod kind;
mod scope;

use std::collections::BTreeMap;

use super::failure::Failure;
use super::guard::CheckedGraph;
use delta_domain::manifest::{Location, Manifest, MapSpec, ReduceSpec, RoundSpec};

use kind::{Kind, lands};
use scope::Scope;

/// Compares all steps of a task with their graphs.
pub(crate) fn check(
    manifest: &Manifest,
    graphs: &BTreeMap<String, CheckedGraph>,
) -> Result<(), Failure> {
    for (number, round) in manifest.rounds.iter().enumerate() {
        check_round(manifest, round, graphs).map_err(|f| f.within(&format!("rounds[{number}]")))?;
    }
    Ok(())
}

fn check_round(
    manifest: &Manifest,
    round: &RoundSpec,
    graphs: &BTreeMap<String, CheckedGraph>,
) -> Result<(), Failure> {
    check_map(manifest, &round.map, graphs)?;
    check_reduce(manifest, &round.map, &round.reduce, graphs)
}

fn check_map(
    manifest: &Manifest,
    map: &MapSpec,
    graphs: &BTreeMap<String, CheckedGraph>,
) -> Result<(), Failure> {
    let mut scope = Scope::of_map(manifest);
    for (index, step) in map.steps.iter().enumerate() {
        scope
            .step(step, graphs)
            .map_err(|f| f.within(&format!("map step {index}")))?;
    }
    for c in &map.contribute {
        lands(scope.value(&c.name)?, &Kind::exact(c.dtype, &c.shape))
            .map_err(|f| f.within(&format!("contribution {}", c.name)))?;
    }
    scope.assign(&map.assign, Location::Client)
}

fn check_reduce(
    manifest: &Manifest,
    map: &MapSpec,
    reduce: &ReduceSpec,
    graphs: &BTreeMap<String, CheckedGraph>,
) -> Result<(), Failure> {
    let mut scope = Scope::of_reduce(manifest, &map.contribute);
    for (index, step) in reduce.steps.iter().enumerate() {
        scope
            .step(step, graphs)
            .map_err(|f| f.within(&format!("reduce step {index}")))?;
    }
    scope.assign(&reduce.assign, Location::Server)?;
    let metrics = reduce.metrics.iter().map(|(s, n)| (s.as_str(), n));
    let stop = reduce.stop.iter().map(|n| ("stop", n));
    for (shown, name) in metrics.chain(stop) {
        let kind = scope.value(name)?;
        if !kind.is_single() {
            return Err(Failure::rejected(format!(
                "{shown} must be a single number, {name} is {}",
                kind.text()
            )));
        }
    }
    Ok(())
}
