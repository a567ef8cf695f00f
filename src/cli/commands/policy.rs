//! `policy ...`: what the owner's rules say, and what would become of a task. Reads the configuration's files; no node need run.

mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::bootstrap;
use crate::cli::args::PolicyCommand;
use crate::config::{Config, LoadedPolicies};
use delta_domain::identity::day_of;
use delta_domain::ids::DatasetName;
use delta_domain::policy::{Bounds, Policy, Privacy, Role, VerifyRules};
use delta_domain::records::ReleaseRules;
use delta_domain::time::Timestamp;
use delta_ports::executor::DatasetSummary;

/// Carries out a command, and says what came of it. `file`: the configuration's.
///
/// # Errors
/// What is wrong with the policies, all at once, or with the bundle.
pub(in crate::cli) async fn policy(
    file: &Path,
    config: &Config,
    command: PolicyCommand,
) -> anyhow::Result<String> {
    let loaded = config.load_policies(file)?;
    let executor = bootstrap::executor(config, bootstrap::own_program()?);
    executor.hear(&loaded);
    let executor = executor.port();
    // Without a data folder there is nothing to tell of; the rules can be looked at all the same.
    let there = executor.datasets().await.unwrap_or_default();
    match command {
        PolicyCommand::Show { dataset, json } => show(&loaded, &there, dataset.as_ref(), json),
        PolicyCommand::Test(args) => {
            trial::test(config, &loaded, executor.as_ref(), &there, &args).await
        }
    }
}

fn show(
    loaded: &LoadedPolicies,
    there: &[DatasetSummary],
    only: Option<&DatasetName>,
    json: bool,
) -> anyhow::Result<String> {
    let written = loaded.policies.written();
    let all: BTreeSet<&DatasetName> = match only {
        Some(name) => BTreeSet::from([name]),
        None => written
            .keys()
            .chain(there.iter().map(|d| &d.name))
            .collect(),
    };
    let is_there = |name: &DatasetName| there.iter().any(|d| d.name == *name);
    if json {
        let of = |name: &DatasetName| {
            serde_json::json!({
                "written": loaded.places.get(name).map(ToString::to_string),
                "in_data_dir": is_there(name),
                "rules": loaded.policies.of(name),
            })
        };
        let datasets: BTreeMap<&str, _> = all.iter().map(|n| (n.as_str(), of(n))).collect();
        let answer = serde_json::json!({ "digest": loaded.digest, "datasets": datasets });
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    let mut text = String::new();
    for name in all {
        match loaded.places.get(name) {
            Some(place) => writeln!(text, "{name}  ({place})")?,
            None => writeln!(text, "{name}  (no rules written)")?,
        }
        if !is_there(name) {
            writeln!(
                text,
                "  WARNING: there is no such dataset in data_dir; is the name spelled as the file's?"
            )?;
        }
        for (key, says) in in_words(loaded.policies.of(name)) {
            writeln!(text, "  {key:<16}{says}")?;
        }
        writeln!(text)?;
    }
    writeln!(text, "A dataset without rules asks about every task.")?;
    Ok(text)
}

/// Every rule of a policy, by its key and in words.
fn in_words(policy: &Policy) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(columns) = &policy.columns {
        for (role, word) in [
            (Role::Identifier, "identifier"),
            (Role::Quasi, "quasi"),
            (Role::Value, "value"),
            (Role::Hidden, "hidden"),
        ] {
            let these = columns.iter().filter(|(_, r)| **r == role);
            let names: Vec<String> = these.map(|(name, _)| format!("{name:?}")).collect();
            if !names.is_empty() {
                lines.push(("columns", format!("{word}: {}", names.join(", "))));
            }
        }
        lines.push(("", "every other column asks".to_owned()));
    }
    let who: Option<Vec<String>> = policy
        .who
        .as_ref()
        .map(|who| who.iter().map(ToString::to_string).collect());
    let kinds: Option<Vec<&str>> = policy
        .kinds
        .as_ref()
        .map(|kinds| kinds.iter().map(|kind| kind.name()).collect());
    let joins: Vec<String> = policy.joins.iter().map(|c| format!("{c:?}")).collect();
    let rest = [
        (
            "joins",
            (!joins.is_empty()).then(|| format!("by {}", joins.join(", "))),
        ),
        (
            "who",
            Some(who.map_or("anybody".to_owned(), |w| w.join(", "))),
        ),
        (
            "kinds",
            Some(kinds.map_or("all".to_owned(), |k| k.join(", "))),
        ),
        (
            "members",
            policy.members.map(|n| format!("at least {n} in a sum")),
        ),
        (
            "colluders",
            policy
                .colluders
                .map(|n| format!("{n} members may work together with the coordinator")),
        ),
        (
            "rows",
            policy.rows.map(|n| format!("at least {n} rows are read")),
        ),
        (
            "outputs_per_row",
            policy
                .outputs_per_row
                .map(|x| format!("at most {x} numbers a row and round")),
        ),
        (
            "rounds_per_day",
            policy
                .rounds_per_day
                .map(|n| format!("at most {n} rounds within 24 hours")),
        ),
        ("approval", Some(policy.approval.name().to_owned())),
        ("privacy", policy.privacy.as_ref().map(budget)),
        ("records", policy.records.as_ref().map(limits)),
        ("verify", policy.verify.as_ref().map(proofs)),
        (
            "until",
            policy
                .until
                .map(|end| format!("{}, the last day", last_day(end))),
        ),
    ];
    lines.extend(
        rest.into_iter()
            .filter_map(|(key, says)| Some((key, says?))),
    );
    lines
}

