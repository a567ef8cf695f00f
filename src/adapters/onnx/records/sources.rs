//! Where a graph's inputs come from: records with their columns, or what every member has alike.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::follow::Lost;
use super::value::{Dim, Taint, Value};
use crate::guard::{CheckedGraph, Port};
use delta_domain::manifest::{DataField, DatasetSpec, Manifest, Source};
use delta_domain::records::proof::RecordsStep;

/// Most columns of one step, so that following them stays cheap.
const COLUMNS: usize = 1024;

/// The columns that a step reads, by number.
#[derive(Default)]
pub(super) struct Sources {
    names: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Sources {
    /// What is known of each input of a step's graph.
    pub(super) fn inputs(
        &mut self,
        manifest: &Manifest,
        step: &RecordsStep<'_>,
        graph: &CheckedGraph,
    ) -> Result<BTreeMap<String, Value>, Lost> {
        let inputs = graph.inputs.iter().map(|port| {
            let value = self.input(manifest, step, port).map_err(|why| Lost {
                place: format!("input {:?}", port.name.chars().take(80).collect::<String>()),
                operator: None,
                why,
            })?;
            Ok((port.name.clone(), value))
        });
        inputs.collect()
    }

    fn input(
        &mut self,
        manifest: &Manifest,
        step: &RecordsStep<'_>,
        port: &Port,
    ) -> Result<Value, String> {
        let mut value = match step.step.inputs.get(&port.name) {
            Some(Source::Data { dataset, field, .. }) if *dataset == step.records.dataset => {
                let spec = manifest.datasets.get(dataset);
                self.data(spec.ok_or("the dataset is not declared")?, field)?
            }
            Some(Source::Variable { name }) => {
                let variable = manifest
                    .variables
                    .get(name)
                    .ok_or("there is no such variable")?;
                Value::shaped(variable.shape.iter().map(|n| length(*n)).collect())
            }
            _ => return Err("it has no source that the driver records knows".to_owned()),
        };
        value.dtype = Some(port.dtype);
        Ok(value)
    }

    /// A field of the records: they are counted by the first axis.
    fn data(&mut self, spec: &DatasetSpec, field: &DataField) -> Result<Value, String> {
        let mut dims = vec![Dim::Rows];
        let columns = match (spec, field) {
            (
                DatasetSpec::Table { .. },
                DataField::Columns(names) | DataField::ColumnsF32(names),
            ) => {
                dims.push(length(names.len()));
                names.as_slice()
            }
            (DatasetSpec::Table { .. }, DataField::ColumnI64(name)) => std::slice::from_ref(name),
            (DatasetSpec::Samples { shape, .. }, DataField::X) => {
                dims.extend(shape.iter().map(|n| length(*n)));
                &["x".to_owned()]
            }
            (DatasetSpec::Samples { .. }, DataField::Y) => &["y".to_owned()],
            (DatasetSpec::Array { shape, .. }, DataField::X) if !shape.is_empty() => {
                let rest = shape.iter().skip(1);
                dims.extend(rest.map(|n| n.map_or(Dim::Other, length)));
                &["x".to_owned()]
            }
            _ => return Err("the dataset has no such field".to_owned()),
        };
        let numbers = columns.iter().map(|name| self.number(name));
        let numbers: Rc<[usize]> = numbers.collect::<Result<_, _>>()?;
        let table = dims.len() == 2 && matches!(spec, DatasetSpec::Table { .. });
        Ok(Value {
            taint: Taint::of(&numbers),
            labels: table.then_some(numbers),
            ..Value::shaped(dims)
        })
    }

    /// The number of a column, by its name without spaces around it, as policies call it.
    fn number(&mut self, name: &str) -> Result<usize, String> {
        let name = name.trim();
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        if self.names.len() >= COLUMNS {
            return Err(format!("more than {COLUMNS} columns are read"));
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    /// The columns of these numbers.
    pub(super) fn names(&self, numbers: &BTreeSet<usize>) -> BTreeSet<String> {
        let name = |n: &usize| self.names.get(*n).cloned();
        numbers.iter().filter_map(name).collect()
    }
}

fn length(n: usize) -> Dim {
    i64::try_from(n).map_or(Dim::Other, Dim::Known)
}
