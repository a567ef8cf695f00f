//! What a task takes from a node and what leaves it, in plain words, for the one who owns the data.
//!
//! Shown by `task inspect` and written to the log before a node takes part. Says what the manifest makes possible, so it can be trusted
//! without trusting the author: names and descriptions are the author's, everything else follows from the checked manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Certify, Cohort, ColumnType, Contribution, DataField, DatasetSpec, Driver, How, Join, Location,
    MAX_CERTIFIED_ROWS, Manifest, Records, RoundSpec, Source, Step, Target, Written,
};
use crate::ids::{DatasetName, Name};
use crate::round::Neighbourhood;
use crate::strategy::{Rounding, Transport};
use crate::tensor::element_count;

impl Manifest {
    /// The description, one line an entry; lines that belong to the one above are indented by two spaces.
    ///
    /// Meant for a manifest without [`errors`](Self::errors).
    #[must_use]
    pub fn disclosure(&self) -> Vec<String> {
        let total = self.total_rounds();
        let mut lines = vec![format!(
            "Task {} ({}), {} of {}.",
            printable(&self.name),
            self.kind,
            counted(u64::from(total), "round"),
            members(self)
        )];
        if !self.description.trim().is_empty() {
            lines.push(format!("The author says: {}", printable(&self.description)));
        }
        for (name, spec) in &self.datasets {
            lines.push(format!(
                "Your dataset {name} is needed: {}.",
                looks_like(spec)
            ));
        }
        let mut first = 1;
        for round in &self.rounds {
            let last = first + round.repeat.saturating_sub(1);
            let title = if last > first {
                format!("Rounds {first} to {last}:")
            } else {
                format!("Round {first}:")
            };
            lines.push(title);
            self.describe_round(round, &mut lines);
            first = last.saturating_add(1);
        }
        lines.push(self.promise());
        lines.push(self.withstands());
        lines.push(format!(
            "The result that the coordinator gets: {}.",
            listed(self.outputs.iter().map(Name::as_str))
        ));
        lines
    }

    fn describe_round(&self, round: &RoundSpec, lines: &mut Vec<String>) {
        if let Some(Cohort::Same) = round.cohort {
            lines.push("  sums the same members as the round before".to_owned());
        }
        let (reads, variables) = reads(round);
        if reads.is_empty() {
            lines.push("  reads no dataset".to_owned());
        }
        for (dataset, fields) in reads {
            lines.push(format!(
                "  reads {dataset}: {}",
                fields.into_iter().collect::<Vec<_>>().join("; ")
            ));
        }
        for step in &round.map.steps {
            if let Driver::Records(records) = &step.driver
                && round.certify.is_none()
            {
                lines.push(format!("  {}", record_by_record(step, records)));
            }
        }
        if let Some(noise) = &round.map.noise {
            lines.push(format!(
                "  bounds all numbers that leave to the length {} together, with noise of {} times that at delta {:e} in every sum",
                noise.l2,
                printable(&noise.multiplier),
                noise.delta
            ));
        }
        let kept_at = |location| {
            let names = variables.iter().filter(move |n| {
                self.variables
                    .get(**n)
                    .is_some_and(|v| v.location == location)
            });
            names.map(|n| n.as_str()).collect::<Vec<_>>()
        };
        let downloads = match self.strategy.transport {
            Transport::Full => "downloads from the coordinator",
            Transport::F16 => "downloads from the coordinator, in 16 bits",
        };
        for (names, what) in [
            (kept_at(Location::Server), downloads),
            (kept_at(Location::Client), "reads values kept on this node"),
            (
                round.map.assign.keys().map(Name::as_str).collect(),
                "keeps on this node for later rounds",
            ),
        ] {
            if !names.is_empty() {
                lines.push(format!("  {what}: {}", listed(names.into_iter())));
            }
        }
        if let Some(certify) = &round.certify {
            describe_certified(certify, lines);
            return;
        }
        let ring = self.strategy.ring().bytes_per_value();
        let mut total = 0_usize;
        for contribution in &round.map.contribute {
            let Contribution {
                name, dtype, shape, ..
            } = contribution;
            let count = element_count(shape).unwrap_or(usize::MAX);
            let words = contribution.words().unwrap_or(usize::MAX);
            total = total.saturating_add(words.saturating_mul(ring));
            let exactly = match contribution.written {
                Written::Fixed => "",
                Written::Exact => ", summed exactly",
            };
            lines.push(format!(
                "  leaves this node, masked: {name}, {} {shape:?}, {}{exactly}",
                dtype.name(),
                counted(wide(count), "number")
            ));
        }
        if let Some(bound) = self.strategy.bound {
            lines.push(format!("  sends no number above {bound}"));
        }
        if self.strategy.rounding == Rounding::Stochastic {
            lines.push("  rounds what it sends up or down at random".to_owned());
        }
        lines.push(format!(
            "  in all, each member sends {} a round",
            counted(wide(total), "byte")
        ));
    }

