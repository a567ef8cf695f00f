//! The same findings while the node runs, for its dashboard.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Finding, Level, doors, probes, reach};
use crate::config::Config;
use delta_ports::board_api::{CheckFinding, FindingLevel, SelfCheck};

/// Looks at what a running node was started with.
pub(crate) struct Live {
    config: Config,
    file: PathBuf,
}

impl Live {
    /// Of this configuration, which was read from `file`.
    pub(crate) fn new(config: Config, file: &Path) -> Self {
        Self {
            config,
            file: file.to_owned(),
        }
    }
}

#[async_trait]
impl SelfCheck for Live {
    async fn findings(&self) -> Vec<CheckFinding> {
        // What `local` looks at beyond these is there, or the node would not run.
        let mut found = doors(&self.config);
        found.extend(probes(&self.config, &self.file).await);
        found.push(reach(&self.config).await);
        found.into_iter().map(shown).collect()
    }
}

fn shown(finding: Finding) -> CheckFinding {
    CheckFinding {
        level: match finding.level {
            Level::Ok => FindingLevel::Ok,
            Level::Warn => FindingLevel::Warn,
            Level::Fail => FindingLevel::Fail,
        },
        name: finding.name.to_owned(),
        detail: finding.detail,
    }
}
