//! The driver `records`: every record through the graph, and the sum of what comes out, made by the node.
//!
//! The graph sees records in batches whose size is this file's affair; a block of numbers for each record goes to `accumulate.rs`, which
//! bounds and sums them. A record that ends the run of its batch (an index outside, say) is found and left out by itself, so that
//! one record cannot take the others with it.
//!
//! Under noise what a record adds must not hang on the records beside it, not in its last bit, of which a graph can make much. So all
//! batches have one shape and every record has its place (`places.rs`), or each record goes alone (docs/privacy.md, Noise).

mod accumulate;
mod joined;
mod layout;
mod places;
mod table;

use std::collections::BTreeMap;

use super::scope::{Scope, source};
use super::subset::rows_of;
use crate::datasets::Rows;
use crate::failure::{Failure, FailureKind};
use crate::guard::Port;
use crate::records::keeps_apart;
use crate::runtime::{Input, Loaded};
use delta_domain::ids::{Digest, Name};
use delta_domain::manifest::{DataField, Manifest, Records, Source, Step};
use delta_domain::records::{MAX_RECORDS, NO_UNIT, ReleaseRules, ReleasedRows};
use delta_domain::tensor::{Tensor, TensorData, element_count};
use delta_ports::certificates::CertifiedRows;

use accumulate::{Key, Sum};
use layout::{Block, Layout, Shapes, blocks, declared, exact};
use places::{Places, blank, cut, halves, spread};
use table::Table;

/// Bytes of records, in and out, that go through the graph together.
const BATCH_BYTES: usize = 1 << 20;
/// Most records that go through the graph together.
const BATCH_RECORDS: usize = 4096;
/// The same under noise, where batches are filled up with blanks, whose work is for nothing.
const NOISED_RECORDS: usize = 64;

/// What a step made of its records.
pub(super) struct Done {
    pub(super) values: BTreeMap<Name, Tensor>,
    pub(super) rows: u64,
    /// Which records the sums count, of each dataset, where there are limits of such sums.
    pub(super) released: Vec<ReleasedRows>,
    /// The rows themselves, of a step that makes those of a certified task.
    pub(super) table: Option<CertifiedRows>,
}

/// How numbers are kept, and what the owner asks of sums.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'r> {
    /// The task, in which the step stands.
    pub(crate) manifest: &'r Manifest,
    /// Decimal digits kept of each number, before anything is summed.
    pub(crate) precision: u8,
    /// What must hold of a sum; `None` where the owner has allowed the very task, whatever its sums are.
    pub(crate) rules: Option<&'r ReleaseRules>,
    /// Columns of the table that the step makes, where its records are wanted beside their sums.
    pub(crate) table: Option<usize>,
}

/// Runs all records.
pub(super) fn run(
    graph: &mut Loaded,
    step: &Step,
    spec: &Records,
    limits: Limits<'_>,
    scope: &Scope,
    data: &mut dyn Rows,
) -> Result<Done, Failure> {
    let size = batch_size(step, &graph.graph.inputs, &graph.graph.outputs);
    let form = match spec.noise {
        None => (size, false),
        Some(_) => {
            let size = size.min(NOISED_RECORDS);
            match size > 1 && keeps_places(graph, step, spec, limits, scope, size)? {
                true => (size, true),
                false => (1, false),
            }
        }
    };
    sized(graph, step, spec, limits, scope, data, form)
}