    /// What the strategy's threshold is good for, in the smallest round and in the largest.
    fn withstands(&self) -> String {
        let of = |n: u32| {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            let (bad, here) = (
                self.strategy.colluders_among(n),
                Neighbourhood::of(&self.strategy, n),
            );
            let lost = match here.degree {
                None => format!("{} may drop out", n.saturating_sub(here.threshold)),
                Some(k) => format!("each shares its secrets with {k} others"),
            };
            format!("in a round of {n} members {bad} of them, and {lost}")
        };
        let (low, high) = (self.strategy.min_clients, self.strategy.max_clients);
        let mut rounds = of(low);
        if high > low {
            rounds = format!("{rounds}; {}", of(high));
        }
        format!(
            "How many members may work together with the coordinator and the connector and still not learn another's numbers: {rounds}."
        )
    }

    fn promise(&self) -> String {
        match self.strategy.min_clients {
            0 | 1 => "WARNING: the task allows rounds with one member, whose numbers the coordinator would then see as they are.".to_owned(),
            n => format!(
                "What leaves this node is masked: the coordinator sees the sums of these numbers over at least {n} members, not who \
                 contributed what. That protects each member's numbers, not the question: what the graphs put into a number, one \
                 person's value included, is in the sum."
            ),
        }
    }
}

/// Datasets that a map reads, with their fields in words, and the variables that it reads.
fn reads(round: &RoundSpec) -> (BTreeMap<&DatasetName, BTreeSet<String>>, BTreeSet<&Name>) {
    let mut data: BTreeMap<&DatasetName, BTreeSet<String>> = BTreeMap::new();
    let mut variables = BTreeSet::new();
    for step in &round.map.steps {
        if let Some((dataset, _)) = step.driver.walks() {
            data.entry(dataset).or_default();
        }
        if let Driver::Records(Records {
            dataset,
            unit: Some(unit),
            ..
        }) = &step.driver
        {
            let key = format!("column {}", printable(&unit.key));
            data.entry(dataset).or_default().insert(key);
        }
        for source in step.inputs.values() {
            match source {
                Source::Data { dataset, field, .. } => {
                    data.entry(dataset)
                        .or_default()
                        .insert(field_in_words(field));
                }
                Source::Variable { name } => {
                    variables.insert(name);
                }
                Source::Value { .. }
                | Source::Noise { .. }
                | Source::BatchSize
                | Source::Sum { .. }
                | Source::Clients => {}
            }
        }
    }
    for fields in data.values_mut().filter(|fields| fields.is_empty()) {
        fields.insert("the number of its rows".to_owned());
    }
    (data, variables)
}

/// How the records of a step are bounded and summed.
fn record_by_record(step: &Step, records: &Records) -> String {
    let each = match &records.unit {
        None => "one vector for each record".to_owned(),
        Some(unit) => format!(
            "one vector for all records with the same {}",
            printable(&unit.key)
        ),
    };
    let clip = records.clip.map_or_else(String::new, |clip| {
        let single = clip
            .linf
            .map_or_else(String::new, |n| format!(", no number of it above {n}"));
        format!(", of length {} at most{single}", clip.l2)
    });
    let noise = records.noise.as_ref().map_or_else(String::new, |noise| {
        format!(
            ", with noise of {} times that length at delta {:e}",
            printable(&noise.multiplier),
            noise.delta
        )
    });
    let product = |target: &Target| matches!(target, Target::Left { .. });
    let products = match step.outputs.values().filter(|t| product(t)).count() {
        0 => String::new(),
        n => format!(
            "; {} of two vectors, which the node multiplies",
            counted(wide(n), "product")
        ),
    };
    format!(
        "sums {}, record by record: {each}{clip}{noise}{products}",
        records.dataset
    )
}

