//! Whether a well-formed manifest makes sense: every reference resolves, every number is in bounds. All errors at once.
//!
//! Here are the declarations; `round.rs` has maps and reduces, `step.rs` the drivers, sources and targets of one step.
//! Not here: what the graphs themselves take and give, which only the executor can tell.

mod certify;
mod join;
mod products;
mod records;
mod round;
mod solve;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::column_type::number_of;
use super::{ColumnType, MAX_LEVEL_BYTES, MAX_LEVELS};
use super::{DatasetSpec, Driver, FORMAT, Location, Manifest, RoundSpec, VariableSpec};
use crate::bundle;
use crate::ids::{DatasetName, Name};
use crate::strategy::{RingWidth, Rounding};
use crate::task::TaskKind;
use crate::tensor::element_count;

/// Most rounds of a task.
pub const MAX_ROUNDS: u32 = 100_000;
/// Most numbers that a member contributes in a round.
pub const MAX_CONTRIBUTION_LEN: usize = 1 << 28;
/// Most bytes of all variables together.
pub const MAX_VARIABLE_BYTES: usize = 4 << 30;
/// Most unknowns, and most right sides, of a system of equations.
pub const MAX_SYSTEM: usize = 4096;

/// Errors listed before the rest is only counted.
const MAX_LISTED: usize = 100;
/// Most dimensions of anything.
const MAX_DIMENSIONS: usize = 16;

/// One thing wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fix}")]
pub struct ManifestError {
    /// Where: `rounds[0].map.steps[1].inputs.x`.
    pub path: String,
    /// What is wrong and what to do about it, in one sentence.
    pub fix: String,
}

impl Manifest {
    /// Everything that is wrong with it; empty when it can be run.
    #[must_use]
    pub fn errors(&self) -> Vec<ManifestError> {
        let mut found = Found::default();
        check_head(self, &mut found);
        for (name, spec) in &self.datasets {
            check_dataset(name, spec, &mut found);
        }
        join::check_joins(self, &mut found);
        check_variables(self, &mut found);
        check_outputs(self, &mut found);
        round::check_rounds(self, &mut found);
        found.into_errors()
    }
}

/// The errors so far. What is past the hundredth is only counted: a hostile file must not make a megabyte of text.
#[derive(Default)]
struct Found {
    listed: Vec<ManifestError>,
    more: usize,
}

impl Found {
    fn add(&mut self, path: impl Into<String>, fix: impl Into<String>) {
        if self.listed.len() < MAX_LISTED {
            let (path, fix) = (path.into(), fix.into());
            self.listed.push(ManifestError { path, fix });
        } else {
            self.more += 1;
        }
    }

    fn need(&mut self, ok: bool, path: impl Into<String>, fix: impl Into<String>) {
        if !ok {
            self.add(path, fix);
        }
    }

    fn into_errors(mut self) -> Vec<ManifestError> {
        if self.more > 0 {
            let fix = format!("{} more problems are not listed", self.more);
            self.listed.push(ManifestError {
                path: "...".to_owned(),
                fix,
            });
        }
        self.listed
    }
}

fn check_head(manifest: &Manifest, found: &mut Found) {
    found.need(
        manifest.format == FORMAT,
        "format",
        format!(
            "this node reads {FORMAT:?}, not {}; pack the task with a matching delta package",
            quoted(&manifest.format)
        ),
    );
    let name = &manifest.name;
    found.need(
        !name.trim().is_empty()
            && name.chars().count() <= 200
            && !name.chars().any(char::is_control),
        "name",
        "must have 1 to 200 characters on one line",
    );
    found.need(
        manifest.description.len() <= 65_536,
        "description",
        "must have at most 65536 bytes",
    );
    found.need(
        !manifest.enable_verify || manifest.kind == TaskKind::Hlr,
        "enable_verify",
        "only tasks of type hlr can be verified; set it to false",
    );
    found.need(
        (0..=15).contains(&manifest.tolerance),
        "tolerance",
        "must lie between 0 and 15 digits",
    );
    for error in manifest.strategy.errors() {
        found.add(format!("strategy.{}", error.field), error.rule);
    }
    let released = |round: &RoundSpec| {
        let mut steps = round.map.steps.iter();
        round.map.noise.is_some() || steps.any(|s| matches!(s.driver, Driver::Records(_)))
    };
    if manifest.rounds.iter().any(released) {
        found.need(
            manifest.strategy.ring == RingWidth::Z64,
            "strategy.ring",
            "sums of records and noise take the room that z64 has; leave it out",
        );
        found.need(
            manifest.strategy.rounding == Rounding::Nearest,
            "strategy.rounding",
            "what the node itself bounds is rounded by its own rules; leave it out",
        );
    }
}

fn check_types(
    columns: &[String],
    types: &BTreeMap<String, ColumnType>,
    path: &str,
    found: &mut Found,
) {
    for (column, kind) in types {
        let at = format!("{path}.{}", quoted(column));
        found.need(
            columns.contains(column),
            &at,
            "is none of the columns; name it there, or leave its type out",
        );
        let ColumnType::Category { levels } = kind else {
            continue;
        };
        let distinct: BTreeSet<&String> = levels.iter().collect();
        found.need(
            distinct.len() == levels.len(),
            &at,
            "each level may stand only once",
        );
        let numbers: Vec<u64> = levels
            .iter()
            .filter_map(|l| number_of(l))
            .map(f64::to_bits)
            .collect();
        let apart: BTreeSet<&u64> = numbers.iter().collect();
        found.need(
            apart.len() == numbers.len(),
            &at,
            "two levels are one number; a cell that is stored as a number would be either",
        );
        found.need(
            !levels.is_empty() && levels.len() <= MAX_LEVELS,
            &at,
            format!("must have 1 to {MAX_LEVELS} levels"),
        );
        let fits = |level: &String| {
            !level.is_empty() && level.len() <= MAX_LEVEL_BYTES && level.trim() == level
        };
        found.need(
            levels.iter().all(fits),
            &at,
            format!("a level must have 1 to {MAX_LEVEL_BYTES} bytes, and no blanks around it"),
        );
    }
}

