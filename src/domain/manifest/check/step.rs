//! One step: its driver, where its inputs come from, what becomes of its outputs.

use std::collections::BTreeSet;

use super::products::check_factor;
use super::records::{check_record_source, check_records};
use super::solve::check_solve;
use super::{Found, check_shape, key, need_variable, quoted};
use crate::bundle;
use crate::ids::{DatasetName, Name};
use crate::manifest::{
    Batches, Contribution, DataField, DatasetSpec, Driver, Length, Location, Manifest, Source,
    Step, Subset, Target,
};

/// Where a step runs.
#[derive(Clone, Copy)]
pub(super) enum Side<'m> {
    /// At each member.
    Map,
    /// At the coordinator, with these sums.
    Reduce(&'m [Contribution]),
}

/// Checks a step and adds the values that it makes to `values`.
pub(super) fn check_step(
    manifest: &Manifest,
    step: &Step,
    side: Side<'_>,
    values: &mut BTreeSet<Name>,
    path: &str,
    found: &mut Found,
) {
    if let Driver::Solve(solve) = &step.driver {
        check_solve(step, solve, side, path, found);
    } else if step.graph.is_none() {
        found.add(
            format!("{path}.graph"),
            "is missing; every driver but solve runs a graph, graphs/NAME.onnx",
        );
    }
    let files = [
        ("graph", &step.graph),
        ("graph_onnxruntime", &step.graph_onnxruntime),
    ];
    for (field, file) in files {
        if let Some(file) = file {
            check_graph(file, &format!("{path}.{field}"), found);
        }
    }
    match (&step.driver, side) {
        (Driver::Once | Driver::Solve(_), _) => {}
        (Driver::Batches(batches), Side::Map) => {
            check_batches(manifest, batches, &format!("{path}.driver"), found);
        }
        (Driver::Records(records), Side::Map) => {
            check_records(manifest, records, &format!("{path}.driver"), found);
        }
        (Driver::Batches(_) | Driver::Records(_), Side::Reduce(_)) => found.add(
            format!("{path}.driver"),
            "the coordinator has no data to cut into batches or records; use once",
        ),
    }
    for (input, source) in &step.inputs {
        let at = format!("{path}.inputs.{}", key(input));
        found.need(
            !input.is_empty() && input.len() <= 256,
            &at,
            "a graph input's name must have 1 to 256 bytes",
        );
        match (side, &step.driver) {
            (Side::Map, Driver::Records(records)) => {
                check_record_source(manifest, source, records, &at, found);
            }
            (Side::Map, driver) => {
                check_map_source(manifest, source, driver, values, &at, found);
            }
            (Side::Reduce(sums), _) => {
                check_reduce_source(manifest, source, sums, values, &at, found);
            }
        }
    }
    check_outputs(step, values, path, found);
}

fn check_graph(file: &str, path: &str, found: &mut Found) {
    found.need(
        file.starts_with("graphs/") && bundle::is_allowed_name(file),
        path,
        format!(
            "{} must be a file of the bundle, graphs/NAME.onnx",
            quoted(file)
        ),
    );
}

fn check_batches(manifest: &Manifest, batches: &Batches, path: &str, found: &mut Found) {
    let dataset = need_dataset(
        manifest,
        &batches.dataset,
        &format!("{path}.dataset"),
        found,
    );
    if matches!(dataset, Some(DatasetSpec::Array { shape, .. }) if shape.is_empty()) {
        found.add(
            format!("{path}.dataset"),
            "a single number cannot be cut into batches",
        );
    }
    check_subset(&batches.subset, dataset, &format!("{path}.subset"), found);
    found.need(
        (1..=1_000_000).contains(&batches.batch_size),
        format!("{path}.batch_size"),
        "must lie between 1 and 1000000",
    );
    let (Length::Epochs(n) | Length::Iterations(n)) = batches.length;
    found.need(n >= 1, format!("{path}.length"), "must be at least 1");
}

pub(super) fn check_subset(
    subset: &Subset,
    dataset: Option<&DatasetSpec>,
    path: &str,
    found: &mut Found,
) {
    let Subset { part, from, to, .. } = subset;
    found.need(
        // Written so that NaN fails.
        *from >= 0.0 && from < to && *to <= 1.0,
        path,
        format!("from {from} to {to} selects nothing sensible; 0 <= from < to <= 1 is needed"),
    );
    let foldered = dataset.is_none_or(|d| matches!(d, DatasetSpec::Samples { .. }));
    found.need(
        part.is_none() || foldered,
        format!("{path}.part"),
        "only datasets of samples have a train/ and a val/ part",
    );
}

fn check_map_source(
    manifest: &Manifest,
    source: &Source,
    driver: &Driver,
    values: &BTreeSet<Name>,
    path: &str,
    found: &mut Found,
) {
    let batches = match driver {
        Driver::Batches(batches) => Some(batches),
        Driver::Once | Driver::Records(_) | Driver::Solve(_) => None,
    };
    match source {
        Source::Variable { name } => need_variable(manifest, name, None, path, found),
        Source::Value { name } => need_earlier(values, name, path, found),
        Source::Data {
            dataset,
            field,
            subset,
        } => {
            let spec = need_dataset(manifest, dataset, path, found);
            if let Some(spec) = spec {
                check_field(dataset, spec, field, path, found);
            }
            match (batches, subset) {
                (Some(batches), _) if batches.dataset != *dataset => found.add(
                    path,
                    format!("the driver iterates {}, so data of {dataset} cannot be cut to its batches; use a step of its own", batches.dataset),
                ),
                (Some(_), Some(_)) => found.add(path, "under batches the driver selects the rows; remove this subset"),
                (None, Some(subset)) => check_subset(subset, spec, &format!("{path}.subset"), found),
                (_, None) => {}
            }
        }
        Source::Noise { shape, .. } => {
            found.need(
                batches.is_some(),
                path,
                "noise has one block for each row of a batch; use the driver batches",
            );
            check_shape(shape, 1 << 24, &format!("{path}.shape"), found);
        }
        Source::BatchSize => found.need(
            batches.is_some(),
            path,
            "there is no batch under the driver once",
        ),
        Source::Sum { .. } | Source::Clients => {
            found.add(path, "sums and the number of members exist at the coordinator only; move the step to reduce");
        }
    }
}

