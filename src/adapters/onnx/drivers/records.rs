//! The driver `records`: every record through the graph, and the sum of what comes out, made by the node.
//!
//! The graph sees records in batches whose size is this file's affair; a block of numbers for each record goes to `accumulate.rs`, which
//! bounds and sums them. A record that ends the run of its batch (an index outside, say) is found and left out by itself, so that
//! one record cannot take the others with it.

mod accumulate;

use std::collections::BTreeMap;

use super::scope::{Scope, source};
use super::subset::subset_rows;
use crate::convert::widen;
use crate::datasets::Rows;
use crate::failure::{Failure, FailureKind};
use crate::guard::Port;
use crate::runtime::{Input, Loaded};
use delta_domain::ids::{Digest, Name};
use delta_domain::manifest::{DataField, Records, Source, Step, Target};
use delta_domain::records::{MAX_RECORDS, NO_UNIT, ReleaseRules, ReleasedRows};
use delta_domain::tensor::{Tensor, TensorData, element_count};

use accumulate::{Key, Sum};

/// Bytes of records, in and out, that go through the graph together.
const BATCH_BYTES: usize = 1 << 20;
/// Most records that go through the graph together.
const BATCH_RECORDS: usize = 4096;

/// What a step made of its records.
pub(super) struct Done {
    pub(super) values: BTreeMap<Name, Tensor>,
    pub(super) rows: u64,
    /// Which records the sums count, where there are limits of such sums.
    pub(super) released: Option<ReleasedRows>,
}

/// How numbers are kept, and what the owner asks of sums.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'r> {
    /// Decimal digits kept of each number, before anything is summed.
    pub(crate) precision: u8,
    /// What must hold of a sum; `None` where the owner has allowed the very task, whatever its sums are.
    pub(crate) rules: Option<&'r ReleaseRules>,
}

/// Runs all records.
pub(super) fn run(
    graph: &mut Loaded,
    step: &Step,
    spec: &Records,
    limits: Limits<'_>,
    scope: &Scope<'_>,
    data: &mut dyn Rows,
) -> Result<Done, Failure> {
    // Under noise each record by itself: in which order a runtime adds up, and so the last bit of a record's numbers, may hang on the
    // records beside it, and a graph can make much of a bit.
    let size = match spec.noise {
        Some(_) => 1,
        None => batch_size(step, &graph.graph.inputs, &graph.graph.outputs),
    };
    sized(graph, step, spec, limits, scope, data, size)
}

/// The same, `size` records at a time.
fn sized(
    graph: &mut Loaded,
    step: &Step,
    spec: &Records,
    limits: Limits<'_>,
    scope: &Scope<'_>,
    data: &mut dyn Rows,
    size: usize,
) -> Result<Done, Failure> {
    let mut rows = subset_rows(data.len(), &spec.subset);
    if rows.is_empty() {
        return Err(Failure::corrupt(format!(
            "dataset {} has no row in the part that the task reads",
            spec.dataset
        )));
    }
    let mut pass = Pass {
        graph,
        step,
        spec,
        scope,
        data,
        shapes: BTreeMap::new(),
        sum: None,
        limits,
        failure: None,
    };
    if spec.noise.is_some() && spec.unit.is_some() {
        rows = pass.by_person(rows)?;
    }
    for batch in rows.chunks(size.max(1)) {
        pass.batch(batch)?;
    }
    let (values, released) = pass.finish(&rows)?;
    Ok(Done {
        values,
        rows: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        released,
    })
}

/// As many records as fit the bytes, by what the graph declares of them.
fn batch_size(step: &Step, inputs: &[Port], outputs: &[Port]) -> usize {
    let data = |port: &&Port| matches!(step.inputs.get(&port.name), Some(Source::Data { .. }));
    let sums = outputs
        .iter()
        .filter(|p| step.outputs.contains_key(&p.name));
    let bytes = |port: &Port| {
        let known: Vec<usize> = port
            .dims
            .iter()
            .flatten()
            .skip(1)
            .map(|d| d.unwrap_or(1))
            .collect();
        let count = element_count(&known).unwrap_or(usize::MAX);
        count.saturating_mul(port.dtype.size())
    };
    let each = inputs.iter().filter(data).chain(sums).map(bytes);
    let each = each.fold(1, usize::saturating_add);
    (BATCH_BYTES / each).clamp(1, BATCH_RECORDS)
}

