//! Whether checked graphs fit the task: every input has a source of its type, every mapped output exists, what leaves has its shape.
//!
//! Types are followed through the steps, with lengths that are known only when data are read left open; those are compared at run time.
//! All of it happens before a member joins a round, so that a task that cannot work fails for its author and not in the middle.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::guard::{CheckedGraph, Port};
use delta_domain::ids::Name;
use delta_domain::manifest::{
    Contribution, DataField, DatasetSpec, Driver, Location, MAX_SYSTEM, Manifest, RoundSpec,
    Source, Step, Target, VariableSpec,
};
use delta_domain::tensor::DType;

/// What is known of a value before anything runs.
#[derive(Debug, Clone, PartialEq)]
struct Kind {
    dtype: DType,
    dims: Option<Vec<Option<usize>>>,
}

impl Kind {
    fn exact(dtype: DType, shape: &[usize]) -> Self {
        Self {
            dtype,
            dims: Some(shape.iter().copied().map(Some).collect()),
        }
    }

    /// Rows of unknown number.
    fn rows(dtype: DType, shape: &[usize]) -> Self {
        Self {
            dtype,
            dims: Some(
                std::iter::once(None)
                    .chain(shape.iter().copied().map(Some))
                    .collect(),
            ),
        }
    }

    fn text(&self) -> String {
        let dims = self.dims.as_ref().map_or_else(
            || "any shape".to_owned(),
            |d| {
                format!(
                    "[{}]",
                    d.iter()
                        .map(|d| d.map_or_else(|| "any".to_owned(), |d| d.to_string()))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            },
        );
        format!("{} {dims}", self.dtype.name())
    }
}

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
    let mut map = Scope {
        manifest,
        sums: None,
        values: BTreeMap::new(),
    };
    for (index, step) in round.map.steps.iter().enumerate() {
        map.step(step, graphs)
            .map_err(|f| f.within(&format!("map step {index}")))?;
    }
    for c in &round.map.contribute {
        lands(map.value(&c.name)?, &Kind::exact(c.dtype, &c.shape))
            .map_err(|f| f.within(&format!("contribution {}", c.name)))?;
    }
    map.assign(&round.map.assign, Location::Client)?;

    let values = round
        .map
        .contribute
        .iter()
        .map(|c| (c.name.clone(), Kind::exact(c.dtype, &c.shape)))
        .collect();
    let mut reduce = Scope {
        manifest,
        sums: Some(&round.map.contribute),
        values,
    };
    for (index, step) in round.reduce.steps.iter().enumerate() {
        reduce
            .step(step, graphs)
            .map_err(|f| f.within(&format!("reduce step {index}")))?;
    }
    reduce.assign(&round.reduce.assign, Location::Server)?;
    for (shown, name) in round
        .reduce
        .metrics
        .iter()
        .map(|(s, n)| (s.as_str(), n))
        .chain(round.reduce.stop.iter().map(|n| ("stop", n)))
    {
        let kind = reduce.value(name)?;
        if kind
            .dims
            .as_ref()
            .is_some_and(|d| d.iter().any(|d| d.is_some_and(|d| d != 1)))
        {
            return Err(Failure::refused(format!(
                "{shown} must be a single number, {name} is {}",
                kind.text()
            )));
        }
    }
    Ok(())
}

struct Scope<'a> {
    manifest: &'a Manifest,
    /// The contributions, in a reduce.
    sums: Option<&'a [Contribution]>,
    values: BTreeMap<Name, Kind>,
}

