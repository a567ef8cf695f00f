//! The kinds of all values that have a name while steps are compared with their graphs.

use std::collections::BTreeMap;

use super::data::data;
use super::kind::{Kind, feeds, lands};
use crate::failure::Failure;
use crate::guard::{CheckedGraph, Port};
use delta_domain::ids::Name;
use delta_domain::manifest::{
    Contribution, Driver, Location, MAX_SYSTEM, Manifest, Source, Step, Target, VariableSpec,
};
use delta_domain::tensor::DType;

/// The values of a map or of a reduce, step by step.
pub(super) struct Scope<'a> {
    manifest: &'a Manifest,
    /// The contributions, in a reduce.
    sums: Option<&'a [Contribution]>,
    values: BTreeMap<Name, Kind>,
}

impl<'a> Scope<'a> {
    /// Where a map begins: nothing is made yet.
    pub(super) fn of_map(manifest: &'a Manifest) -> Self {
        Self {
            manifest,
            sums: None,
            values: BTreeMap::new(),
        }
    }

    /// Where a reduce begins: every sum is a value, too.
    pub(super) fn of_reduce(manifest: &'a Manifest, sums: &'a [Contribution]) -> Self {
        let values = sums
            .iter()
            .map(|c| (c.name.clone(), Kind::exact(c.dtype, &c.shape)));
        Self {
            manifest,
            sums: Some(sums),
            values: values.collect(),
        }
    }

    /// The kind of a value that a step has made.
    pub(super) fn value(&self, name: &Name) -> Result<&Kind, Failure> {
        self.values
            .get(name)
            .ok_or_else(|| Failure::rejected(format!("no step makes the value {name}")))
    }

    /// Compares a step with its graphs; what it makes has a name from then on.
    pub(super) fn step(
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
                .ok_or_else(|| Failure::rejected(format!("the bundle has no graph {file}")))?;
            made = self.one(step, graph).map_err(|f| f.within(file))?;
        }
        self.values.extend(made);
        Ok(())
    }

    /// A system of equations: the solution has the shape of the right sides. Lengths must be known here, as they bound the work.
    fn solve(&self, step: &Step) -> Result<(Name, Kind), Failure> {
        let system = |what: &str| Failure::rejected(format!("the driver solve needs {what}"));
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
        if let Some(extra) = unknown(step.inputs.keys(), &graph.inputs) {
            return Err(Failure::rejected(format!(
                "the task feeds an input {extra:?} that the graph does not have; it has {:?}",
                names(&graph.inputs)
            )));
        }
        if let Some(extra) = unknown(step.outputs.keys(), &graph.outputs) {
            return Err(Failure::rejected(format!(
                "the task uses an output {extra:?} that the graph does not have; it has {:?}",
                names(&graph.outputs)
            )));
        }
        for port in &graph.inputs {
            let source = step.inputs.get(&port.name).ok_or_else(|| {
                Failure::rejected(format!(
                    "graph input {:?} has no source in the task; add one to inputs",
                    port.name
                ))
            })?;
            let kind = self
                .source(step, port, source)
                .map_err(|f| f.within(&format!("input {:?}", port.name)))?;
            feeds(&kind, port).map_err(|f| f.within(&format!("input {:?}", port.name)))?;
            any_batch(step, port, source)
                .map_err(|f| f.within(&format!("input {:?}", port.name)))?;
        }
        let outputs = graph.outputs.iter();
        outputs
            .filter_map(|port| Some(made(step, graph, port, step.outputs.get(&port.name)?)))
            .collect()
    }

    /// The kind of what a source gives an input.
    fn source(&self, step: &Step, port: &Port, source: &Source) -> Result<Kind, Failure> {
        match source {
            Source::Variable { name } => {
                let v: &VariableSpec = self
                    .manifest
                    .variables
                    .get(name)
                    .ok_or_else(|| Failure::rejected(format!("there is no variable {name}")))?;
                if self.sums.is_some() && v.location == Location::Client {
                    return Err(Failure::rejected(format!(
                        "variable {name} is the members' own; a reduce cannot read it"
                    )));
                }
                Ok(Kind::exact(v.dtype, &v.shape))
            }
            Source::Value { name } => self.value(name).cloned(),
            Source::Sum { name } => {
                let sum = self.sums.and_then(|s| s.iter().find(|c| c.name == *name));
                sum.map(|c| Kind::exact(c.dtype, &c.shape)).ok_or_else(|| {
                    Failure::rejected(format!("there is no contribution {name} to sum here"))
                })
            }
            Source::Clients if self.sums.is_some() => Ok(single(port)),
            Source::Clients => Err(Failure::rejected(
                "the number of clients is known in a reduce only",
            )),
            Source::BatchSize => Ok(single(port)),
            Source::Noise { shape, .. } => Ok(Kind::rows(DType::F32, shape)),
            Source::Data { .. } if self.sums.is_some() => {
                Err(Failure::rejected("a reduce sees no data"))
            }
            Source::Data { dataset, field, .. } => {
                let spec =
                    self.manifest.datasets.get(dataset).ok_or_else(|| {
                        Failure::rejected(format!("there is no dataset {dataset}"))
                    })?;
                data(spec, field, step.driver.walks().is_some())
            }
        }
    }

    /// Checks that every variable at `location` can take the value that it is assigned.
    pub(super) fn assign(
        &self,
        assign: &BTreeMap<Name, Name>,
        location: Location,
    ) -> Result<(), Failure> {
        for (variable, name) in assign {
            let spec = self
                .manifest
                .variables
                .get(variable)
                .filter(|v| v.location == location);
            let spec = spec.ok_or_else(|| {
                Failure::rejected(format!(
                    "{variable} is no variable that can be assigned here"
                ))
            })?;
            lands(self.value(name)?, &Kind::exact(spec.dtype, &spec.shape))
                .map_err(|f| f.within(&format!("variable {variable}")))?;
        }
        Ok(())
    }
}