fn field_in_words(field: &DataField) -> String {
    match field {
        DataField::X => "the values".to_owned(),
        DataField::Y => "the class labels".to_owned(),
        DataField::Columns(names) | DataField::ColumnsF32(names) => {
            format!("columns {}", listed(names.iter().map(String::as_str)))
        }
        DataField::ColumnI64(name) => format!("column {}", printable(name)),
    }
}

/// What a column is declared to be: of levels the first, since a list of names asks for persons.
fn told(kind: &ColumnType) -> String {
    let ColumnType::Category { levels } = kind else {
        return kind.told();
    };
    let shown = listed(levels.iter().take(SHOWN_LEVELS).map(String::as_str));
    match levels.len().saturating_sub(SHOWN_LEVELS) {
        0 => format!("{} ({shown})", kind.told()),
        more => format!("{} ({shown} and {more} more)", kind.told()),
    }
}

/// What a join adds to a table.
fn joined(join: &Join) -> String {
    let rows = match join.how {
        How::Left => "",
        How::Inner => ", without rows that find none",
    };
    let by = match join.right_key.as_deref() {
        Some(other) if other != join.key => {
            format!("{} as {}", printable(&join.key), printable(other))
        }
        _ => printable(&join.key),
    };
    format!(
        "; joined by {by} with your dataset {}: {}{rows}",
        join.dataset,
        listed(join.columns.iter().map(String::as_str))
    )
}

/// Levels of a column that are shown.
const SHOWN_LEVELS: usize = 50;

fn looks_like(spec: &DatasetSpec) -> String {
    match spec {
        DatasetSpec::Table {
            columns,
            header,
            types,
            joins,
        } => {
            let header = if *header { "" } else { ", without header line" };
            let typed = types
                .iter()
                .map(|(column, kind)| format!("{} as {}", printable(column), told(kind)));
            let typed: Vec<String> = typed.collect();
            let typed = match typed.is_empty() {
                true => String::new(),
                false => format!("; {}", typed.join(", ")),
            };
            format!(
                "a table with the columns {}{header}{typed}{}",
                listed(columns.iter().map(String::as_str)),
                joins.iter().map(joined).collect::<String>()
            )
        }
        DatasetSpec::Samples { shape, classes } if classes.is_empty() => {
            format!("samples of shape {shape:?}")
        }
        DatasetSpec::Samples { shape, classes } => {
            format!(
                "samples of shape {shape:?} in the classes {}",
                listed(classes.iter().map(String::as_str))
            )
        }
        DatasetSpec::Array { shape, dtype } => {
            let dims: Vec<String> = shape
                .iter()
                .map(|d| d.map_or_else(|| "any".to_owned(), |n| n.to_string()))
                .collect();
            format!(
                "an array of {} with shape [{}]",
                dtype.name(),
                dims.join(", ")
            )
        }
    }
}

fn members(manifest: &Manifest) -> String {
    let (least, most) = (manifest.strategy.min_clients, manifest.strategy.max_clients);
    if least == most {
        counted(u64::from(most), "member")
    } else {
        format!("{least} to {most} members")
    }
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// At most twenty names; the rest is counted.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let all: Vec<String> = names.map(printable).collect();
    let (shown, rest) = all.split_at(all.len().min(SHOWN));
    let more = if rest.is_empty() {
        String::new()
    } else {
        format!(" and {} more", rest.len())
    };
    format!("{}{more}", shown.join(", "))
}

/// The author's text without anything that could move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_shown(c) { c } else { ' ' })
        .take(2000)
        .collect()
}

/// Whether a character shows what it is: none that moves, hides or turns around what stands beside it.
fn is_shown(c: char) -> bool {
    let format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !format
}

