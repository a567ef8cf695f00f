//! What is known about the sums that leave a node, found out from the bundle alone and never from what the author says.
//!
//! A task is proven when everything that it contributes, in every round, is the direct sum over the records of a `records` step whose
//! graph keeps them apart: block i of each output depends on record i, on what every member has alike, and on nothing else.
//! Then one record moves the sum by its own vector at most, which the node can bound.
//!
//! Graphs are followed by whoever reads them ([`ReleaseProof::of`] takes that as an argument); here is what must hold around them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DatasetName, Name};
use crate::manifest::{
    Driver, Location, Manifest, MapSpec, Records, RoundSpec, Source, Step, Target,
};
use crate::named_rules::named_rules;
use crate::policy::Role;
use crate::tensor::element_count;

/// Reasons that are listed; the rest says nothing that these do not.
const MAX_REASONS: usize = 100;

named_rules! {
    /// The rules that a proof rests on, by stable names as those of policies.
    pub enum ProofRule {
        /// A graph may mix records, or cannot be followed.
        RowsMixed = "records.rows_mixed",
        /// What leaves is not the direct sum of a `records` step.
        NotSummed = "records.not_summed",
        /// Values are kept on the node from one round to another.
        KeepsState = "records.keeps_state",
        /// A step reads data past the `records` driver.
        ReadsBeside = "records.reads_beside",
        /// A column that points at one person reaches an output.
        Identifier = "records.identifier",
    }
}

/// What is known of one `records` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProof {
    /// Position in the manifest's `rounds`.
    pub round: usize,
    /// Position in the map's `steps`.
    pub step: usize,
    /// The dataset whose records are summed.
    pub dataset: DatasetName,
    /// Its columns that may reach an output, or decide whether a record fails; without spaces around them. `x` and `y` of what is no table.
    /// The key of a unit is not among them: it groups records and goes into no number.
    pub columns: BTreeSet<String>,
    /// What the dataset's rows look up in others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Joined>,
    /// Numbers that one record adds to what leaves: those of all sums of the step that are contributed.
    pub outputs: u64,
}

/// What the records of a step look up in another dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The other dataset.
    pub dataset: DatasetName,
    /// Its columns that may reach an output, as those of the step's own dataset.
    pub columns: BTreeSet<String>,
    /// The column by which a record looks up. It decides which row is found, and goes into no number.
    pub key: String,
    /// The same of the other dataset.
    pub other_key: String,
}

/// One thing that stands between a task and its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    /// Which rule does not hold.
    pub rule: ProofRule,
    /// Where: `rounds[0].map.steps[1]`, with the graph's file and node where one is to blame.
    pub place: String,
    /// The operator, where a node is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Why, and what would help, in a sentence.
    pub why: String,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.place, self.rule, self.why)
    }
}

/// What is known of a whole task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseProof {
    /// Everything that leaves is a sum over records that are kept apart. The `records` steps, in order.
    Proven(Vec<StepProof>),
    /// Why that is not known; at least one reason, and a hundred at most.
    Unproven(Vec<Unproven>),
}

/// A `records` step of a task, for whoever follows its graphs.
#[derive(Debug, Clone, Copy)]
pub struct RecordsStep<'m> {
    /// The step.
    pub step: &'m Step,
    /// Its driver.
    pub records: &'m Records,
    /// Where it stands: `rounds[0].map.steps[1]`.
    pub place: &'m str,
}

impl ReleaseProof {
    /// What is known of a task whose manifest has no [`errors`](Manifest::errors).
    ///
    /// `follow` says which columns of the dataset reach the outputs of a step, all forms of its graph together, or why its graphs cannot be
    /// followed. It is called for every `records` step, in order.
    pub fn of(
        manifest: &Manifest,
        mut follow: impl FnMut(&RecordsStep<'_>) -> Result<BTreeSet<String>, Vec<Unproven>>,
    ) -> Self {
        let mut steps = Vec::new();
        let mut reasons = Vec::new();
        for (number, round) in manifest.rounds.iter().enumerate() {
            around_graphs(manifest, number, round, &mut reasons);
            for (index, step) in round.map.steps.iter().enumerate() {
                let Driver::Records(records) = &step.driver else {
                    continue;
                };
                let place = format!("rounds[{number}].map.steps[{index}]");
                let followed = follow(&RecordsStep {
                    step,
                    records,
                    place: &place,
                });
                match followed {
                    Ok(columns) => {
                        let (columns, joined) = apart(manifest, &records.dataset, columns);
                        steps.push(StepProof {
                            round: number,
                            step: index,
                            dataset: records.dataset.clone(),
                            columns,
                            joined,
                            outputs: outputs(&round.map, step),
                        });
                    }
                    Err(why) => reasons.extend(why),
                }
                reasons.truncate(MAX_REASONS);
            }
        }
        if reasons.is_empty() {
            Self::Proven(steps)
        } else {
            Self::Unproven(reasons)
        }
    }

    /// Whether the task is proven.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven(_))
    }
}