/// What an output becomes: its name and its kind.
fn made(
    step: &Step,
    graph: &CheckedGraph,
    port: &Port,
    target: &Target,
) -> Result<(Name, Kind), Failure> {
    let kind = match step.driver {
        Driver::Records(_) => Kind::of(port).block(),
        Driver::Once | Driver::Batches(_) | Driver::Solve(_) => Ok(Kind::of(port)),
    };
    let kind = kind.map_err(|f| f.within(&format!("output {:?}", port.name)))?;
    match target {
        Target::Value { name } => Ok((name.clone(), kind)),
        Target::Sum { name } => {
            let dtype = DType::F64;
            Ok((name.clone(), Kind { dtype, ..kind }))
        }
        Target::Left { name } | Target::Right { name } => {
            Ok((name.clone(), product(step, graph, name)?))
        }
        Target::Carry { input, name } => {
            let into = graph.inputs.iter().find(|p| p.name == *input);
            let into = into.ok_or_else(|| {
                Failure::rejected(format!(
                    "output {:?} is carried into {input:?}, which is no input",
                    port.name
                ))
            })?;
            feeds(&kind, into)
                .map_err(|f| f.within(&format!("output {:?} carried into {input:?}", port.name)))?;
            Ok((name.clone(), kind))
        }
    }
}

/// The product of a record's two vectors.
fn product(step: &Step, graph: &CheckedGraph, product: &Name) -> Result<Kind, Failure> {
    let length = |left: bool| {
        let side = |target: &Target| match target {
            Target::Left { name } => left && name == product,
            Target::Right { name } => !left && name == product,
            Target::Value { .. } | Target::Carry { .. } | Target::Sum { .. } => false,
        };
        let output = step.outputs.iter().find(|(_, target)| side(target));
        let port = output.and_then(|(name, _)| graph.outputs.iter().find(|p| p.name == *name));
        match port.map(|port| port.dims.as_deref()) {
            Some(Some([_, length])) => Ok(*length),
            Some(None) => Ok(None),
            Some(Some(_)) | None => Err(Failure::rejected(format!(
                "product {product}: each side must be one vector for each record, [records, length]"
            ))),
        }
    };
    Ok(Kind {
        dtype: DType::F64,
        dims: Some(vec![length(true)?, length(false)?]),
    })
}

/// The node chooses how many records it gives at once, so a graph must take any number.
fn any_batch(step: &Step, port: &Port, source: &Source) -> Result<(), Failure> {
    let rows = port
        .dims
        .as_ref()
        .and_then(|dims| dims.first().copied().flatten());
    match (&step.driver, source, rows) {
        (Driver::Records(_), Source::Data { .. }, Some(rows)) => Err(Failure::rejected(format!(
            "the graph takes batches of {rows} records; under the driver records the node chooses, so leave the first length open"
        ))),
        _ => Ok(()),
    }
}

/// The first name that no port has.
fn unknown<'n>(mut used: impl Iterator<Item = &'n String>, ports: &[Port]) -> Option<&'n String> {
    used.find(|name| !ports.iter().any(|p| p.name == **name))
}

/// A single number in the rank that the graph takes: `[]`, or `[1]`.
fn single(port: &Port) -> Kind {
    let dims = port.dims.clone();
    let dims = dims.filter(|d| matches!(d.as_slice(), [None | Some(1)]));
    Kind {
        dtype: DType::F64,
        dims: dims.or(Some(Vec::new())),
    }
}

fn names(ports: &[Port]) -> Vec<&str> {
    ports.iter().map(|p| p.name.as_str()).collect()
}