/// One way through all records.
struct Pass<'p, 's> {
    graph: &'p mut Loaded,
    step: &'p Step,
    spec: &'p Records,
    scope: &'p Scope<'s>,
    data: &'p mut dyn Rows,
    /// Shape of one record's block, by output; empty before the first batch.
    shapes: BTreeMap<String, Vec<usize>>,
    sum: Option<Sum>,
    limits: Limits<'p>,
    /// Why the first record that was left out was.
    failure: Option<Failure>,
}

impl Pass<'_, '_> {
    /// Some records; where their run ends early, each half by itself, down to the record that is to blame.
    fn batch(&mut self, rows: &[usize]) -> Result<(), Failure> {
        match self.outputs(rows) {
            Ok(outputs) => self.take(rows, &outputs),
            // Anything else is no record's doing.
            Err(failure)
                if !matches!(failure.kind, FailureKind::Rejected | FailureKind::Corrupt) =>
            {
                Err(failure)
            }
            // Without noise a sum that is silently about fewer records would be wrong.
            Err(failure) if self.spec.noise.is_none() && rows.len() <= 1 => Err(failure),
            Err(failure) if rows.len() <= 1 => {
                self.failure.get_or_insert(failure);
                Ok(())
            }
            Err(_) => {
                let (first, second) = rows.split_at(rows.len() / 2);
                self.batch(first)?;
                self.batch(second)
            }
        }
    }

    /// Runs the graph on some records; its outputs in its own order.
    fn outputs(&mut self, rows: &[usize]) -> Result<Vec<Option<Tensor>>, Failure> {
        let mut made = BTreeMap::new();
        for port in &self.graph.graph.inputs {
            if let Source::Data { field, .. } = source(self.step, port)? {
                made.insert(port.name.clone(), self.data.read(field, rows)?);
            }
        }
        let mut inputs = Vec::with_capacity(self.graph.graph.inputs.len());
        for port in &self.graph.graph.inputs {
            inputs.push(Input::Given(match made.get(&port.name) {
                Some(tensor) => tensor,
                None => self.scope.fixed(source(self.step, port)?)?.ok_or_else(|| {
                    Failure::rejected(format!(
                        "input {:?}: the driver records has data and variables only",
                        port.name
                    ))
                })?,
            }));
        }
        self.graph.run(&inputs, &[])
    }

    /// Gives each record's numbers to the sum.
    fn take(&mut self, rows: &[usize], outputs: &[Option<Tensor>]) -> Result<(), Failure> {
        let keys = self.keys(rows)?;
        let mut blocks: Vec<(Vec<f64>, usize)> = Vec::new();
        for output in self.step.outputs.keys() {
            let number = self
                .graph
                .graph
                .outputs
                .iter()
                .position(|p| p.name == *output);
            let tensor = number.and_then(|n| outputs.get(n)?.as_ref());
            let tensor = tensor
                .ok_or_else(|| Failure::rejected(format!("the graph has no output {output:?}")))?;
            let shape = match tensor.shape().split_first() {
                Some((first, shape)) if *first == rows.len() => shape.to_vec(),
                _ => {
                    return Err(Failure::rejected(format!(
                        "output {output:?} has shape {:?} for {} records; its first axis must count them",
                        tensor.shape(),
                        rows.len()
                    )));
                }
            };
            let length = element_count(&shape).unwrap_or(0);
            let before = self
                .shapes
                .entry(output.clone())
                .or_insert_with(|| shape.clone());
            if *before != shape {
                return Err(Failure::rejected(format!(
                    "output {output:?} changed its shape from {before:?} to {shape:?} a record"
                )));
            }
            blocks.push((widen(tensor), length));
        }
        let values = blocks.iter().map(|(_, n)| n).sum();
        let sum = match &mut self.sum {
            Some(sum) => sum,
            none => none.insert(Sum::new(self.spec, self.limits.precision, values)?),
        };
        let mut records = Vec::with_capacity(values.saturating_mul(rows.len()));
        for index in 0..rows.len() {
            for (numbers, length) in &blocks {
                let from = index * length;
                records.extend(numbers.get(from..from + length).unwrap_or_default());
            }
        }
        sum.add(&keys, &records, values)
    }

