//! `backup` and `restore`: everything that makes this node this node, as a folder of files, and back again (docs/operating.md).
//!
//! Open rounds and the keys of rounds are in no backup: a member that took one up from an older state could mask two vectors alike, and a
//! backup that outlives its task would open what was sealed for this node.
//!
//! A backup is made while the node works. Files of tasks never change, and are there before the database speaks of them: those that are
//! there before or after the moment of the database's copy are all that it can speak of.

mod folder;
mod restore;

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::bootstrap;
use crate::config::Config;
use folder::{copy_file, copy_tree, digest_of, make_private};
pub(in crate::cli) use restore::{restore, resume};

/// What a backup says that it is.
const FORMAT: &str = "delta-backup/1";
/// The list of what is in it.
const LIST: &str = "backup.json";

/// The list of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    format: String,
    /// The version of the program that made it.
    version: String,
    /// When, in unix ms.
    made_at: u64,
    /// The node's name, for people.
    node: String,
    files: Vec<Kept>,
}

/// A file of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Where it lies in the backup.
    name: PathBuf,
    /// Where it was, as the configuration has it: relative to where the node is started, or absolute.
    place: PathBuf,
    /// What it is.
    role: Role,
    bytes: u64,
    sha256: String,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    /// The configuration.
    Configuration,
    /// The node's database.
    Database,
    /// The embedded connector's.
    ConnectorDatabase,
    /// The owner's journal, or one under an earlier key.
    Journal,
    /// A file of a task.
    Task,
    /// A key, a certificate, a list of tokens, a roster, a rule.
    Setting,
}

/// What is copied, in the order in which it is: what is said last may speak of what was before.
struct Places<'a> {
    file: &'a Path,
    config: &'a Config,
}

