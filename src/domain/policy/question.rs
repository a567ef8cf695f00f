//! What a task asks of a node's data, taken from its checked bundle.
//!
//! Everything here follows from the bundle and from what the node knows of the author, never from what the author says about the task.
//! The [`Kind`] is the task's form: it tells an owner what to expect and is no wall, because a graph may do anything in any form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rules::{Kind, Unit};
use super::verify::CertifiedColumns;
use crate::bundle::Bundle;
use crate::identity::Fingerprint;
use crate::ids::{DatasetName, Digest};
use crate::manifest::{DatasetSpec, Driver, Manifest, Source, Step, Subset, Target};
use crate::round::message::Encoder;
use crate::strategy::Strategy;
use crate::task::TaskKind;

/// Who asks, as far as the node knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Author {
    /// The task was submitted to this very node, with one of its tokens.
    #[serde(default)]
    pub own: bool,
    /// The key that the coordinating node has proved.
    #[serde(default, with = "print")]
    pub node: Option<Fingerprint>,
    /// The organisation that the roster names for that key; not what the node's card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// The author, as that node names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// In words, as the policy would name it.
impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "author {name:?} of ")?;
        }
        match (&self.organisation, self.node) {
            _ if self.own => f.write_str("this node"),
            (Some(organisation), _) => write!(f, "org:{organisation}"),
            (None, Some(print)) => write!(f, "node {print}"),
            (None, None) => f.write_str("somebody without a key"),
        }
    }
}

/// What the node itself has found out about what leaves it. Not what the task claims: a task that claims more than the node can prove is
/// refused before a policy is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Anything may leave.
    #[default]
    Free,
    /// Each record becomes one vector; the node bounds, counts and sums, and the count rules hold.
    Controlled,
    /// The node adds noise.
    Private(Spend),
}

impl Class {
    /// `free`, `controlled` or `private`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Controlled => "controlled",
            Self::Private(_) => "private",
        }
    }
}

/// Whom the noise of a task protects, and at which delta.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// Whom.
    pub unit: Unit,
    /// The delta at which the cost is stated.
    pub delta: f64,
}

/// How a task looks at a dataset's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableForm {
    /// By the names in the first line.
    Names,
    /// By place: `0`, `1`, ...
    Places,
    /// Not as a table.
    NoTable,
}

/// What a task reads of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reads {
    /// Columns that it declares or reads, without spaces around them.
    pub columns: BTreeSet<String>,
    /// How it looks at them.
    pub form: TableForm,
    /// The smallest fraction of the rows that any step reads, from 0 to 1. `None`: a part of a folder, whose rows are counted apart.
    pub fraction: Option<f64>,
    /// Columns by which its rows are matched with those of other datasets.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keys: BTreeSet<String>,
    /// Those of them by which rows of other datasets look up rows of this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub found_by: BTreeSet<String>,
    /// The datasets whose rows look up rows of this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub found_from: BTreeSet<DatasetName>,
    /// Whether steps read its rows by themselves, and not only through rows of other datasets.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub direct: bool,
}

impl Reads {
    /// Reads of all rows by themselves.
    #[must_use]
    pub const fn of(columns: BTreeSet<String>, form: TableForm) -> Self {
        Self {
            columns,
            form,
            fraction: Some(1.0),
            keys: BTreeSet::new(),
            found_by: BTreeSet::new(),
            found_from: BTreeSet::new(),
            direct: true,
        }
    }
}

fn yes() -> bool {
    true
}

/// What a task asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Who asks.
    pub author: Author,
    /// What it is by its form.
    pub kind: Kind,
    /// How its rounds are run.
    pub strategy: Strategy,
    /// Rounds, when nothing stops it early.
    pub rounds: u32,
    /// Numbers that a member sends in the largest round. All of them count for every dataset: values kept on the node carry data from one
    /// round to another.
    pub outputs: u64,
    /// What it reads.
    pub reads: BTreeMap<DatasetName, Reads>,
    /// What a certified task says of its columns; `None`: it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<CertifiedColumns>,
    /// What the node has found out about what leaves.
    pub class: Class,
    /// SHA-256 over everything that decides what leaves: the manifest but for its words, all graphs, all initial values. Two bundles with
    /// one digest ask the same.
    pub digest: Digest,
}

impl Question {
    /// What `bundle` asks when `author` sends it. Its class is `Free` until [`Self::proven`] says more.
    #[must_use]
    pub fn of(bundle: &Bundle, author: Author) -> Self {
        let manifest = bundle.manifest();
        let outputs = (0..manifest.rounds.len())
            .filter_map(|i| manifest.contribution_len(first_step(manifest, i)))
            .max();
        Self {
            author,
            kind: kind_of(manifest),
            strategy: manifest.strategy.clone(),
            rounds: manifest.total_rounds(),
            outputs: outputs.map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX)),
            reads: reads_of(manifest),
            certified: manifest.certified().map(CertifiedColumns::of),
            class: Class::Free,
            digest: digest_of(bundle),
        }
    }

    /// The same question, once the node has found out what leaves.
    #[must_use]
    pub fn proven(self, class: Class) -> Self {
        Self { class, ..self }
    }
}