/// Whether what records become in batches of one shape is each one's own affair. Says so without a look at data.
///
/// The graph must keep records apart, and run on blanks: else a batch would fail because a record is *not* there. Records of a person come one
/// after the other, so their places would hang on the persons before.
fn keeps_places(
    graph: &mut Loaded,
    step: &Step,
    spec: &Records,
    limits: Limits<'_>,
    scope: &Scope,
    size: usize,
) -> Result<bool, Failure> {
    if spec.unit.is_some() || !keeps_apart(limits.manifest, step, spec, &graph.graph)? {
        return Ok(false);
    }
    let mut blanks = BTreeMap::new();
    for port in &graph.graph.inputs {
        if let Source::Data { .. } = source(step, port)? {
            let Some(tensor) = blank(port, size) else {
                return Ok(false);
            };
            blanks.insert(port.name.clone(), tensor);
        }
    }
    match execute(graph, step, scope, &blanks) {
        Ok(outputs) => Ok(blocks(step, &graph.graph.outputs, &outputs, size).is_ok()),
        Err(failure) if is_of_records(&failure) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// The same with `size` records at a time, all batches of one shape if `fixed`.
fn sized(
    graph: &mut Loaded,
    step: &Step,
    spec: &Records,
    limits: Limits<'_>,
    scope: &Scope,
    data: &mut dyn Rows,
    (size, fixed): (usize, bool),
) -> Result<Done, Failure> {
    let mut rows = rows_of(data, &spec.subset);
    // Under noise what is summed is what the task declares, whatever records there are: no record makes a step fail, nor the want of one.
    let shapes = match spec.noise {
        Some(_) => declared(limits.manifest, step),
        None => None,
    };
    if rows.is_empty() && shapes.is_none() {
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
        fixed,
        shapes: Shapes::new(),
        sum: None,
        table: limits.table.map(Table::of),
        limits,
        failure: None,
    };
    if let Some(shapes) = shapes {
        pass.sum = Some(pass.begun(&shapes)?);
        pass.shapes = shapes;
    }
    if spec.noise.is_some() && spec.unit.is_some() {
        rows = pass.by_person(rows)?;
    }
    for batch in cut(&rows, size, fixed) {
        pass.batch(&batch)?;
    }
    let table = pass.table.take().map(Table::into_rows);
    let (values, released) = pass.finish(&rows)?;
    Ok(Done {
        values,
        rows: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        released,
        table,
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
struct Pass<'p> {
    graph: &'p mut Loaded,
    step: &'p Step,
    spec: &'p Records,
    scope: &'p Scope,
    data: &'p mut dyn Rows,
    /// Whether all batches have one shape.
    fixed: bool,
    /// Those that the task declares, or else that the first batch has shown; empty before it.
    shapes: Shapes,
    sum: Option<(Layout, Sum)>,
    table: Option<Table>,
    limits: Limits<'p>,
    /// Why the first record that was left out was.
    failure: Option<Failure>,
}

impl Pass<'_> {
    /// Some records; where their run ends early, each half by itself, down to the record that is to blame.
    fn batch(&mut self, places: &[Option<usize>]) -> Result<(), Failure> {
        let rows = places.iter().flatten().count();
        let made = self
            .outputs(places)
            .map(|outputs| self.formed(&outputs, places.len()));
        let made = match made {
            // What is no record's form is no record's doing where nothing hides it.
            Ok(Err(failure)) if self.spec.noise.is_none() => return Err(failure),
            Ok(formed) => formed,
            Err(failure) => Err(failure),
        };
        match made {
            Ok(blocks) => self.take(places, &blocks),
            Err(failure) if !is_of_records(&failure) => Err(failure),
            // Without noise a sum that is silently about fewer records would be wrong.
            Err(failure) if self.spec.noise.is_none() && rows <= 1 => Err(failure),
            Err(failure) if rows <= 1 => {
                self.failure.get_or_insert(failure);
                Ok(())
            }
            Err(_) => {
                let parts: [Places; 2] = halves(places, self.fixed);
                parts.iter().try_for_each(|part| self.batch(part))
            }
        }
    }

    /// Runs the graph on some records; its outputs in its own order.
    fn outputs(&mut self, places: &[Option<usize>]) -> Result<Vec<Option<Tensor>>, Failure> {
        let rows: Vec<usize> = places.iter().flatten().copied().collect();
        let mut made = BTreeMap::new();
        for port in &self.graph.graph.inputs {
            if let Source::Data { field, .. } = source(self.step, port)? {
                let read = self.data.read(field, &rows)?;
                made.insert(port.name.clone(), spread(read, places)?);
            }
        }
        execute(self.graph, self.step, self.scope, &made)
    }

    /// A block of numbers for each place, of the form that all have.
    fn formed(
        &self,
        outputs: &[Option<Tensor>],
        places: usize,
    ) -> Result<BTreeMap<String, Block>, Failure> {
        let blocks = blocks(self.step, &self.graph.graph.outputs, outputs, places)?;
        for (output, block) in &blocks {
            match self.shapes.get(output) {
                Some(before) if *before != block.shape => {
                    return Err(Failure::rejected(format!(
                        "output {output:?} changed its shape from {before:?} to {:?} a record",
                        block.shape
                    )));
                }
                _ => {}
            }
        }
        Ok(blocks)
    }

    /// The sum of no records yet, whose outputs have these shapes.
    fn begun(&self, shapes: &Shapes) -> Result<(Layout, Sum), Failure> {
        let layout = Layout::of(self.step, shapes)?;
        let products = layout.products.iter().map(|p| p.shape).collect();
        let exact = layout.places(&exact(self.limits.manifest, self.step));
        let sum = Sum::new(self.spec, self.limits.precision, layout.width, products)?;
        let sum = sum.exactly(exact);
        Ok((layout, sum))
    }

    /// Gives each record's numbers to the sum.
    fn take(
        &mut self,
        places: &[Option<usize>],
        blocks: &BTreeMap<String, Block>,
    ) -> Result<(), Failure> {
        let rows: Vec<usize> = places.iter().flatten().copied().collect();
        let keys = self.keys(&rows)?;
        if self.sum.is_none() {
            let shapes = blocks
                .iter()
                .map(|(output, b)| (output.clone(), b.shape.clone()));
            self.shapes = shapes.collect();
            self.sum = Some(self.begun(&self.shapes)?);
        }
        let Some((layout, sum)) = &mut self.sum else {
            return Err(Failure::internal("the sum was not begun"));
        };
        let taken = places.iter().enumerate();
        let taken: Vec<usize> = taken
            .filter_map(|(place, row)| row.map(|_| place))
            .collect();
        let mut records = Vec::new();
        if layout.products.is_empty() {
            layout.plain(blocks, &taken, &mut records);
            if let Some(table) = &mut self.table {
                table.add(layout, &records)?;
            }
            return sum.add(&keys, &records, layout.width);
        }
        for place in taken {
            layout.plain(blocks, &[place], &mut records);
            sum.add_products(&records, &layout.products(blocks, place))?;
        }
        Ok(())
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
    ) -> Result<(BTreeMap<Name, Tensor>, Vec<ReleasedRows>), Failure> {
        let Some((layout, sum)) = self.sum.take() else {
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
        let persons = match self.limits.rules {
            None => None,
            Some(_) => self.persons()?,
        };
        if self.limits.rules.is_some() {
            joined::apart(self.data, rows, persons.as_deref())?;
        }
        let made = sum.finish(self.limits.rules, &places, records)?;
        let mut released = Vec::new();
        if self.limits.rules.is_some() {
            let others = joined::released(self.data, self.step, &made.sets)?;
            released.push(ReleasedRows {
                dataset: self.spec.dataset.clone(),
                // The node's to say, not the worker's.
                version: Digest::default(),
                unit_of: persons,
                sets: made.sets,
            });
            released.extend(others);
        }
        let tensor = |shape, numbers| {
            Tensor::new(shape, TensorData::F64(numbers))
                .map_err(|e| Failure::internal(e.to_string()))
        };
        let mut rest = made.plain.as_slice();
        let mut values = BTreeMap::new();
        for (_, name, shape) in layout.plain {
            let short = || Failure::internal("the sum is shorter than a record");
            let length = element_count(&shape).ok_or_else(short)?;
            let (own, others) = rest.split_at_checked(length).ok_or_else(short)?;
            rest = others;
            values.insert(name, tensor(shape, own.to_vec())?);
        }
        for (product, numbers) in layout.products.into_iter().zip(made.products) {
            let (p, q) = product.shape;
            values.insert(product.name, tensor(vec![p, q], numbers)?);
        }
        Ok((values, released))
    }
}

/// Whether a run may have failed for what records are; anything else is no record's doing.
fn is_of_records(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Rejected | FailureKind::Corrupt)
}

/// Runs the graph on data that were read; its outputs in its own order.
fn execute(
    graph: &mut Loaded,
    step: &Step,
    scope: &Scope,
    read: &BTreeMap<String, Tensor>,
) -> Result<Vec<Option<Tensor>>, Failure> {
    let mut inputs = Vec::with_capacity(graph.graph.inputs.len());
    for port in &graph.graph.inputs {
        inputs.push(Input::Given(match read.get(&port.name) {
            Some(tensor) => tensor,
            None => scope.fixed(source(step, port)?)?.ok_or_else(|| {
                Failure::rejected(format!(
                    "input {:?}: the driver records has data and variables only",
                    port.name
                ))
            })?,
        }));
    }
    graph.run(&inputs, &[])
}

#[cfg(test)]
mod tests;
