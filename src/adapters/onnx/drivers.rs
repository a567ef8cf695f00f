//! Driving graphs through a map or a reduce, as `task.json` says (see [`delta_domain::manifest`]).
//!
//! A scope holds the values that have names; each step reads some and makes others. Everything here is a function of the job:
//! the same bundle, variables, data and iterator states give the same outcome.

mod batches;
mod random;
mod solve;

use std::collections::BTreeMap;

use super::convert::{fit, widen};
use super::datasets::Datasets;
use super::failure::Failure;
use super::guard::{CheckedGraph, Port};
use super::runtime::{Input, Loaded, Runtime};
use delta_domain::ids::Name;
use delta_domain::manifest::{Driver, Manifest, MapSpec, ReduceSpec, Source, Step, Subset, Target};
use delta_domain::tensor::Tensor;
use delta_ports::executor::{IteratorStates, MapOutcome, ReduceOutcome};

/// The graphs of a task: checked, and loaded when first run.
pub(crate) struct Graphs<'a> {
    runtime: &'a dyn Runtime,
    checked: BTreeMap<String, CheckedGraph>,
    loaded: BTreeMap<String, Loaded>,
}

impl<'a> Graphs<'a> {
    pub(crate) fn new(runtime: &'a dyn Runtime, checked: BTreeMap<String, CheckedGraph>) -> Self {
        Self {
            runtime,
            checked,
            loaded: BTreeMap::new(),
        }
    }

    fn get(&mut self, file: &str) -> Result<&mut Loaded, Failure> {
        if !self.loaded.contains_key(file) {
            let graph = self.checked.remove(file).ok_or_else(|| {
                Failure::internal(format!("graph {file} was not sent to the worker"))
            })?;
            self.loaded.insert(
                file.to_owned(),
                Loaded::new(self.runtime, graph).map_err(|f| f.within(file))?,
            );
        }
        self.loaded
            .get_mut(file)
            .ok_or_else(|| Failure::internal(format!("graph {file} vanished")))
    }
}

/// Which graph of a step this runtime executes; none for a closed form.
pub(crate) fn graph_of<'s>(step: &'s Step, runtime: &str) -> Option<&'s str> {
    match &step.graph_onnxruntime {
        Some(graph) if runtime == "onnxruntime" => Some(graph),
        _ => step.graph.as_deref(),
    }
}

/// Everything that has a name while a map or a reduce runs.
pub(crate) struct Scope<'a> {
    pub(crate) variables: &'a BTreeMap<Name, Tensor>,
    pub(crate) sums: &'a BTreeMap<Name, Tensor>,
    pub(crate) clients: u32,
    pub(crate) values: BTreeMap<Name, Tensor>,
}

impl Scope<'_> {
    fn value(&self, name: &Name) -> Result<&Tensor, Failure> {
        self.values
            .get(name)
            .ok_or_else(|| Failure::refused(format!("no step makes the value {name:?}")))
    }

    /// A source that does not change while a step runs; `None` for data, noise and counts.
    fn fixed(&self, source: &Source) -> Result<Option<&Tensor>, Failure> {
        let found = match source {
            Source::Variable { name } => self.variables.get(name).ok_or(("variable", name)),
            Source::Value { name } => self.values.get(name).ok_or(("value", name)),
            Source::Sum { name } => self.sums.get(name).ok_or(("sum", name)),
            Source::Data { .. } | Source::Noise { .. } | Source::BatchSize | Source::Clients => {
                return Ok(None);
            }
        };
        found
            .map(Some)
            .map_err(|(what, name)| Failure::refused(format!("there is no {what} {name}")))
    }
}

