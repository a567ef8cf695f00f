//! What may be typed behind `demo`.

use clap::Args;

/// What may be typed behind `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object as the last line
    #[arg(long)]
    pub(crate) json: bool,
    /// Number of nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=50))]
    pub(crate) nodes: u16,
    /// Number of training rounds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(crate) rounds: u32,
    /// Run no task: start the network for tasks of your own and keep it running until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// Port of the first node with --keep, the others' after it; 0 takes free ones
    #[arg(long, default_value_t = 6700, requires = "keep")]
    pub(crate) port: u16,
    /// Keep the temporary directory with databases, logs and results
    #[arg(long)]
    pub(crate) keep_files: bool,
}
