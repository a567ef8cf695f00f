//! The owner's word: rules in files that are read again, the journal, and the way to the owner.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use anyhow::Context as _;

use crate::adapters::http::Webhook;
use crate::adapters::system::FileJournal;
use crate::config::Config;
use delta_ports::journal::Journal;
use delta_ports::owner_notice::{NoNotice, OwnerNotice};
use delta_ports::policy::{OwnerRules, PolicySource};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The journal of a node, beside its database.
pub(crate) async fn journal(config: &Config) -> anyhow::Result<Arc<dyn Journal>> {
    let journal = FileJournal::open(config.journal_file())
        .await
        .context("the owner's journal cannot be used")?;
    Ok(Arc::new(journal))
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
    fn read(config: &Config, file: &Path) -> anyhow::Result<OwnerRules> {
        let loaded = config.load_policies(file)?;
        Ok(OwnerRules {
            policies: Arc::new(loaded.policies),
            digest: loaded.digest,
        })
    }
}

/// The rules as `file`, the configuration, has them now and later. What becomes wrong while the node runs is told once for each mistake,
/// and the rules before it stay.
///
/// # Errors
/// What is wrong with them now, all at once.
pub(crate) fn rules(config: &Config, file: &Path) -> anyhow::Result<Arc<dyn PolicySource>> {
    let files = Arc::new(PolicyFiles {
        rules: RwLock::new(PolicyFiles::read(config, file)?),
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
            move || PolicyFiles::read(&files.config, &files.file)
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