/// Runs a map.
pub(crate) fn map(
    graphs: &mut Graphs<'_>,
    manifest: &Manifest,
    spec: &MapSpec,
    variables: &BTreeMap<Name, Tensor>,
    mut iterators: IteratorStates,
    data: &mut Datasets<'_>,
) -> Result<MapOutcome, Failure> {
    let no_sums = BTreeMap::new();
    let mut scope = Scope {
        variables,
        sums: &no_sums,
        clients: 0,
        values: BTreeMap::new(),
    };
    let mut rows = 0u64;
    for (index, step) in spec.steps.iter().enumerate() {
        let index = u32::try_from(index).map_err(|_| Failure::internal("too many steps"))?;
        let state = iterators.0.get(&index).copied().unwrap_or_default();
        let (more, state) = self::step(graphs, step, &mut scope, data, state)
            .map_err(|f| f.within(&format!("map step {index} ({})", step.label())))?;
        rows = rows.saturating_add(more);
        if let Some(state) = state {
            iterators.0.insert(index, state);
        }
    }
    let contributions = spec
        .contribute
        .iter()
        .map(|c| {
            fit(scope.value(&c.name)?, c.dtype, &c.shape)
                .map_err(|f| f.within(&format!("contribution {}", c.name)))
        })
        .collect::<Result<_, _>>()?;
    let assigned = assign(manifest, &spec.assign, &scope)?;
    Ok(MapOutcome {
        contributions,
        assigned,
        iterators,
        rows,
    })
}

/// Runs a reduce.
pub(crate) fn reduce(
    graphs: &mut Graphs<'_>,
    manifest: &Manifest,
    spec: &ReduceSpec,
    variables: &BTreeMap<Name, Tensor>,
    sums: &BTreeMap<Name, Tensor>,
    clients: u32,
) -> Result<ReduceOutcome, Failure> {
    let mut scope = Scope {
        variables,
        sums,
        clients,
        values: BTreeMap::new(),
    };
    let mut data = Datasets::none();
    for (index, step) in spec.steps.iter().enumerate() {
        self::step(graphs, step, &mut scope, &mut data, Default::default())
            .map_err(|f| f.within(&format!("reduce step {index} ({})", step.label())))?;
    }
    // A sum that no graph touches may be assigned or shown as it is.
    for (name, sum) in sums {
        scope
            .values
            .entry(name.clone())
            .or_insert_with(|| sum.clone());
    }
    let number = |name: &Name| {
        scope
            .value(name)?
            .as_scalar()
            .ok_or_else(|| Failure::refused(format!("{name} must be a single number")))
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
        assigned: assign(manifest, &spec.assign, &scope)?,
        metrics,
        stop,
    })
}

fn assign(
    manifest: &Manifest,
    assign: &BTreeMap<Name, Name>,
    scope: &Scope<'_>,
) -> Result<BTreeMap<Name, Tensor>, Failure> {
    assign
        .iter()
        .map(|(variable, value)| {
            let spec = manifest
                .variables
                .get(variable)
                .ok_or_else(|| Failure::refused(format!("there is no variable {variable}")))?;
            let tensor = fit(scope.value(value)?, spec.dtype, &spec.shape)
                .map_err(|f| f.within(&format!("variable {variable}")))?;
            Ok((variable.clone(), tensor))
        })
        .collect()
}

/// Runs one step. Returns the rows read, and where the iterator stands when it is one that resumes.
fn step(
    graphs: &mut Graphs<'_>,
    step: &Step,
    scope: &mut Scope<'_>,
    data: &mut Datasets<'_>,
    state: delta_ports::executor::IteratorState,
) -> Result<(u64, Option<delta_ports::executor::IteratorState>), Failure> {
    if let Driver::Solve(spec) = &step.driver {
        return solve::run(step, spec, scope).map(|()| (0, None));
    }
    let file = graph_of(step, &graphs.runtime.info().name).map(str::to_owned);
    let graph = graphs.get(&file.ok_or_else(|| Failure::refused("the step has no graph"))?)?;
    match &step.driver {
        Driver::Once | Driver::Solve(_) => once(graph, step, scope, data).map(|rows| (rows, None)),
        Driver::Batches(spec) => {
            let rows = data.open(&spec.dataset, spec.subset.part)?;
            let state = if spec.resume {
                state
            } else {
                Default::default()
            };
            let done = batches::run(graph, step, spec, scope, rows, state)?;
            scope.values.extend(done.values);
            Ok((done.rows, spec.resume.then_some(done.state)))
        }
    }
}