impl Scope<'_> {
    fn value(&self, name: &Name) -> Result<&Kind, Failure> {
        self.values
            .get(name)
            .ok_or_else(|| Failure::refused(format!("no step makes the value {name}")))
    }

    fn step(
        &mut self,
        step: &Step,
        graphs: &BTreeMap<String, CheckedGraph>,
    ) -> Result<(), Failure> {
        if let Driver::Solve(_) = &step.driver {
            let (name, kind) = self.solve(step)?;
            self.values.insert(name, kind);
            return Ok(());
        }
        let mut made = BTreeMap::new();
        // The portable form last: its types are the ones that later steps see.
        for file in step.graph_onnxruntime.iter().chain(&step.graph) {
            let graph = graphs
                .get(file)
                .ok_or_else(|| Failure::refused(format!("the bundle has no graph {file}")))?;
            made = self.one(step, graph).map_err(|f| f.within(file))?;
        }
        self.values.extend(made);
        Ok(())
    }

    /// A system of equations: the solution has the shape of the right sides. Lengths must be known here, as they bound the work.
    fn solve(&self, step: &Step) -> Result<(Name, Kind), Failure> {
        let system = |what: &str| Failure::refused(format!("the driver solve needs {what}"));
        let kind = |input: &str, dims: &[Option<usize>]| {
            let port = Port {
                name: input.to_owned(),
                dtype: DType::F64,
                dims: Some(dims.to_vec()),
            };
            let source = step.inputs.get(input).ok_or_else(|| system(input))?;
            self.source(step, &port, source)
                .map_err(|f| f.within(&format!("input {input:?}")))
        };
        let (a, b) = (kind("a", &[None, None])?, kind("b", &[None])?);
        let rows = match (a.dtype, a.dims.as_deref()) {
            (DType::F64, Some([Some(n), Some(m)])) if n == m && *n <= MAX_SYSTEM => *n,
            _ => {
                return Err(system(&format!(
                    "a as f64 [n, n] with a known n of at most {MAX_SYSTEM}, it is {}",
                    a.text()
                )));
            }
        };
        let fits = match (b.dtype, b.dims.as_deref()) {
            (DType::F64, Some([Some(n)])) => *n == rows,
            (DType::F64, Some([Some(n), Some(k)])) => *n == rows && *k <= MAX_SYSTEM,
            _ => false,
        };
        if !fits {
            return Err(system(&format!(
                "b as f64 [{rows}] or [{rows}, k] with a known k of at most {MAX_SYSTEM}, it is {}",
                b.text()
            )));
        }
        match step.outputs.get("x") {
            Some(Target::Value { name }) => Ok((name.clone(), b)),
            _ => Err(system("the output x as a value")),
        }
    }

    /// One graph against its step; the kinds of what it makes.
    fn one(&self, step: &Step, graph: &CheckedGraph) -> Result<BTreeMap<Name, Kind>, Failure> {
        if let Some(extra) = step
            .inputs
            .keys()
            .find(|k| !graph.inputs.iter().any(|p| p.name == **k))
        {
            return Err(Failure::refused(format!(
                "the task feeds an input {extra:?} that the graph does not have; it has {:?}",
                names(&graph.inputs)
            )));
        }
        if let Some(extra) = step
            .outputs
            .keys()
            .find(|k| !graph.outputs.iter().any(|p| p.name == **k))
        {
            return Err(Failure::refused(format!(
                "the task uses an output {extra:?} that the graph does not have; it has {:?}",
                names(&graph.outputs)
            )));
        }
        for port in &graph.inputs {
            let source = step.inputs.get(&port.name).ok_or_else(|| {
                Failure::refused(format!(
                    "graph input {:?} has no source in the task; add one to inputs",
                    port.name
                ))
            })?;
            let kind = self
                .source(step, port, source)
                .map_err(|f| f.within(&format!("input {:?}", port.name)))?;
            feeds(&kind, port).map_err(|f| f.within(&format!("input {:?}", port.name)))?;
        }
        let mut made = BTreeMap::new();
        for port in &graph.outputs {
            let Some(target) = step.outputs.get(&port.name) else {
                continue;
            };
            let kind = Kind {
                dtype: port.dtype,
                dims: port.dims.clone(),
            };
            let (name, kind) = match target {
                Target::Value { name } => (name, kind),
                Target::Sum { name } => (
                    name,
                    Kind {
                        dtype: DType::F64,
                        ..kind
                    },
                ),
                Target::Carry { input, name } => {
                    let into = graph.inputs.iter().find(|p| p.name == *input);
                    let into = into.ok_or_else(|| {
                        Failure::refused(format!(
                            "output {:?} is carried into {input:?}, which is no input",
                            port.name
                        ))
                    })?;
                    feeds(&kind, into).map_err(|f| {
                        f.within(&format!("output {:?} carried into {input:?}", port.name))
                    })?;
                    (name, kind)
                }
            };
            made.insert(name.clone(), kind);
        }
        Ok(made)
    }

    fn source(&self, step: &Step, port: &Port, source: &Source) -> Result<Kind, Failure> {
        let count = |port: &Port| Kind {
            dtype: DType::F64,
            dims: port
                .dims
                .clone()
                .filter(|d| matches!(d.as_slice(), [None | Some(1)]))
                .or(Some(Vec::new())),
        };
        match source {
            Source::Variable { name } => {
                let v: &VariableSpec = self
                    .manifest
                    .variables
                    .get(name)
                    .ok_or_else(|| Failure::refused(format!("there is no variable {name}")))?;
                if self.sums.is_some() && v.location == Location::Client {
                    return Err(Failure::refused(format!(
                        "variable {name} is the members' own; a reduce cannot read it"
                    )));
                }
                Ok(Kind::exact(v.dtype, &v.shape))
            }
            Source::Value { name } => self.value(name).cloned(),
            Source::Sum { name } => {
                let sum = self.sums.and_then(|s| s.iter().find(|c| c.name == *name));
                sum.map(|c| Kind::exact(c.dtype, &c.shape)).ok_or_else(|| {
                    Failure::refused(format!("there is no contribution {name} to sum here"))
                })
            }
            Source::Clients if self.sums.is_some() => Ok(count(port)),
            Source::Clients => Err(Failure::refused(
                "the number of clients is known in a reduce only",
            )),
            Source::BatchSize => Ok(count(port)),
            Source::Noise { shape, .. } => Ok(Kind::rows(DType::F32, shape)),
            Source::Data { .. } if self.sums.is_some() => {
                Err(Failure::refused("a reduce sees no data"))
            }
            Source::Data { dataset, field, .. } => {
                let spec =
                    self.manifest.datasets.get(dataset).ok_or_else(|| {
                        Failure::refused(format!("there is no dataset {dataset}"))
                    })?;
                data(spec, field, matches!(step.driver, Driver::Batches(_)))
            }
        }
    }

    fn assign(&self, assign: &BTreeMap<Name, Name>, location: Location) -> Result<(), Failure> {
        for (variable, name) in assign {
            let spec = self
                .manifest
                .variables
                .get(variable)
                .filter(|v| v.location == location);
            let spec = spec.ok_or_else(|| {
                Failure::refused(format!(
                    "{variable} is no variable that can be assigned here"
                ))
            })?;
            lands(self.value(name)?, &Kind::exact(spec.dtype, &spec.shape))
                .map_err(|f| f.within(&format!("variable {variable}")))?;
        }
        Ok(())
    }
}