fn limits(rules: &ReleaseRules) -> String {
    format!(
        "at least {} units, two below {} of a sum, the rest {} of the largest, {} degrees of freedom, {} numbers a unit",
        rules.threshold, rules.dominance, rules.p_percent, rules.freedom, rules.outputs_per_row
    )
}

fn proofs(rules: &VerifyRules) -> String {
    let rows = rules.max_rows.map(|n| format!("at most {n} rows"));
    let bounds = |(name, b): (&String, &Bounds)| format!("{name:?} from {} to {}", b.low, b.high);
    let columns = rules.columns.as_ref().map(|columns| {
        let columns: Vec<String> = columns.iter().map(bounds).collect();
        format!("only {} or wider", columns.join(", "))
    });
    let said: Vec<String> = [rows, columns].into_iter().flatten().collect();
    match said.is_empty() {
        true => "no limits".to_owned(),
        false => said.join("; "),
    }
}

fn budget(privacy: &Privacy) -> String {
    let Privacy {
        unit,
        epsilon,
        delta,
        renew,
    } = privacy;
    format!(
        "epsilon {epsilon} at delta {delta} for one {unit}, renewed {}",
        renew.name()
    )
}

/// The day before a moment that ends one.
fn last_day(end: Timestamp) -> String {
    day_of(Timestamp(end.0.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_said_in_words() {
        let form = r#"{"columns": {"id": "identifier", "age": "value"}, "joins": ["id"], "members": 3, "colluders": 1, "rows": 50, "outputs_per_row": 0.5,
            "rounds_per_day": 9, "approval": "private", "privacy": {"unit": "record", "epsilon": 3.0, "delta": 1e-6}, "until": "2027-12-31",
            "verify": {"max_rows": 20000, "columns": {"age": [0, 120]}}}"#;
        let form: delta_domain::policy::PolicyForm = serde_json::from_str(form).unwrap();
        let lines = in_words(&form.check().unwrap());
        let text: Vec<String> = lines.iter().map(|(k, v)| format!("{k} {v}")).collect();
        let text = text.join("\n");
        for part in [
            "identifier: \"id\"",
            "joins by \"id\"",
            "who anybody",
            "kinds all",
            "at least 3",
            "approval private",
            "epsilon 3 at delta 0.000001 for one record",
            "until 2027-12-31",
            "verify at most 20000 rows; only \"age\" from 0 to 120 or wider",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