impl Places<'_> {
    /// Single files beside databases and journals, whether they are there or not.
    fn settings(&self) -> Vec<PathBuf> {
        let config = self.config;
        let mut all = vec![
            config.key_file(),
            config.identity_key_file(),
            config.token_file(),
            config.own_token_file(),
        ];
        all.extend(config.roster.file.clone());
        all.extend(config.tls.ca.clone());
        if let Some(tls) = &config.api.tls {
            all.extend([tls.certificate.clone(), tls.key.clone()]);
        }
        if let Some(tls) = &config.chain_connector.tls {
            let own = tls.own.iter();
            all.extend(own.flat_map(|own| [own.certificate.clone(), own.private_key.clone()]));
            if let crate::config::TrustedConnector::Authorities(file) = &tls.trusted {
                all.push(file.clone());
            }
        }
        if let Some(tls) = &config.connector.tls {
            all.extend([tls.certificate.clone(), tls.private_key.clone()]);
        }
        all.extend(config.connector.tls_client_ca.clone());
        all.sort();
        all.dedup();
        all
    }

    /// Whether this configuration has a file of this role at this place.
    fn has(&self, role: Role, place: &Path) -> bool {
        let (config, inside) = (self.config, |folder: &Path| {
            let rest = place.strip_prefix(folder);
            rest.is_ok_and(|rest| rest.components().all(|c| matches!(c, Component::Normal(_))))
        });
        match role {
            Role::Configuration => true,
            Role::Database => config.db.file() == Some(place),
            Role::ConnectorDatabase => config.connector.db_file == place,
            Role::Journal => config.journal_file().parent() == place.parent(),
            Role::Task => inside(&config.task_dir),
            Role::Setting => {
                self.settings().iter().any(|own| own == place)
                    || inside(&config.policy_dir(self.file))
            }
        }
    }

    /// The journal, and those that were set aside when the node got another key.
    fn journals(&self) -> anyhow::Result<Vec<PathBuf>> {
        let journal = self.config.journal_file();
        let folder = match journal.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut found = Vec::new();
        let entries =
            fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            if text.starts_with("audit") && text.ends_with(".jsonl") {
                found.push(journal.with_file_name(&name));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Writes a backup into the new folder `to`. The node may run or not.
///
/// # Errors
/// `to` is there and not empty, or something cannot be read or written.
pub(in crate::cli) async fn backup(
    file: &Path,
    config: &Config,
    to: &Path,
) -> anyhow::Result<String> {
    let database = config
        .db
        .file()
        .context("only a node whose database is an SQLite file can be backed up by this command")?;
    if !database.is_file() {
        bail!(
            "there is no database {}: the node has not run yet, or --config is another one's",
            database.display()
        );
    }
    make_private(to)?;
    let places = Places { file, config };
    let mut kept = Vec::new();
    let mut one = |name: PathBuf, place: &Path, role| -> anyhow::Result<()> {
        copy_file(place, &to.join(&name))?;
        kept.push((name, place.to_owned(), role));
        Ok(())
    };
    one(
        PathBuf::from("config.yaml"),
        places.file,
        Role::Configuration,
    )?;
    let settings = places
        .settings()
        .into_iter()
        .filter(|place| place.is_file());
    for (number, place) in settings.enumerate() {
        let known = place.file_name().unwrap_or_default().to_string_lossy();
        let name = PathBuf::from(format!("settings/{number}-{known}"));
        one(name, &place, Role::Setting)?;
    }
    let rules = config.policy_dir(file);
    for place in copy_tree(&rules, &to.join("rules"))? {
        kept.push((
            Path::new("rules").join(&place),
            rules.join(&place),
            Role::Setting,
        ));
    }
    // Before and after the moment of the database.
    let mut tasks = copy_tree(&config.task_dir, &to.join("task"))?;
    for (place, name, role) in [
        (database, "database.sqlite", Role::Database),
        (
            config.connector.db_file.as_path(),
            "connector.sqlite",
            Role::ConnectorDatabase,
        ),
    ] {
        if !place.is_file() {
            continue;
        }
        let target = to.join(name);
        bootstrap::copy_database(place, &target).await?;
        folder::only_for_its_owner(&target)?;
        if role == Role::Database {
            let since = bootstrap::clock().now().0.to_string();
            bootstrap::forget_rounds(&target, since.as_bytes()).await?;
        }
        kept.push((PathBuf::from(name), place.to_owned(), role));
    }
    tasks.extend(copy_tree(&config.task_dir, &to.join("task"))?);
    tasks.sort();
    tasks.dedup();
    for place in tasks {
        kept.push((
            Path::new("task").join(&place),
            config.task_dir.join(&place),
            Role::Task,
        ));
    }
    // A journal is ahead of what follows from it, never behind.
    for (number, place) in places.journals()?.iter().enumerate() {
        let name = PathBuf::from(format!("journal/{number}.jsonl"));
        copy_file(place, &to.join(&name))?;
        kept.push((name, place.clone(), Role::Journal));
    }
    finish(config, to, kept)
}

/// Writes the list, last: a folder without it is no backup.
fn finish(
    config: &Config,
    to: &Path,
    kept: Vec<(PathBuf, PathBuf, Role)>,
) -> anyhow::Result<String> {
    let mut files = Vec::with_capacity(kept.len());
    for (name, place, role) in kept {
        let (bytes, sha256) = digest_of(&to.join(&name))?;
        files.push(Kept {
            name,
            place,
            role,
            bytes,
            sha256,
        });
    }
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let count = files.len();
    let contents = Contents {
        format: FORMAT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: bootstrap::clock().now().0,
        node: config.node.name.clone(),
        files,
    };
    let text = serde_json::to_string_pretty(&contents)?;
    folder::write_private(&to.join(LIST), text.as_bytes())?;
    Ok(format!(
        "{}: {count} files, {:.1} MiB. Keep it as secret as the node: its keys are in it. Data in {} is not.",
        to.display(),
        bytes as f64 / f64::from(1 << 20),
        config.data_dir.display()
    ))
}
