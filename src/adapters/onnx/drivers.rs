//! Driving graphs through a map or a reduce, as `task.json` says (see [`delta_domain::manifest`]).
//!
//! A scope holds the values that have names; each step reads some and makes others. Everything here is a function of the job:
//! the same bundle, variables, data and iterator states give the same outcome.

mod batches;
mod graphs;
mod lifetime;
mod once;
mod random;
mod records;
mod scope;
mod solve;
mod subset;

use std::collections::BTreeMap;

use super::convert::fit;
use super::datasets::Datasets;
use super::failure::Failure;
use delta_domain::ids::Name;
use delta_domain::manifest::{Driver, Manifest, MapSpec, ReduceSpec, Step};
use delta_domain::records::{ReleaseRules, ReleasedRows};
use delta_domain::tensor::Tensor;
use delta_ports::certificates::CertifiedRows;
use delta_ports::executor::{IteratorState, IteratorStates, MapOutcome, ReduceOutcome};

pub(crate) use graphs::{Graphs, graph_of};
use lifetime::{HandedOut, let_go};
use records::Limits;
use scope::Scope;

/// What a member brings to a map of its own, beside data.
pub(crate) struct Local<'l> {
    /// Where its iterators stand.
    pub(crate) iterators: IteratorStates,
    /// What must hold of the sums of `records` steps.
    pub(crate) rules: Option<&'l ReleaseRules>,
    /// Its seed for noise in graphs, if the task leaves it to the node.
    pub(crate) noise: Option<[u8; 32]>,
}

/// Runs a member's map: its steps over the local data, then what it contributes and assigns, in the types that the task declares.
pub(crate) fn map(
    graphs: &mut Graphs<'_>,
    manifest: &Manifest,
    spec: &MapSpec,
    variables: BTreeMap<Name, Tensor>,
    local: Local<'_>,
    data: &mut Datasets<'_>,
) -> Result<MapOutcome, Failure> {
    let Local {
        mut iterators,
        rules,
        noise,
    } = local;
    let contributed = spec.contribute.iter().map(|c| &c.name);
    let mut made = HandedOut::new(contributed.chain(spec.assign.values()));
    let mut scope = Scope {
        variables,
        sums: BTreeMap::new(),
        clients: 0,
        noise,
        values: BTreeMap::new(),
    };
    let mut rows = 0u64;
    let mut released = Vec::new();
    for (index, step) in spec.steps.iter().enumerate() {
        let index = u32::try_from(index).map_err(|_| Failure::internal("too many steps"))?;
        let state = iterators.0.get(&index).copied().unwrap_or_default();
        let precision = manifest.strategy.precision;
        let limits = Limits {
            manifest,
            precision,
            rules,
            table: None,
        };
        // No two steps have the same noise, whatever seeds the task gives them.
        scope.noise = noise.map(|seed| random::of_step(&seed, index));
        let done = self::step(graphs, step, limits, &mut scope, data, state)
            .map_err(|f| f.within(&format!("map step {index} ({})", step.label())))?;
        rows = rows.saturating_add(done.rows);
        released.extend(done.released);
        if let Some(state) = done.state {
            iterators.0.insert(index, state);
        }
        let_go(&mut scope, graphs, later(&spec.steps, index), &made.names());
    }
    let contributions = spec
        .contribute
        .iter()
        .map(|c| {
            fit(made.take(&mut scope, &c.name)?, c.dtype, &c.shape)
                .map_err(|f| f.within(&format!("contribution {}", c.name)))
        })
        .collect::<Result<_, _>>()?;
    let assigned = assign(manifest, &spec.assign, &mut scope, &mut made)?;
    Ok(MapOutcome {
        contributions,
        assigned,
        iterators,
        rows,
        released,
    })
}

/// Makes the rows of a certified task, as its last round says; and which records they are, where there are rules for their sums.
pub(crate) fn table(
    graphs: &mut Graphs<'_>,
    manifest: &Manifest,
    rules: Option<&ReleaseRules>,
    data: &mut Datasets<'_>,
) -> Result<(CertifiedRows, Vec<ReleasedRows>), Failure> {
    let none = || Failure::rejected("the task has no certified round");
    let round = manifest.rounds.last().ok_or_else(none)?;
    let certify = round.certify.as_ref().ok_or_else(none)?;
    let step = round.map.steps.first().ok_or_else(none)?;
    let limits = Limits {
        manifest,
        precision: manifest.strategy.precision,
        rules,
        table: Some(certify.columns.len()),
    };
    let mut scope = Scope {
        variables: BTreeMap::new(),
        sums: BTreeMap::new(),
        clients: 0,
        noise: None,
        values: BTreeMap::new(),
    };
    let state = IteratorState::default();
    let done = self::step(graphs, step, limits, &mut scope, data, state)
        .map_err(|f| f.within(&format!("certified rows ({})", step.label())))?;
    Ok((done.table.ok_or_else(none)?, done.released))
}