/// One execution on whole inputs.
fn once(
    graph: &mut Loaded,
    step: &Step,
    scope: &mut Scope<'_>,
    data: &mut Datasets<'_>,
) -> Result<u64, Failure> {
    let mut rows_read = 0u64;
    let mut made: BTreeMap<&str, Tensor> = BTreeMap::new();
    let ports = graph.graph.inputs.clone();
    for port in &ports {
        match source(step, port)? {
            Source::Clients => {
                made.insert(&port.name, count(port, f64::from(scope.clients))?);
            }
            Source::Data {
                dataset,
                field,
                subset,
            } => {
                let subset = subset.unwrap_or_default();
                let rows = data.open(dataset, subset.part)?;
                let tensor = if subset
                    == (Subset {
                        part: subset.part,
                        ..Subset::default()
                    }) {
                    rows.whole(field)?
                } else {
                    rows.read(field, &batches::subset_rows(rows.len(), &subset))?
                };
                rows_read = rows_read.saturating_add(
                    tensor
                        .shape()
                        .first()
                        .map_or(1, |n| u64::try_from(*n).unwrap_or(u64::MAX)),
                );
                made.insert(&port.name, tensor);
            }
            Source::Noise { .. } | Source::BatchSize => {
                return Err(Failure::refused(format!(
                    "input {:?}: noise and batch sizes exist under the driver batches only",
                    port.name
                )));
            }
            Source::Variable { .. } | Source::Value { .. } | Source::Sum { .. } => {}
        }
    }
    let mut inputs = Vec::with_capacity(ports.len());
    for port in &ports {
        inputs.push(Input::Given(match made.get(port.name.as_str()) {
            Some(tensor) => tensor,
            None => scope
                .fixed(source(step, port)?)?
                .ok_or_else(|| Failure::internal("a source without a value"))?,
        }));
    }
    let outputs = graph.run(&inputs, &[])?.into_iter().flatten();
    for (port, tensor) in graph.graph.outputs.iter().zip(outputs) {
        match step.outputs.get(&port.name) {
            None => {}
            Some(Target::Value { name }) => {
                scope.values.insert(name.clone(), tensor);
            }
            Some(Target::Carry { .. } | Target::Sum { .. }) => {
                return Err(Failure::refused(format!(
                    "output {:?}: carry and sum exist under the driver batches only",
                    port.name
                )));
            }
        }
    }
    Ok(rows_read)
}

fn source<'s>(step: &'s Step, port: &Port) -> Result<&'s Source, Failure> {
    step.inputs.get(&port.name).ok_or_else(|| {
        Failure::refused(format!(
            "graph input {:?} has no source in the task",
            port.name
        ))
    })
}

/// A single number in the rank that the graph takes: `[]`, or `[1]`.
fn count(port: &Port, value: f64) -> Result<Tensor, Failure> {
    match port.dims.as_deref() {
        Some([_]) => fit(
            &Tensor::scalar(value),
            delta_domain::tensor::DType::F64,
            &[1],
        ),
        _ => Ok(Tensor::scalar(value)),
    }
}

/// A running total in `f64`.
struct Total {
    shape: Vec<usize>,
    sum: Vec<f64>,
}

impl Total {
    fn add(total: &mut Option<Self>, value: &Tensor) -> Result<(), Failure> {
        let more = widen(value);
        match total {
            None => {
                *total = Some(Self {
                    shape: value.shape().to_vec(),
                    sum: more,
                })
            }
            Some(t) if t.shape == value.shape() => {
                t.sum.iter_mut().zip(more).for_each(|(s, m)| *s += m)
            }
            Some(t) => {
                return Err(Failure::refused(format!(
                    "a summed output changed its shape from {:?} to {:?}; reduce it to a fixed shape in the graph",
                    t.shape,
                    value.shape()
                )));
            }
        }
        Ok(())
    }
}
