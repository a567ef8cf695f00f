//! The owner's word: rules in files that are read again, the journal, and the way to the owner.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use anyhow::Context as _;

use super::executor::LocalExecutor;
use crate::adapters::http::Webhook;
use crate::adapters::system::FileJournal;
use crate::config::Config;
use delta_domain::identity::{Fingerprint, NodeKey};
use delta_domain::policy::audit::MAX_LINE_BYTES;
use delta_ports::journal::Journal;
use delta_ports::owner_notice::{NoNotice, OwnerNotice};
use delta_ports::policy::{OwnerRules, PolicySource};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The journal of a node, beside its database.
pub(super) async fn journal(config: &Config, key: &NodeKey) -> anyhow::Result<Arc<dyn Journal>> {
    let file = config.journal_file();
    set_aside(&file, key)
        .with_context(|| format!("the owner's journal {} cannot be used", file.display()))?;
    let journal = FileJournal::open(file)
        .await
        .context("the owner's journal cannot be used")?;
    Ok(Arc::new(journal))
}

/// A journal is one key's. With a new key a new one begins, and the old one stays beside it under the fingerprint of its key.
fn set_aside(file: &Path, key: &NodeKey) -> std::io::Result<()> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut line = String::new();
    BufReader::new(opened.take(MAX_LINE_BYTES as u64)).read_line(&mut line)?;
    let own = key.fingerprint();
    let first: Option<serde_json::Value> = serde_json::from_str(&line).ok();
    let writer = first.and_then(|line| line["node"].as_str()?.parse::<Fingerprint>().ok());
    // One that cannot be read is told of when it is opened.
    let Some(writer) = writer.filter(|writer| *writer != own) else {
        return Ok(());
    };
    let mut old = file.with_file_name(format!("audit-{writer}.jsonl"));
    let mut number = 1;
    while old.try_exists()? {
        number += 1;
        old = file.with_file_name(format!("audit-{writer}-{number}.jsonl"));
    }
    std::fs::rename(file, &old)?;
    tracing::warn!(
        "this node has a new key: its owner's journal begins anew, and what was allowed must be allowed again; the old one is {}",
        old.display()
    );
    Ok(())
}

/// How the owner hears of questions.
pub(super) fn notices(config: &Config) -> anyhow::Result<Arc<dyn OwnerNotice>> {
    match &config.policy.webhook {
        None => Ok(Arc::new(NoNotice)),
        Some(url) => {
            let webhook = Webhook::new(url).context("policy.webhook cannot be used")?;
            Ok(Arc::new(webhook))
        }
    }
}

/// Nobody has written any rules: every dataset asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoRules;

impl PolicySource for NoRules {
    fn rules(&self) -> OwnerRules {
        OwnerRules::default()
    }
}

/// The rules in a configuration and its folder of policies, followed while the node runs.
struct PolicyFiles {
    config: Config,
    file: PathBuf,
    rules: RwLock<OwnerRules>,
    executor: LocalExecutor,
}

impl PolicySource for PolicyFiles {
    fn rules(&self) -> OwnerRules {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl PolicyFiles {
    /// The executor hears at once what is said about files.
    fn read(config: &Config, file: &Path, executor: &LocalExecutor) -> anyhow::Result<OwnerRules> {
        let loaded = config.load_policies(file)?;
        executor.hear(&loaded);
        Ok(OwnerRules {
            policies: Arc::new(loaded.policies),
            digest: loaded.digest,
            published: Arc::new(loaded.published),
            queries: Arc::new(loaded.queries),
        })
    }
}

/// The rules as `file`, the configuration, has them now and later. What becomes wrong while the node runs is told once for each mistake,
/// and the rules before it stay.
///
/// # Errors
/// What is wrong with them now, all at once.
pub(crate) fn rules(
    config: &Config,
    file: &Path,
    executor: &LocalExecutor,
) -> anyhow::Result<Arc<dyn PolicySource>> {
    let files = Arc::new(PolicyFiles {
        rules: RwLock::new(PolicyFiles::read(config, file, executor)?),
        executor: executor.clone(),
        config: config.clone(),
        file: file.to_owned(),
    });
    drop(tokio::spawn(follow(Arc::downgrade(&files))));
    Ok(files)
}

async fn follow(files: Weak<PolicyFiles>) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(files) = files.upgrade() else { return };
        let read = tokio::task::spawn_blocking({
            let files = files.clone();
            move || PolicyFiles::read(&files.config, &files.file, &files.executor)
        });
        match read.await {
            Ok(Ok(rules)) => {
                told.clear();
                *files.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
            }
            Ok(Err(error)) => {
                let error = format!("{error:#}");
                if error != told {
                    tracing::error!(
                        "the rules for data have a mistake; those before it stay in force: {error}"
                    );
                    told = error;
                }
            }
            Err(error) => tracing::error!("reading the rules for data broke off: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::policy::audit::{AuditEvent, Head, append};
    use delta_domain::secret::Secret;
    use delta_domain::time::Timestamp;

    #[test]
    fn a_new_key_begins_a_new_journal_and_keeps_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit.jsonl");
        let keys = [1, 2].map(|n| NodeKey::new(&Secret::new([n; 32])).unwrap());
        let event = AuditEvent::Revoked {
            approval: delta_domain::ids::Digest::default(),
            with: "token test".to_owned(),
        };
        let (line, _) = append(Head::EMPTY, Timestamp(1), event, &keys[0]).unwrap();
        for _ in 0..2 {
            std::fs::write(&file, format!("{line}\n")).unwrap();
            set_aside(&file, &keys[0]).unwrap();
            assert!(file.exists());
            set_aside(&file, &keys[1]).unwrap();
            assert!(!file.exists());
        }
        // Nothing was overwritten.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        set_aside(&file, &keys[1]).unwrap();
    }
}