/// Runs a coordinator's reduce: its steps over the sums, then what it assigns and shows.
pub(crate) fn reduce(
    graphs: &mut Graphs<'_>,
    manifest: &Manifest,
    spec: &ReduceSpec,
    variables: BTreeMap<Name, Tensor>,
    sums: BTreeMap<Name, Tensor>,
    clients: u32,
) -> Result<ReduceOutcome, Failure> {
    let shown = spec.metrics.values().chain(&spec.stop);
    let mut made = HandedOut::new(spec.assign.values().chain(shown));
    let mut scope = Scope {
        variables,
        sums,
        clients,
        noise: None,
        values: BTreeMap::new(),
    };
    let mut data = Datasets::none();
    for (index, step) in spec.steps.iter().enumerate() {
        self::step(
            graphs,
            step,
            Limits {
                manifest,
                precision: manifest.strategy.precision,
                rules: None,
                table: None,
            },
            &mut scope,
            &mut data,
            IteratorState::default(),
        )
        .map_err(|f| f.within(&format!("reduce step {index} ({})", step.label())))?;
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let_go(&mut scope, graphs, later(&spec.steps, index), &made.names());
    }
    // A sum that no graph touches may be assigned or shown as it is.
    for (name, sum) in std::mem::take(&mut scope.sums) {
        scope.values.entry(name).or_insert(sum);
    }
    let number = |name: &Name| {
        scope
            .value(name)?
            .as_scalar()
            .ok_or_else(|| Failure::rejected(format!("{name} must be a single number")))
    };
    let metrics = spec
        .metrics
        .iter()
        .map(|(shown, name)| Ok((shown.clone(), number(name)?)))
        .collect::<Result<_, Failure>>()?;
    // A NaN is no reason to stop, and no reason to go on for ever either: rounds are counted.
    let stop = spec
        .stop
        .as_ref()
        .map(number)
        .transpose()?
        .is_some_and(|x| x != 0.0 && !x.is_nan());
    Ok(ReduceOutcome {
        assigned: assign(manifest, &spec.assign, &mut scope, &mut made)?,
        metrics,
        stop,
    })
}

/// The steps after the one at `index`.
fn later(steps: &[Step], index: u32) -> &[Step] {
    let next = usize::try_from(index)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    steps.get(next..).unwrap_or_default()
}

fn assign(
    manifest: &Manifest,
    assign: &BTreeMap<Name, Name>,
    scope: &mut Scope,
    made: &mut HandedOut<'_>,
) -> Result<BTreeMap<Name, Tensor>, Failure> {
    assign
        .iter()
        .map(|(variable, value)| {
            let spec = manifest
                .variables
                .get(variable)
                .ok_or_else(|| Failure::rejected(format!("there is no variable {variable}")))?;
            let tensor = fit(made.take(scope, value)?, spec.dtype, &spec.shape)
                .map_err(|f| f.within(&format!("variable {variable}")))?;
            Ok((variable.clone(), tensor))
        })
        .collect()
}

/// What a step did beside making values.
#[derive(Default)]
struct Done {
    /// Rows read.
    rows: u64,
    /// Where the iterator stands when it is one that resumes.
    state: Option<IteratorState>,
    /// Which records its sums count, where there are limits of such sums.
    released: Vec<ReleasedRows>,
    /// The rows of a certified task, of the step that makes them.
    table: Option<CertifiedRows>,
}

/// Runs one step.
fn step(
    graphs: &mut Graphs<'_>,
    step: &Step,
    limits: Limits<'_>,
    scope: &mut Scope,
    data: &mut Datasets<'_>,
    state: IteratorState,
) -> Result<Done, Failure> {
    if let Driver::Solve(spec) = &step.driver {
        return solve::run(step, spec, scope).map(|()| Done::default());
    }
    let file = graph_of(step, &graphs.runtime()).map(str::to_owned);
    let graph = graphs.get(&file.ok_or_else(|| Failure::rejected("the step has no graph"))?)?;
    match &step.driver {
        Driver::Once | Driver::Solve(_) => {
            let rows = once::run(graph, step, scope, data)?;
            Ok(Done {
                rows,
                ..Done::default()
            })
        }
        Driver::Records(spec) => {
            let lenient = spec.noise.is_some();
            let rows = data.open(&spec.dataset, spec.subset.part, lenient)?;
            let done = records::run(graph, step, spec, limits, scope, rows)?;
            scope.values.extend(done.values);
            Ok(Done {
                rows: done.rows,
                state: None,
                released: done.released,
                table: done.table,
            })
        }
        Driver::Batches(spec) => {
            let rows = data.open(&spec.dataset, spec.subset.part, false)?;
            let state = if spec.resume {
                state
            } else {
                IteratorState::default()
            };
            let done = batches::run(graph, step, spec, scope, rows, state)?;
            scope.values.extend(done.values);
            Ok(Done {
                rows: done.rows,
                state: spec.resume.then_some(done.state),
                ..Done::default()
            })
        }
    }
}
