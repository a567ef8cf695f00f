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
    /// With --keep: show the first node's dashboard in a browser
    #[arg(long, requires = "keep")]
    pub(crate) open: bool,
    /// Port of the first node with --keep, the others' after it; 0 takes free ones
    #[arg(long, default_value_t = 6700, requires = "keep")]
    pub(crate) port: u16,
    /// Show what owners allow instead: noise and a budget for it, questions that are refused, and one that waits
    #[arg(long, conflicts_with_all = ["nodes", "rounds", "keep"])]
    pub(crate) privacy: bool,
    /// With --privacy: the epsilon that each hospital's patients may cost at most
    #[arg(long, value_name = "EPSILON", default_value_t = 1.25, value_parser = budget, requires = "privacy")]
    pub(crate) budget: f64,
    /// Keep the temporary directory with databases, logs and results
    #[arg(long)]
    pub(crate) keep_files: bool,
}

/// An epsilon that pays for one run of the demonstration's task, and is spent before the demonstration becomes dull.
fn budget(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match (1.0..=3.0).contains(&number) {
        true => Ok(number),
        false => Err("it must be from 1, which one run of the task costs, to 3".to_owned()),
    }
}