/// The kind of a field, as the driver delivers it.
fn data(spec: &DatasetSpec, field: &DataField, batches: bool) -> Result<Kind, Failure> {
    match (spec, field) {
        (
            DatasetSpec::Table { columns, .. },
            DataField::Columns(used) | DataField::ColumnsF32(used),
        ) => {
            declared(columns, used)?;
            let dtype = if matches!(field, DataField::Columns(_)) {
                DType::F64
            } else {
                DType::F32
            };
            Ok(Kind::rows(dtype, &[used.len()]))
        }
        (DatasetSpec::Table { columns, .. }, DataField::ColumnI64(used)) => {
            declared(columns, std::slice::from_ref(used))?;
            Ok(Kind::rows(DType::I64, &[]))
        }
        (DatasetSpec::Samples { shape, .. }, DataField::X) => Ok(Kind::rows(DType::F32, shape)),
        (DatasetSpec::Samples { .. }, DataField::Y) => Ok(Kind::rows(DType::I64, &[])),
        (DatasetSpec::Array { shape, dtype }, DataField::X) => {
            let mut dims = shape.clone();
            if let (true, Some(first)) = (batches, dims.first_mut()) {
                *first = None;
            }
            Ok(Kind {
                dtype: *dtype,
                dims: Some(dims),
            })
        }
        _ => Err(Failure::refused(
            "the dataset has no such field: tables have columns, samples x and y, arrays x",
        )),
    }
}

fn declared(columns: &[String], used: &[String]) -> Result<(), Failure> {
    let unknown: Vec<&String> = used.iter().filter(|u| !columns.contains(u)).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Failure::refused(format!(
            "columns {unknown:?} are read but not declared by the dataset"
        )))
    }
}

/// Whether a value may go into a graph input.
fn feeds(kind: &Kind, port: &Port) -> Result<(), Failure> {
    let takes = Kind {
        dtype: port.dtype,
        dims: port.dims.clone(),
    };
    let same = match (&kind.dims, &port.dims) {
        (Some(a), Some(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.is_none() || b.is_none() || a == b)
        }
        _ => true,
    };
    if same && kind.dtype == port.dtype {
        Ok(())
    } else {
        Err(Failure::refused(format!(
            "the graph takes {}, the task gives {}",
            takes.text(),
            kind.text()
        )))
    }
}

/// Whether a value may become a contribution or a variable (see `convert::fit`).
fn lands(kind: &Kind, wanted: &Kind) -> Result<(), Failure> {
    let float = |d: DType| matches!(d, DType::F32 | DType::F64);
    let types = kind.dtype == wanted.dtype || (float(kind.dtype) && float(wanted.dtype));
    let one = |d: &[Option<usize>]| d.iter().all(|d| d.is_none_or(|d| d == 1));
    let shapes = match (&kind.dims, &wanted.dims) {
        (Some(a), Some(b)) => {
            (one(a) && one(b))
                || (a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|(a, b)| a.is_none() || b.is_none() || a == b))
        }
        _ => true,
    };
    if types && shapes {
        Ok(())
    } else {
        Err(Failure::refused(format!(
            "the task declares {}, the value is {}",
            wanted.text(),
            kind.text()
        )))
    }
}

fn names(ports: &[Port]) -> Vec<&str> {
    ports.iter().map(|p| p.name.as_str()).collect()
}