fn check_dataset(name: &DatasetName, spec: &DatasetSpec, found: &mut Found) {
    let path = format!("datasets.{name}");
    match spec {
        DatasetSpec::Table {
            columns,
            header,
            types,
            ..
        } => {
            check_types(columns, types, &format!("{path}.types"), found);
            let at = format!("{path}.columns");
            found.need(!columns.is_empty(), &at, "name at least one column");
            let mut seen = BTreeSet::new();
            for column in columns {
                found.need(
                    seen.insert(column),
                    &at,
                    format!("{} stands twice; remove one", quoted(column)),
                );
                found.need(
                    !column.is_empty() && column.len() <= 256,
                    &at,
                    "a column's name must have 1 to 256 bytes",
                );
                let number = column
                    .parse::<u32>()
                    .is_ok_and(|n| n.to_string() == *column);
                found.need(
                    *header || number,
                    &at,
                    format!("{} is not a column of a file without header line; those are named 0, 1, 2 ...", quoted(column)),
                );
            }
        }
        DatasetSpec::Samples { shape, classes } => {
            check_shape(shape, 1 << 24, &format!("{path}.shape"), found);
            let distinct: BTreeSet<&String> = classes.iter().collect();
            found.need(
                distinct.len() == classes.len(),
                format!("{path}.classes"),
                "each class may stand only once",
            );
        }
        DatasetSpec::Array { shape, .. } => {
            let known: Vec<usize> = shape.iter().flatten().copied().collect();
            check_shape(
                &known,
                MAX_CONTRIBUTION_LEN,
                &format!("{path}.shape"),
                found,
            );
            found.need(
                shape.len() <= MAX_DIMENSIONS,
                format!("{path}.shape"),
                format!("at most {MAX_DIMENSIONS} dimensions"),
            );
        }
    }
}

fn check_variables(manifest: &Manifest, found: &mut Found) {
    let mut total = 0_usize;
    for (
        name,
        VariableSpec {
            dtype, shape, init, ..
        },
    ) in &manifest.variables
    {
        check_shape(
            shape,
            MAX_CONTRIBUTION_LEN,
            &format!("variables.{name}.shape"),
            found,
        );
        total = total.saturating_add(
            element_count(shape)
                .unwrap_or(usize::MAX)
                .saturating_mul(dtype.size()),
        );
        if let Some(file) = init {
            found.need(
                file.starts_with("arrays/") && bundle::is_allowed_name(file),
                format!("variables.{name}.init"),
                format!(
                    "{} must be a file of the bundle, arrays/NAME.npy",
                    quoted(file)
                ),
            );
        }
    }
    found.need(
        total <= MAX_VARIABLE_BYTES,
        "variables",
        format!("together they take {total} bytes, more than the {MAX_VARIABLE_BYTES} allowed"),
    );
}

fn check_outputs(manifest: &Manifest, found: &mut Found) {
    found.need(
        !manifest.outputs.is_empty(),
        "outputs",
        "name at least one server variable as the result",
    );
    let mut seen = BTreeSet::new();
    for (i, name) in manifest.outputs.iter().enumerate() {
        let path = format!("outputs[{i}]");
        need_variable(manifest, name, Some(Location::Server), &path, found);
        found.need(
            seen.insert(name),
            path,
            format!("{name} stands twice; remove one"),
        );
    }
}

/// A variable must exist, and be kept where `location` says.
fn need_variable(
    manifest: &Manifest,
    name: &Name,
    location: Option<Location>,
    path: &str,
    found: &mut Found,
) {
    match (manifest.variables.get(name), location) {
        (None, _) => found.add(
            path,
            format!("variable {name} does not exist; declare it under variables"),
        ),
        (Some(v), Some(Location::Server)) if v.location != Location::Server => {
            found.add(
                path,
                format!("variable {name} is kept by each member; a server variable is needed here"),
            );
        }
        (Some(v), Some(Location::Client)) if v.location != Location::Client => {
            found.add(
                path,
                format!("variable {name} is kept by the server; a client variable is needed here"),
            );
        }
        (Some(_), _) => {}
    }
}

/// Every dimension at least 1, and their product at most `limit`.
fn check_shape(shape: &[usize], limit: usize, path: &str, found: &mut Found) {
    found.need(
        shape.len() <= MAX_DIMENSIONS,
        path,
        format!("at most {MAX_DIMENSIONS} dimensions"),
    );
    found.need(
        !shape.contains(&0),
        path,
        "every dimension must be at least 1",
    );
    found.need(
        element_count(shape).is_some_and(|n| n <= limit),
        path,
        format!("must hold at most {limit} numbers"),
    );
}

/// A key of the author in a path: on one line and shortened.
fn key(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(60).map(visible).collect()
}

/// Text of the author in a message: quoted and shortened.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}