    /// Whose the records are; empty where each is on its own.
    fn keys(&mut self, rows: &[usize]) -> Result<Vec<Option<Key>>, Failure> {
        let Some(unit) = &self.spec.unit else {
            return Ok(Vec::new());
        };
        let column = DataField::Columns(vec![unit.key.clone()]);
        let read = self.data.read(&column, rows)?;
        match read.data() {
            TensorData::F64(keys) if keys.len() == rows.len() => {
                Ok(keys.iter().map(|k| Key::of(*k)).collect())
            }
            _ => Err(Failure::internal("a key column is one number a row")),
        }
    }

    /// The rows of each person one after the other: then one person is held at a time.
    fn by_person(&mut self, rows: Vec<usize>) -> Result<Vec<usize>, Failure> {
        let mut keyed = Vec::with_capacity(rows.len());
        for some in rows.chunks(BATCH_RECORDS) {
            keyed.extend(self.keys(some)?.into_iter().zip(some.iter().copied()));
        }
        keyed.sort_unstable();
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    /// The person of every record of the dataset, also of those that this step does not read.
    fn persons(&mut self) -> Result<Option<Vec<u32>>, Failure> {
        if self.spec.unit.is_none() {
            return Ok(None);
        }
        let all: Vec<usize> = (0..self.data.len()).collect();
        let (mut numbers, mut persons) = (BTreeMap::new(), Vec::with_capacity(all.len()));
        for some in all.chunks(BATCH_RECORDS) {
            for key in self.keys(some)? {
                let next = u32::try_from(numbers.len()).unwrap_or(NO_UNIT);
                let person = key.map(|key| *numbers.entry(key).or_insert(next));
                persons.push(person.unwrap_or(NO_UNIT));
            }
        }
        Ok(Some(persons))
    }

    /// The sums by name, and which of the dataset's records they count; `rows`: those that were read.
    fn finish(
        mut self,
        rows: &[usize],
    ) -> Result<(BTreeMap<Name, Tensor>, Option<ReleasedRows>), Failure> {
        let Some(sum) = self.sum.take() else {
            let none = || Failure::rejected("the step has no output");
            return Err(self.failure.unwrap_or_else(none));
        };
        let (first, length) = (self.data.first(), self.data.len());
        let records = first.saturating_add(length);
        if self.limits.rules.is_some() && records > MAX_RECORDS {
            return Err(Failure::corrupt(format!(
                "releases of more than {MAX_RECORDS} records cannot be compared"
            )));
        }
        let places: Vec<usize> = rows.iter().map(|row| row.saturating_add(first)).collect();
        let (all, sets) = sum.finish(self.limits.rules, &places, records)?;
        let released = match self.limits.rules {
            None => None,
            Some(_) => Some(ReleasedRows {
                dataset: self.spec.dataset.clone(),
                // The node's to say, not the worker's.
                version: Digest::default(),
                unit_of: self.persons()?,
                sets,
            }),
        };
        let mut rest = all.as_slice();
        let mut values = BTreeMap::new();
        for (output, target) in &self.step.outputs {
            let Target::Sum { name } = target else {
                return Err(Failure::rejected(format!(
                    "output {output:?}: under the driver records nothing but sums leaves a step"
                )));
            };
            let shape = self.shapes.get(output).cloned().unwrap_or_default();
            let short = || Failure::internal("the sum is shorter than a record");
            let length = element_count(&shape).ok_or_else(short)?;
            let (own, others) = rest.split_at_checked(length).ok_or_else(short)?;
            rest = others;
            let tensor = Tensor::new(shape, TensorData::F64(own.to_vec()))
                .map_err(|e| Failure::internal(e.to_string()))?;
            values.insert(name.clone(), tensor);
        }
        Ok((values, released))
    }
}

#[cfg(test)]
mod tests;
