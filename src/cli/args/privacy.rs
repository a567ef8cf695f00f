//! What may be typed after `privacy`.

use clap::{Args, Subcommand};

use delta_domain::privacy::noise::Multiplier;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct PrivacyArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<PrivacyCommand>,
    /// Print one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PrivacyCommand {
    /// Say what releases under noise would cost; no node need run
    Plan(PlanArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PlanArgs {
    /// Noise multiplier: the standard deviation of a sum's noise, in units of the bound of one record
    #[arg(long, value_name = "Z")]
    pub(in crate::cli) noise: Multiplier,
    /// How many releases of the same data
    #[arg(long, default_value_t = 1, value_name = "T", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) steps: u32,
    /// The share of the records that each release is of, drawn anew and in secret; below 1 without --members only
    #[arg(long, default_value_t = 1.0, value_name = "Q")]
    pub(in crate::cli) rate: f64,
    /// The delta at which the cost is stated
    #[arg(long, default_value_t = 1e-6, value_name = "D")]
    pub(in crate::cli) delta: f64,
    /// Members of the smallest sum, whose shares the noise is made of [default: the noise of one alone]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) members: Option<usize>,
    /// How many of them collude [default: what nodes assume of so many]
    #[arg(long, value_name = "C", requires = "members")]
    pub(in crate::cli) colluders: Option<usize>,
    /// The bound of one record in the ring's integers: clip.l2 times 10^precision
    #[arg(
        long,
        default_value_t = 100_000_000,
        value_name = "B",
        requires = "members"
    )]
    pub(in crate::cli) bound: u64,
    /// Numbers that leave in a release
    #[arg(long, default_value_t = 1, value_name = "V", requires = "members", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) values: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
