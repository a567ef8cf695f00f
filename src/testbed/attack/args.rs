//! What may be typed behind `attack`.

use std::path::PathBuf;

use clap::Args;

use super::network::Terrain;

/// What may be typed behind `attack`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttackArgs {
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Only attacks with this in their name; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// List the attacks and do nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Take two walls of the started network down, and add harmless controls: what must be reported as NOT repelled
    #[arg(long, conflicts_with = "coordinator")]
    pub(crate) weaken: bool,
    /// Put somebody between the nodes, and a connector between them that knows no signatures, as the original's: each changes one field after the
    /// other of what he passes on
    #[arg(long, conflicts_with_all = ["coordinator", "weaken"])]
    pub(crate) between: bool,
    /// Attack this running node of yours instead of a network started here
    #[arg(long, value_name = "URL", requires = "connector")]
    pub(crate) coordinator: Option<String>,
    /// The connector of that node
    #[arg(long, value_name = "HOST:PORT", requires = "coordinator")]
    pub(crate) connector: Option<String>,
}

impl AttackArgs {
    /// The network that they ask for.
    pub(super) fn terrain(&self) -> Terrain {
        match (self.between, self.weaken) {
            (true, _) => Terrain::Between,
            (_, true) => Terrain::Weakened,
            _ => Terrain::Sound,
        }
    }
}