fn first_step(manifest: &Manifest, round: usize) -> u32 {
    let before = manifest.rounds.iter().take(round);
    before.fold(0, |n: u32, r| n.saturating_add(r.repeat))
}

fn kind_of(manifest: &Manifest) -> Kind {
    let mut map = manifest.rounds.iter().flat_map(|r| &r.map.steps);
    let carries = |step: &Step| {
        let mut targets = step.outputs.values();
        targets.any(|target| matches!(target, Target::Carry { .. }))
    };
    if map.any(carries) {
        return Kind::Learning;
    }
    let mut reduce = manifest.rounds.iter().flat_map(|r| &r.reduce.steps);
    let solves = reduce.any(|step| matches!(step.driver, Driver::Solve(_)));
    if solves || manifest.kind == TaskKind::Hlr {
        return Kind::Regression;
    }
    if manifest.rounds.iter().any(|r| r.repeat > 1) {
        return Kind::Learning;
    }
    Kind::Statistics
}

fn reads_of(manifest: &Manifest) -> BTreeMap<DatasetName, Reads> {
    let declared = manifest.datasets.iter().map(|(name, spec)| {
        let (columns, form) = match spec {
            DatasetSpec::Table {
                columns, header, ..
            } => {
                let form = match header {
                    true => TableForm::Names,
                    false => TableForm::Places,
                };
                (trimmed(columns), form)
            }
            DatasetSpec::Samples { .. } | DatasetSpec::Array { .. } => {
                (BTreeSet::new(), TableForm::NoTable)
            }
        };
        (name.clone(), Reads::of(columns, form))
    });
    let mut all: BTreeMap<DatasetName, Reads> = declared.collect();
    joined(manifest, &mut all);
    for step in manifest.rounds.iter().flat_map(|r| &r.map.steps) {
        if let Some((dataset, subset)) = step.driver.walks()
            && let Some(reads) = all.get_mut(dataset)
        {
            narrow(reads, subset);
        }
        for source in step.inputs.values() {
            let Source::Data {
                dataset,
                field,
                subset,
            } = source
            else {
                continue;
            };
            let Some(reads) = all.get_mut(dataset) else {
                continue;
            };
            if let Some(subset) = subset {
                narrow(reads, subset);
            }
            let names = field.columns();
            let joins = manifest.joins_of(dataset);
            // What is looked up is declared by, and read of, the other dataset.
            let own = |name: &&String| !joins.iter().any(|join| join.brings(name));
            let own = names.iter().filter(own).map(|name| name.trim().to_owned());
            reads.columns.extend(own);
        }
    }
    all
}

/// By which columns datasets are joined, and which are read for that alone.
fn joined(manifest: &Manifest, all: &mut BTreeMap<DatasetName, Reads>) {
    for (name, spec) in &manifest.datasets {
        for join in spec.joins() {
            if let Some(reads) = all.get_mut(name) {
                reads.keys.insert(join.key.trim().to_owned());
            }
            if let Some(reads) = all.get_mut(&join.dataset) {
                let key = join.other_key().trim().to_owned();
                reads.keys.insert(key.clone());
                reads.found_by.insert(key);
                reads.found_from.insert(name.clone());
            }
        }
    }
    for (name, reads) in all {
        reads.direct = reads.found_by.is_empty() || manifest.reads(name);
    }
}

fn trimmed(names: &[String]) -> BTreeSet<String> {
    names.iter().map(|name| name.trim().to_owned()).collect()
}

fn narrow(reads: &mut Reads, subset: &Subset) {
    let here = subset.to - subset.from;
    reads.fraction = match (subset.part, reads.fraction) {
        (None, Some(before)) => Some(before.min(here)),
        (Some(_), _) | (_, None) => None,
    };
}

/// See [`Question::digest`].
fn digest_of(bundle: &Bundle) -> Digest {
    let manifest = Manifest {
        name: String::new(),
        description: String::new(),
        authoring: BTreeMap::new(),
        options: BTreeMap::new(),
        ..bundle.manifest().clone()
    };
    // Invariant: its keys are texts, and nothing in it refuses to be written.
    #[expect(clippy::expect_used, reason = "the form is right by construction")]
    let json = serde_json::to_vec(&manifest).expect("a manifest is JSON");
    let mut e = Encoder::new("delta question 1");
    e.bytes(&json);
    let graphs: Vec<_> = bundle.graphs().collect();
    e.number(graphs.len() as u64);
    for (name, bytes) in graphs {
        e.text(name);
        e.bytes(&Digest::of(bytes).0);
    }
    e.number(manifest.variables.len() as u64);
    for name in manifest.variables.keys() {
        e.text(name.as_str());
        // Every variable has an initial value: the bundle made sure.
        let value = bundle.initial_digest(name);
        e.bytes(&value.unwrap_or_else(|| Digest::of(&[])).0);
    }
    e.digest()
}

/// A fingerprint as people write it.
mod print {
    use super::{Deserialize, Deserializer, Fingerprint, Serialize, Serializer};

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        print: &Option<Fingerprint>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        print.map(|print| print.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Fingerprint>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let print = text.map(|text| text.parse().map_err(serde::de::Error::custom));
        print.transpose()
    }
}

#[cfg(test)]
mod tests;
