//! `data`: what this node's datasets are, for the eyes of their owner.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::bail;

use crate::bootstrap::{self, LocalExecutor};
use crate::cli::args::DataCommand;
use crate::config::Config;
use delta_ports::executor::DatasetSummary;

mod draft;
mod refresh;

/// What `data` prints. `file`: the configuration's.
///
/// # Errors
/// What is wrong with the rules, all at once; what cannot be read; `check`: that something is unusable.
pub(in crate::cli) async fn data(
    file: &Path,
    config: &Config,
    command: DataCommand,
) -> anyhow::Result<String> {
    let executor = bootstrap::executor(config, bootstrap::own_program()?);
    let loaded = config.load_policies(file)?;
    executor.hear(&loaded);
    match command {
        DataCommand::List { json } => {
            let mut text = list(&executor, json).await?;
            if !json {
                text.push_str(&refresh::standing(config, &loaded.queries).await?);
            }
            Ok(text)
        }
        DataCommand::Refresh { name } => refresh::refresh(config, &loaded.queries, name).await,
        DataCommand::Describe { name, json } => {
            let profile = executor.profile(&name).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&profile)? + "\n");
            }
            let mut text = format!("{name}: {} rows\n", profile.rows);
            for note in &profile.notes {
                writeln!(text, "  {note}")?;
            }
            let width = profile.columns.iter().map(|c| c.name.chars().count()).max();
            let width = width.unwrap_or(0).min(40);
            for column in &profile.columns {
                let name = format!("{:?}", column.name);
                let kind = column.kind.to_string();
                write!(
                    text,
                    "  {name:<w$}  {kind:<14}  {:>8} missing",
                    column.missing,
                    w = width + 2
                )?;
                if let Some((low, high)) = column.range {
                    write!(text, "  {low} to {high}")?;
                }
                if let Some(levels) = &column.levels {
                    let all: Vec<String> = levels
                        .iter()
                        .map(|(level, n)| format!("{level:?} {n}"))
                        .collect();
                    write!(text, "  {}", all.join(", "))?;
                }
                writeln!(text)?;
            }
            Ok(text)
        }
        DataCommand::Publish { name } => {
            let profile = executor.profile(&name).await?;
            Ok(draft::draft(&name, loaded.policies.of(&name), &profile)?)
        }
        DataCommand::Check { name } => {
            let all = executor.port().datasets().await?;
            let chosen: Vec<&DatasetSummary> = all
                .iter()
                .filter(|d| name.as_ref().is_none_or(|n| *n == d.name))
                .collect();
            if let (Some(name), true) = (&name, chosen.is_empty()) {
                bail!(
                    "there is no dataset {name} in {}",
                    config.data_dir.display()
                );
            }
            let unusable: Vec<String> = chosen
                .iter()
                .filter(|d| !d.is_usable())
                .map(|d| format!("{}: {}", d.name, d.description))
                .collect();
            if !unusable.is_empty() {
                bail!("{}", unusable.join("\n"));
            }
            Ok(lines(chosen))
        }
    }
}

async fn list(executor: &LocalExecutor, json: bool) -> anyhow::Result<String> {
    let all = executor.port().datasets().await?;
    if json {
        let all: std::collections::BTreeMap<&str, &str> = all
            .iter()
            .map(|d| (d.name.as_str(), d.description.as_str()))
            .collect();
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    Ok(lines(all.iter()))
}

fn lines<'d>(all: impl IntoIterator<Item = &'d DatasetSummary>) -> String {
    let line = |d: &DatasetSummary| format!("{}: {}\n", d.name, d.description);
    all.into_iter().map(line).collect()
}
