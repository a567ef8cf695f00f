//! `data refresh`: databases are asked anew, now; and how it stands with datasets that are queries.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;

use crate::bootstrap;
use crate::config::Config;
use delta_app::snapshots::told;
use delta_domain::identity::minute_of;
use delta_domain::ids::DatasetName;
use delta_domain::query::{Query, Refresh};
use delta_ports::report;
use delta_ports::snapshots::Kept;

/// Asks for one of the datasets that are queries, or for all.
///
/// # Errors
/// There is no such query; what came of those that got no answer.
pub(super) async fn refresh(
    config: &Config,
    queries: &BTreeMap<DatasetName, Query>,
    name: Option<DatasetName>,
) -> anyhow::Result<String> {
    if let Some(name) = name.as_ref().filter(|name| !queries.contains_key(*name)) {
        bail!("{name} is no query: there is no section `query` under its name");
    }
    if queries.is_empty() {
        bail!("no dataset is a query: there is no section `query` under any name");
    }
    let databases = bootstrap::databases(config);
    let (mut text, mut failures) = (String::new(), Vec::new());
    let chosen = queries
        .iter()
        .filter(|(known, _)| name.as_ref().is_none_or(|name| name == *known));
    for (name, query) in chosen {
        match databases.take(name, query, &|| true).await {
            Ok(snapshot) => {
                writeln!(text, "{}", told(name, query, &snapshot))?;
                for (column, kind) in &snapshot.columns {
                    writeln!(text, "  {column:?}  {kind}")?;
                }
            }
            Err(e) => failures.push(report(&e)),
        }
    }
    if !failures.is_empty() {
        bail!("{text}{}", failures.join("\n"));
    }
    Ok(text)
}

/// When each was asked last, and when it will be.
pub(super) async fn standing(
    config: &Config,
    queries: &BTreeMap<DatasetName, Query>,
) -> anyhow::Result<String> {
    let databases = bootstrap::databases(config);
    let mut text = String::new();
    for (name, query) in queries {
        let server = &query.server;
        let next = match query.refresh {
            Refresh::ByHand => "by `data refresh` only".to_owned(),
            Refresh::Every(time) => format!("every {} s", time.as_secs()),
            Refresh::Daily(minute) => format!("daily at {:02}:{:02} UTC", minute / 60, minute % 60),
        };
        let last = match databases.kept(name, query).await {
            Ok(Kept::Answer(taken)) => format!("asked {}", minute_of(taken)),
            Ok(Kept::Another) => {
                "which is another one than what is kept is the answer to (`delta-node data refresh` asks now)".to_owned()
            }
            Err(e) => format!("which cannot be: {}", report(&e)),
            Ok(Kept::Nothing) => "not asked yet (`delta-node data refresh` asks now)".to_owned(),
        };
        writeln!(text, "{name}: a query of {server}, {last}, {next}")?;
    }
    Ok(text)
}