fn check_reduce_source(
    manifest: &Manifest,
    source: &Source,
    sums: &[Contribution],
    values: &BTreeSet<Name>,
    path: &str,
    found: &mut Found,
) {
    match source {
        Source::Variable { name } => {
            need_variable(manifest, name, Some(Location::Server), path, found)
        }
        Source::Value { name } => need_earlier(values, name, path, found),
        Source::Sum { name } => found.need(
            sums.iter().any(|c| c.name == *name),
            path,
            format!("{name} is not contributed in this round; add it to map.contribute"),
        ),
        Source::Clients => {}
        Source::Data { .. } | Source::Noise { .. } | Source::BatchSize => {
            found.add(path, "the coordinator has no data; a reduce reads sums, clients, server variables and values");
        }
    }
}

pub(super) fn check_field(
    dataset: &DatasetName,
    spec: &DatasetSpec,
    field: &DataField,
    path: &str,
    found: &mut Found,
) {
    let columns = field.columns();
    match (spec, field) {
        (DatasetSpec::Table { .. }, DataField::X | DataField::Y) => {
            found.add(
                path,
                format!("{dataset} is a table: name its columns instead of x or y"),
            );
        }
        (DatasetSpec::Table { .. }, _) => {
            found.need(!columns.is_empty(), path, "name at least one column");
            for column in columns {
                found.need(
                    spec.declares(column),
                    path,
                    format!("{dataset} does not declare a column {}; add it to datasets.{dataset}.columns", quoted(column)),
                );
            }
        }
        (_, DataField::Columns(_) | DataField::ColumnsF32(_) | DataField::ColumnI64(_)) => {
            found.add(
                path,
                format!("{dataset} is not a table and has no columns: read x or y"),
            );
        }
        (DatasetSpec::Samples { classes, .. }, DataField::Y) => {
            found.need(
                !classes.is_empty(),
                path,
                format!("the samples of {dataset} have no classes, so there is no y; declare them"),
            );
        }
        (DatasetSpec::Array { .. }, DataField::Y) => found.add(
            path,
            format!("{dataset} is one array and has no labels: read x"),
        ),
        (_, DataField::X) => {}
    }
}

fn check_outputs(step: &Step, values: &mut BTreeSet<Name>, path: &str, found: &mut Found) {
    found.need(
        !step.outputs.is_empty(),
        format!("{path}.outputs"),
        "the step makes nothing; list the outputs that are used",
    );
    let batches = matches!(step.driver, Driver::Batches(_));
    let records = matches!(step.driver, Driver::Records(_));
    let mut carried = BTreeSet::new();
    for (output, target) in &step.outputs {
        let at = format!("{path}.outputs.{}", key(output));
        found.need(
            !output.is_empty() && output.len() <= 256,
            &at,
            "a graph output's name must have 1 to 256 bytes",
        );
        let name = match target {
            Target::Value { name } | Target::Carry { name, .. } if records => {
                found.add(
                    &at,
                    "under the driver records nothing but sums leaves a step; make it a sum",
                );
                name
            }
            Target::Value { name } => name,
            Target::Carry { input, name } => {
                found.need(
                    batches,
                    &at,
                    "nothing is carried under the driver once; make it a value",
                );
                check_carry(step, input, &at, found);
                found.need(
                    carried.insert(input),
                    &at,
                    format!("two outputs are carried into {}", quoted(input)),
                );
                name
            }
            Target::Sum { name } => {
                found.need(
                    batches || records,
                    &at,
                    "nothing is summed under the driver once; make it a value",
                );
                name
            }
            Target::Left { name } | Target::Right { name } => {
                check_factor(step, target, name, &at, found);
                if matches!(target, Target::Right { .. }) {
                    continue;
                }
                name
            }
        };
        if !values.insert(name.clone()) {
            found.add(
                at,
                format!("a value {name} exists already; give this one another name"),
            );
        }
    }
}

fn check_carry(step: &Step, input: &str, path: &str, found: &mut Found) {
    match step.inputs.get(input) {
        None => found.add(path, format!("is carried into {}, which is not an input of the step", quoted(input))),
        Some(Source::Variable { .. } | Source::Value { .. }) => {}
        Some(_) => found.add(
            path,
            format!("is carried into {}, which is filled anew for each batch; carry into a variable or value", quoted(input)),
        ),
    }
}

pub(super) fn need_dataset<'m>(
    manifest: &'m Manifest,
    name: &DatasetName,
    path: &str,
    found: &mut Found,
) -> Option<&'m DatasetSpec> {
    let spec = manifest.datasets.get(name);
    found.need(
        spec.is_some(),
        path,
        format!("dataset {name} is not declared; add it under datasets"),
    );
    spec
}

fn need_earlier(values: &BTreeSet<Name>, name: &Name, path: &str, found: &mut Found) {
    found.need(
        values.contains(name),
        path,
        format!("no earlier step makes a value {name}; move that step before this one, or correct the name"),
    );
}