/// A table's own columns, and those that its rows look up.
fn apart(
    manifest: &Manifest,
    dataset: &DatasetName,
    columns: BTreeSet<String>,
) -> (BTreeSet<String>, Vec<Joined>) {
    let joins = manifest.joins_of(dataset);
    let (mut own, mut joined) = (columns, Vec::with_capacity(joins.len()));
    for join in joins {
        let (brought, rest) = own.into_iter().partition(|column| join.brings(column));
        own = rest;
        joined.push(Joined {
            dataset: join.dataset.clone(),
            columns: brought,
            key: join.key.trim().to_owned(),
            other_key: join.other_key().trim().to_owned(),
        });
    }
    (own, joined)
}

/// What must hold around the graphs of a round.
fn around_graphs(
    manifest: &Manifest,
    number: usize,
    round: &RoundSpec,
    reasons: &mut Vec<Unproven>,
) {
    let path = format!("rounds[{number}].map");
    let mut add = |rule, place: String, why: String| {
        if reasons.len() < MAX_REASONS {
            reasons.push(Unproven {
                rule,
                place,
                operator: None,
                why,
            });
        }
    };
    let mut sums: BTreeSet<&Name> = BTreeSet::new();
    for (index, step) in round.map.steps.iter().enumerate() {
        let at = format!("{path}.steps[{index}]");
        for (input, source) in &step.inputs {
            if let Source::Variable { name } = source
                && !is_server(manifest, name)
            {
                let why = format!(
                    "variable {name} is kept on each node from round to round, and what it holds of the data is not known"
                );
                add(
                    ProofRule::KeepsState,
                    format!("{at}.inputs.{}", shown(input)),
                    why,
                );
            }
        }
        match &step.driver {
            Driver::Records(_) => sums.extend(step.outputs.values().filter_map(Target::summed)),
            Driver::Once | Driver::Batches(_) | Driver::Solve(_) if reads_data(step) => add(
                ProofRule::ReadsBeside,
                at,
                "the step reads data past the driver records; read them under it".to_owned(),
            ),
            Driver::Once | Driver::Batches(_) | Driver::Solve(_) => {}
        }
    }
    for variable in round.map.assign.keys() {
        add(
            ProofRule::KeepsState,
            format!("{path}.assign.{variable}"),
            "a value is kept on each node for later rounds, where it could stand for the data; keep it at the server".to_owned(),
        );
    }
    for (index, contribution) in round.map.contribute.iter().enumerate() {
        if !sums.contains(&contribution.name) {
            let why = format!(
                "{} is not the direct sum of a records step",
                contribution.name
            );
            add(
                ProofRule::NotSummed,
                format!("{path}.contribute[{index}]"),
                why,
            );
        }
    }
}

fn is_server(manifest: &Manifest, name: &Name) -> bool {
    let variable = manifest.variables.get(name);
    variable.is_some_and(|v| v.location == Location::Server)
}

/// Whether a step sees anything of a dataset, were it only the number of its rows.
fn reads_data(step: &Step) -> bool {
    let data = |source: &Source| matches!(source, Source::Data { .. });
    step.driver.walks().is_some() || step.inputs.values().any(data)
}

/// Numbers that one record adds to what leaves.
fn outputs(map: &MapSpec, step: &Step) -> u64 {
    let leaves = |target: &Target| {
        let name = target.summed()?;
        map.contribute.iter().find(|c| c.name == *name)
    };
    let sums = step.outputs.values().filter_map(leaves);
    sums.fold(0, |n: u64, c| {
        let more = element_count(&c.shape).and_then(|n| u64::try_from(n).ok());
        n.saturating_add(more.unwrap_or(u64::MAX))
    })
}

/// The author's text, shortened, on one line.
fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(60).map(visible).collect()
}

/// Columns of a proven step that point at one person, as their owner's policy has it: nothing may be selected by them.
///
/// `roles`: what each column is, by its name without spaces around it.
#[must_use]
pub fn identifiers(columns: &BTreeSet<String>, roles: &BTreeMap<String, Role>) -> BTreeSet<String> {
    let points = |column: &&String| roles.get(*column) == Some(&Role::Identifier);
    columns.iter().filter(points).cloned().collect()
}

#[cfg(test)]
mod tests;
