//! `approvals ...`: what asks the owner, and what the owner says. Speaks to the running node.

use std::fmt::Write as _;

use anyhow::bail;
use serde_json::Value;

use super::task::{plain, say};
use crate::bootstrap::UserClient;
use crate::cli::args::{ApprovalsCommand, DecisionArgs};
use delta_domain::identity::minute_of;
use delta_domain::time::Timestamp;

/// Carries out a command at `node`.
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn approvals(
    node: &UserClient,
    command: ApprovalsCommand,
) -> anyhow::Result<()> {
    match command {
        ApprovalsCommand::List { all, json, .. } => {
            let list = node.approvals().await.map_err(plain)?;
            if json {
                return say(&serde_json::to_string_pretty(&list)?);
            }
            say(listed(&list, all)?.trim_end())
        }
        ApprovalsCommand::Show { task, json, .. } => {
            let list = node.approvals().await.map_err(plain)?;
            let found = entries(&list, "tasks").find(|t| text(t, "task") == task.as_str());
            let Some(found) = found else {
                bail!(
                    "this node follows no task {task}: it is over, or its bundle has not arrived"
                );
            };
            if json {
                return say(&serde_json::to_string_pretty(found)?);
            }
            say(shown(found)?.trim_end())
        }
        ApprovalsCommand::Allow(args) => decide(node, "allow", args).await,
        ApprovalsCommand::Deny(args) => decide(node, "deny", args).await,
        ApprovalsCommand::Revoke { id, .. } => {
            node.revoke(&id).await.map_err(plain)?;
            say("it is taken back: what runs by it stops at its next round")
        }
    }
}

async fn decide(node: &UserClient, decision: &str, args: DecisionArgs) -> anyhow::Result<()> {
    let scope = match (args.always, &args.until) {
        (true, _) => "always",
        (false, Some(_)) => "until",
        (false, None) => "once",
    };
    let until = args.until.as_deref();
    let decided = node
        .decide(&args.task, decision, scope, until)
        .await
        .map_err(plain)?;
    let word = if decision == "allow" {
        "allowed"
    } else {
        "denied"
    };
    let what = match (scope, until) {
        ("always", _) => {
            "this task and every later one of this author that asks the same".to_owned()
        }
        ("until", Some(day)) => {
            format!(
                "this task and every one of this author that asks the same, to the end of {day} (UTC)"
            )
        }
        _ => "this task only".to_owned(),
    };
    say(&format!(
        "{word}: {what}. To take it back: delta-node approvals revoke {}",
        text(&decided, "id")
    ))
}

/// What waits; with `all` also what does not, and every decision.
fn listed(list: &Value, all: bool) -> anyhow::Result<String> {
    let mut told = String::new();
    let (waiting, others): (Vec<&Value>, Vec<&Value>) =
        entries(list, "tasks").partition(|t| t["waits"] == true);
    if waiting.is_empty() {
        writeln!(told, "Nothing waits for you.")?;
    }
    for task in waiting {
        writeln!(told, "{}", text(task, "task"))?;
        writeln!(
            told,
            "  {:?} of {}, {} ({})",
            text(task, "name"),
            text(task, "author"),
            text(task, "kind"),
            text(task, "class")
        )?;
        writeln!(told, "  reads {}", reads(task))?;
        writeln!(told, "  waits until {}", moment(&task["until"]))?;
    }
    if !all {
        if !others.is_empty() {
            writeln!(
                told,
                "{} more that do not wait: --all shows them.",
                others.len()
            )?;
        }
        return Ok(told);
    }
    for task in others {
        writeln!(told, "{}", text(task, "task"))?;
        writeln!(
            told,
            "  {:?} of {}: {} by {}",
            text(task, "name"),
            text(task, "author"),
            text(task, "decision"),
            words(&task["rules"])
        )?;
    }
    writeln!(told, "\nDecisions:")?;
    for decision in entries(list, "decisions") {
        let taken_back = match decision["revoked"].as_u64() {
            Some(_) => format!(", taken back {}", moment(&decision["revoked"])),
            None => String::new(),
        };
        writeln!(
            told,
            "{}  {} {} by {}{taken_back}",
            text(decision, "id"),
            moment(&decision["decided_at"]),
            text(decision, "decision"),
            text(decision, "decided_with")
        )?;
    }
    Ok(told)
}

/// Everything about one task.
fn shown(task: &Value) -> anyhow::Result<String> {
    let mut told = String::new();
    writeln!(told, "{:?} of {}", text(task, "name"), text(task, "author"))?;
    let becomes = match text(task, "decision") {
        "allowed" => "It runs",
        "asks" => "It asks you",
        _ => "It is refused",
    };
    writeln!(told, "{becomes}, by {}.", words(&task["rules"]))?;
    if task["waits"] == true {
        writeln!(told, "It waits for you until {}.", moment(&task["until"]))?;
    }
    writeln!(told, "\nWhat it would do:")?;
    for line in entries(task, "disclosure").filter_map(Value::as_str) {
        writeln!(told, "  {line}")?;
    }
    let unproven: Vec<&str> = entries(task, "unproven")
        .filter_map(Value::as_str)
        .collect();
    if unproven.is_empty() {
        writeln!(
            told,
            "\nEvery number that leaves is a sum over records that are kept apart."
        )?;
    } else {
        writeln!(told, "\nWhy its sums are not the node's own to make:")?;
        for line in unproven {
            writeln!(told, "  {line}")?;
        }
    }
    writeln!(told, "\nWhat your rules say:")?;
    for finding in entries(task, "findings") {
        let of = match finding["dataset"].as_str() {
            Some(dataset) => format!("{dataset}: "),
            None => String::new(),
        };
        writeln!(
            told,
            "  {} {}: {of}{}",
            text(finding, "says"),
            text(finding, "rule"),
            text(finding, "why")
        )?;
    }
    writeln!(
        told,
        "\nThe question's digest is {}.",
        text(task, "question")
    )?;
    Ok(told)
}

fn entries<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn words(value: &Value) -> String {
    let all: Vec<&str> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    all.join(", ")
}

/// `patients.csv (age, hba1c)`
fn reads(task: &Value) -> String {
    let of = |(name, columns): (&String, &Value)| match words(columns) {
        none if none.is_empty() => name.clone(),
        columns => format!("{name} ({columns})"),
    };
    let all: Vec<String> = task["reads"]
        .as_object()
        .into_iter()
        .flatten()
        .map(of)
        .collect();
    match all.is_empty() {
        true => "no dataset".to_owned(),
        false => all.join("; "),
    }
}

fn moment(value: &Value) -> String {
    minute_of(Timestamp(value.as_u64().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_with_who_and_until_when() {
        let list = serde_json::json!({
            "tasks": [{
                "task": "0xab", "name": "means", "author": "org:A", "kind": "statistics", "class": "free",
                "reads": {"p.csv": ["age"]}, "decision": "asks", "rules": ["policy.approval.ask"], "waits": true,
                "until": 1_700_000_000_000_u64,
            }],
            "decisions": [],
        });
        let told = listed(&list, false).unwrap();
        for part in [
            "0xab",
            "\"means\" of org:A",
            "p.csv (age)",
            "2023-11-14 22:13 UTC",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let nothing = serde_json::json!({"tasks": [], "decisions": []});
        assert_eq!(listed(&nothing, false).unwrap(), "Nothing waits for you.\n");
    }
}
