//! `restore`: a backup becomes a node again. Nothing is overwritten, nothing is put in its place before all of it was looked at.
//!
//! What was charged to privacy budgets, decided and released since the backup is not in it; so the node takes part in nobody's tasks until
//! its owner has said that this is known (`restore --resume`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};

use super::folder::{copy_file, digest_of};
use super::{Contents, FORMAT, Kept, LIST, Places, Role};
use crate::bootstrap::{self, RESTORED};
use crate::config::{Config, Database, Purpose};

/// Conflicts that are told one by one.
const SHOWN: usize = 10;

/// Puts what is in the backup `from` in its place; the configuration at `file`. `nothing_since`: its owner knows that the node has not
/// worked since.
///
/// # Errors
/// The backup is damaged, or of a newer program; a file is there already; something cannot be written.
pub(in crate::cli) async fn restore(
    file: &Path,
    environment: &BTreeMap<String, String>,
    from: &Path,
    nothing_since: bool,
) -> anyhow::Result<String> {
    let contents = read_list(from)?;
    check(from, &contents)?;
    fits(file, environment, from, &contents)?;
    let target = |kept: &Kept| match kept.role {
        Role::Configuration => file.to_owned(),
        _ => kept.place.clone(),
    };
    let taken: Vec<PathBuf> = contents
        .files
        .iter()
        .map(target)
        .filter(|place| place.exists())
        .collect();
    if !taken.is_empty() {
        let shown: Vec<String> = taken
            .iter()
            .take(SHOWN)
            .map(|p| p.display().to_string())
            .collect();
        bail!(
            "{} files are there already, and nothing is overwritten: {}{}; restore where no node is, or move them away",
            taken.len(),
            shown.join(", "),
            if taken.len() > SHOWN { ", ..." } else { "" }
        );
    }
    let tokens = tokens_of(environment, from, &contents)?;
    for kept in &contents.files {
        let place = target(kept);
        if !nothing_since && tokens.contains(&place) {
            continue;
        }
        copy_file(&from.join(&kept.name), &place)?;
        if kept.role == Role::Database && nothing_since {
            resume_at(&Database::Sqlite(place)).await?;
        }
    }
    let mut said = format!(
        "{} is restored from {}: {} files",
        contents.node,
        from.display(),
        contents.files.len()
    );
    if !nothing_since {
        said.push_str(
            "\nWhat left this node since the backup is in no ledger and no history of it, so it takes part in no task for now.\n\
             Tokens are left out, because some may have been revoked since: make new ones. Decisions are those of the backup: say again \
             what was denied or revoked since (delta-node approvals list).\n\
             Lower the budgets of datasets by what was spent since; where controlled tasks run unasked, let them ask (approval: ask), \
             because releases since are not compared with. Then: delta-node restore --resume",
        );
    }
    said.push_str(
        "\nData is not part of a backup: put it where data_dir says. Then: delta-node doctor",
    );
    Ok(said)
}

/// From now on the restored node takes part in tasks again.
///
/// # Errors
/// The database's, or it was not restored.
pub(in crate::cli) async fn resume(config: &Config) -> anyhow::Result<String> {
    let file = match &config.db {
        Database::Sqlite(file) => file,
        Database::Postgres(_) => {
            bail!("only a node whose database is an SQLite file can be restored")
        }
    };
    if !file.is_file() {
        bail!("there is no database {}", file.display());
    }
    // First: whoever stops here has a node that takes part in nothing.
    let waits = {
        let storage = bootstrap::open_storage(&config.db).await?;
        let restored = storage.setting(RESTORED).await?.unwrap_or_default();
        storage.close().await;
        !restored.is_empty()
    };
    if !waits {
        bail!("this node does not wait for that: it was not restored, or goes on already");
    }
    let forgotten = bootstrap::forget_tasks(file).await?;
    resume_at(&config.db).await?;
    Ok(format!(
        "from its next start on this node takes part in tasks as its policy says; in none that was there before ({forgotten} of them it had \
         taken part in): what it revealed in their rounds since the backup is not known"
    ))
}

/// Takes the mark of a backup off a database; whether it was there.
async fn resume_at(database: &Database) -> anyhow::Result<bool> {
    let storage = bootstrap::open_storage(database).await?;
    let restored = storage.setting(RESTORED).await?.unwrap_or_default();
    if !restored.is_empty() {
        storage.set_setting(RESTORED, b"").await?;
    }
    storage.close().await;
    Ok(!restored.is_empty())
}

/// The files of tokens, as the backup's configuration has them.
fn tokens_of(
    environment: &BTreeMap<String, String>,
    from: &Path,
    contents: &Contents,
) -> anyhow::Result<[PathBuf; 2]> {
    let config = own_config(environment, from, contents)?;
    Ok([config.token_file(), config.own_token_file()])
}

fn read_list(from: &Path) -> anyhow::Result<Contents> {
    let list = from.join(LIST);
    let text = fs::read_to_string(&list)
        .with_context(|| format!("{} cannot be read: is this a whole backup?", list.display()))?;
    let contents: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is not the list of a backup", list.display()))?;
    let format = contents["format"].as_str().unwrap_or_default();
    if format != FORMAT {
        bail!("the backup has the format {format:?}, this program reads {FORMAT:?}");
    }
    serde_json::from_value(contents)
        .with_context(|| format!("{} is not the list of a backup", list.display()))
}

/// The backup's configuration, as it is understood here.
fn own_config(
    environment: &BTreeMap<String, String>,
    from: &Path,
    contents: &Contents,
) -> anyhow::Result<Config> {
    let own = contents
        .files
        .iter()
        .find(|kept| kept.role == Role::Configuration);
    let own = own.context("the backup has no configuration")?;
    Ok(Config::load(&from.join(&own.name), environment, Purpose::Tool)?.config)
}

/// Whether the backup's configuration, as it is understood here, has all its files at their places: none is written elsewhere.
fn fits(
    file: &Path,
    environment: &BTreeMap<String, String>,
    from: &Path,
    contents: &Contents,
) -> anyhow::Result<()> {
    let config = own_config(environment, from, contents)?;
    let places = Places {
        file,
        config: &config,
    };
    let astray = contents
        .files
        .iter()
        .find(|kept| !places.has(kept.role, &kept.place));
    if let Some(kept) = astray {
        bail!(
            "the backup has {} for {}, where its configuration has nothing of the kind: are all variables DELTA_NODE__... set as they were, and is --config the same?",
            kept.name.display(),
            kept.place.display()
        );
    }
    Ok(())
}

/// Whether everything that is listed is there and as it was.
fn check(from: &Path, contents: &Contents) -> anyhow::Result<()> {
    let mut places = Vec::new();
    for kept in &contents.files {
        let inside = kept
            .name
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            bail!(
                "the backup names a file outside itself: {}",
                kept.name.display()
            );
        }
        let file = from.join(&kept.name);
        let (bytes, sha256) = digest_of(&file)?;
        if (bytes, &sha256) != (kept.bytes, &kept.sha256) {
            bail!(
                "{} is not as it was when the backup was made",
                file.display()
            );
        }
        places.push(&kept.place);
    }
    places.sort();
    if places.windows(2).any(|two| two[0] == two[1]) {
        bail!("the backup has two files for one place");
    }
    if !contents
        .files
        .iter()
        .any(|kept| kept.role == Role::Database)
    {
        bail!("the backup has no database");
    }
    Ok(())
}
