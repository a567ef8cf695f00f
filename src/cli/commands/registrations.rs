//! `datasets ...`: versions of this node's datasets on the data hub. Speaks to the running node, which stands on the record.

use std::fmt::Write as _;

use serde_json::Value;

use super::task::{plain, say};
use crate::bootstrap::UserClient;
use crate::cli::args::DatasetsCommand;
use delta_domain::identity::minute_of;
use delta_domain::time::Timestamp;

/// Carries out a command at `node`.
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn registrations(
    node: &UserClient,
    command: DatasetsCommand,
) -> anyhow::Result<()> {
    match command {
        DatasetsCommand::Register { name, .. } => {
            let version = node.register_dataset(name.as_str()).await.map_err(plain)?;
            say(registered(&version)?.trim_end())
        }
        DatasetsCommand::List { json, .. } => {
            let found = node.registered_datasets().await.map_err(plain)?;
            if json {
                return say(&serde_json::to_string_pretty(&found)?);
            }
            say(lines(&found, "No dataset of this node is registered.")?.trim_end())
        }
        DatasetsCommand::History { name, json, .. } => {
            let found = node.dataset_history(name.as_str()).await.map_err(plain)?;
            if json {
                return say(&serde_json::to_string_pretty(&found)?);
            }
            say(lines(&found, "No version of it is registered.")?.trim_end())
        }
    }
}

fn registered(version: &Value) -> anyhow::Result<String> {
    let mut told = String::new();
    writeln!(told, "{}", line(version))?;
    writeln!(told, "  published: {}", text(version, "commitment"))?;
    writeln!(
        told,
        "  Everybody on the network can read the name and this line; what the dataset holds can neither be read from it nor tried out."
    )?;
    Ok(told)
}

fn lines(found: &Value, none: &str) -> anyhow::Result<String> {
    let versions = found["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.is_empty() {
        return Ok(none.to_owned());
    }
    let mut told = String::new();
    for version in versions {
        writeln!(told, "{}", line(version))?;
    }
    Ok(told)
}

fn line(version: &Value) -> String {
    let at = version["at"].as_u64().map(|at| minute_of(Timestamp(at)));
    let mut line = format!(
        "{} version {}, registered {}",
        text(version, "dataset"),
        version["index"],
        at.unwrap_or_default()
    );
    if version["confirmed"] == false {
        line.push_str(", not seen on the data hub yet");
    }
    let current = match version["current"].as_bool() {
        Some(true) => ": what it holds now",
        Some(false) => ": it holds something else now",
        None => "",
    };
    line.push_str(current);
    line.push_str(match version["on_hub"].as_str() {
        Some("nothing") => ": the data hub shows nothing under it",
        Some("another") => ": the data hub shows another commitment under it",
        Some("same") if current.is_empty() => ": on the data hub",
        _ => "",
    });
    line
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn version(current: Value, on_hub: Value) -> Value {
        json!({
            "dataset": "a.csv", "index": 3, "at": 1_795_329_517_000_u64, "confirmed": true,
            "current": current, "on_hub": on_hub, "commitment": "0x04",
        })
    }

    #[test]
    fn a_version_is_one_line() {
        for (current, on_hub, end) in [
            (json!(true), json!("same"), ": what it holds now"),
            (json!(false), json!(null), ": it holds something else now"),
            (json!(null), json!("same"), ": on the data hub"),
            (
                json!(null),
                json!("another"),
                ": the data hub shows another commitment under it",
            ),
            (
                json!(null),
                json!("nothing"),
                ": the data hub shows nothing under it",
            ),
        ] {
            let line = line(&version(current, on_hub));
            assert!(
                line.starts_with("a.csv version 3, registered 2026-"),
                "{line}"
            );
            assert!(line.ends_with(end), "{line}");
        }
    }

    #[test]
    fn nothing_registered_is_said() {
        let none = json!({ "versions": [] });
        assert_eq!(lines(&none, "None.").unwrap(), "None.");
    }
}