/// What a member shows, and keeps to itself, where the answer is certified.
fn describe_certified(certify: &Certify, lines: &mut Vec<String>) {
    let (answer, model) = (&certify.answer, certify.model.words());
    let bounds = certify.bounded().map(|column| {
        let (low, high) = (column.low, column.high);
        format!("{} from {low} to {high}", printable(&column.name))
    });
    let left = counted(wide(certify.columns.len().saturating_add(2)), "number");
    lines.extend([
        format!(
            "  sums nothing: proves that {answer} is the {model} on the rows that the graph makes of the members' data, within {}",
            certify.tolerance
        ),
        "  before round 1 a salted fingerprint of these rows is published; other rows cannot be proven afterwards".to_owned(),
        format!(
            "  takes part only where all cells of these rows lie within the author's bounds, and there are at most {MAX_CERTIFIED_ROWS}: {}",
            bounds.collect::<Vec<_>>().join(", ")
        ),
        "  what a cell is says the graph, not its name: whether this node takes part answers a question that the author was free to choose".to_owned(),
        format!(
            "  leaves this node, masked: what {answer} leaves open on the rows, {left}, with a proof; the gradient is not published"
        ),
        "  leaves this node: the number of rows that the task counts, rounded up to a power of two".to_owned(),
    ]);
}

#[cfg(test)]
mod tests {
    use crate::bundle::{Bundle, BundleLimits};
    use crate::manifest::Manifest;

    fn digits() -> Manifest {
        let bytes = include_bytes!("../../../assets/digits-cnn.delta");
        Bundle::open(bytes, &BundleLimits::default())
            .unwrap()
            .manifest()
            .clone()
    }

    #[test]
    fn everything_read_kept_and_sent_is_said() {
        let text = digits().disclosure().join("\n");
        for expected in [
            "Task digits-cnn (horizontal), 9 rounds of 2 to 3 members.",
            "Your dataset digits is needed: samples of shape [1, 8, 8] in the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.",
            "Rounds 1 to 8:\n  reads digits: the class labels; the values\n",
            "downloads from the coordinator: conv.bias, conv.weight, fc.bias, fc.weight\n",
            "reads values kept on this node: m.conv.bias, ",
            "keeps on this node for later rounds: m.conv.bias, ",
            "leaves this node, masked: conv.weight, f32 [8, 1, 3, 3], 72 numbers\n",
            "leaves this node, masked: rows, f64 [], 1 number\n",
            "in all, each member sends 10992 bytes a round\nRound 9:\n",
            "the coordinator sees the sums of these numbers over at least 2 members",
            "in a round of 2 members 0 of them, and 0 may drop out; in a round of 3 members 0 of them, and 1 may drop out",
            "The result that the coordinator gets: conv.weight, conv.bias, fc.weight, fc.bias, accuracy.",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }

    #[test]
    fn record_by_record_is_said_with_its_bounds() {
        let mut task = digits();
        task.rounds[0].map.steps[0].driver = serde_json::from_value(serde_json::json!({
            "kind": "records", "dataset": "digits", "unit": {"key": "person"},
            "clip": {"l2": 2.5, "linf": 1.0}, "noise": {"multiplier": "1.3", "delta": 1e-6}
        }))
        .unwrap();
        let text = task.disclosure().join("\n");
        let expected = "sums digits, record by record: one vector for all records with the same person, of length 2.5 at most, \
                        no number of it above 1, with noise of 1.3 times that length at delta 1e-6";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("column person"), "{text}");
        let step = &mut task.rounds[0].map.steps[0];
        for (output, to) in [("a", "left"), ("b", "right")] {
            let target = serde_json::json!({"to": to, "name": "weights"});
            let target = serde_json::from_value(target).unwrap();
            step.outputs.insert(output.to_owned(), target);
        }
        let text = task.disclosure().join("\n");
        let expected = "at delta 1e-6; 1 product of two vectors, which the node multiplies";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_round_of_one_member_is_a_warning() {
        let mut alone = digits();
        alone.strategy.min_clients = 1;
        assert!(
            alone
                .disclosure()
                .iter()
                .any(|line| line.starts_with("WARNING"))
        );
    }

    #[test]
    fn the_authors_text_cannot_move_the_cursor() {
        let mut hostile = digits();
        hostile.description = "harmless\u{1b}[1A\u{1b}[2K\r\nnothing leaves this node".to_owned();
        let lines = hostile.disclosure();
        assert!(
            lines.iter().all(|line| !line.chars().any(char::is_control)),
            "{lines:?}"
        );
    }
}
