//! `privacy`: what tasks under noise have cost each dataset, read from the node's database, and `privacy plan`: what releases would cost.
//!
//! The database is only read, so a running node is not in the way.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::bootstrap;
use crate::cli::args::PlanArgs;
use crate::config::{Config, Database};
use delta_app::privacy_report;
use delta_domain::identity::minute_of;
use delta_domain::privacy::accountant::Renewal;
use delta_domain::privacy::cost::Epsilons;
use delta_domain::privacy::plan::{Plan, PlannedSum};
use delta_domain::privacy::report::LedgerReport;
use delta_domain::strategy::assumed_colluders;
use delta_domain::time::Timestamp;

/// An epsilon that promises nothing any more (docs/privacy.md, The promise).
const HOLLOW: f64 = 10.0;

/// What is in the ledgers. `file`: the configuration's.
///
/// # Errors
/// What is wrong with the policies; the database or a ledger in it cannot be read.
pub(in crate::cli) async fn ledgers(
    file: &Path,
    config: &Config,
    json: bool,
) -> anyhow::Result<String> {
    let loaded = config.load_policies(file)?;
    if let Database::Sqlite(file) = &config.db
        && !file.exists()
    {
        bail!(
            "there is no database at {}; the node has not run yet",
            file.display()
        );
    }
    let storage = bootstrap::open_storage(&config.db)
        .await
        .context("the database cannot be opened")?;
    let reports = privacy_report(storage, &loaded.policies, bootstrap::clock().now()).await?;
    if json {
        let answer = serde_json::json!({ "datasets": reports });
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    told(&reports)
}

fn told(reports: &[LedgerReport]) -> anyhow::Result<String> {
    if reports.is_empty() {
        return Ok(
            "No task under noise has run on this node's data, and no dataset has a privacy budget."
                .to_owned(),
        );
    }
    let mut text = String::new();
    for report in reports {
        writeln!(text, "{}", report.dataset)?;
        sums(&mut text, report)?;
        if report.open > 0 {
            writeln!(text, "  reserved and not charged: {}", report.open)?;
        }
        for reserved in &report.reserved {
            line(
                &mut text,
                reserved.at,
                &reserved.purpose,
                &reserved.epsilons,
            )?;
        }
        if !report.charges.is_empty() {
            writeln!(text, "  last charges")?;
        }
        for charge in &report.charges {
            line(&mut text, charge.at, &charge.purpose, &charge.epsilons)?;
        }
        writeln!(text)?;
    }
    writeln!(
        text,
        "Budgets count what is spent and reserved, in the column \"as assumed\". Epsilons do not add up: each line is a sum of its own."
    )?;
    Ok(text)
}

/// The budget, and what was taken from it.
fn sums(text: &mut String, report: &LedgerReport) -> anyhow::Result<()> {
    match &report.budget {
        Some(budget) => {
            let renewed = match budget.renewal() {
                Renewal::Never => "never renewed",
                Renewal::Monthly => "renewed monthly",
                Renewal::Yearly => "renewed yearly",
                Renewal::Daily => "renewed daily",
            };
            let (epsilon, delta) = (budget.epsilon(), budget.delta());
            writeln!(
                text,
                "  budget      epsilon {epsilon} at delta {delta:e}, {renewed}"
            )?;
        }
        None => writeln!(
            text,
            "  budget      none: what is allowed by hand is counted, at delta {:e}, and nothing stopped",
            report.delta
        )?,
    }
    writeln!(
        text,
        "  {:<10}{:>17}{:>17}{:>17}",
        "epsilon", "nobody colludes", "as assumed", "own noise alone"
    )?;
    for (name, epsilons) in [
        ("spent", &report.spent),
        ("+ reserved", &report.committed),
        ("ever", &report.lifetime),
    ] {
        let [nobody, colluding, alone] = columns(epsilons);
        writeln!(text, "  {name:<10}{nobody:>17}{colluding:>17}{alone:>17}")?;
    }
    Ok(())
}

fn line(
    text: &mut String,
    at: Timestamp,
    purpose: &str,
    epsilons: &Epsilons,
) -> anyhow::Result<()> {
    let alone = up(epsilons.colluding);
    writeln!(text, "    {}  {alone:>10}  {purpose}", minute_of(at))?;
    Ok(())
}

fn columns(epsilons: &Epsilons) -> [String; 3] {
    [epsilons.nobody, epsilons.colluding, epsilons.alone].map(up)
}

/// An epsilon with three places, rounded up: what is shown is never below what is.
pub(super) fn up(epsilon: Option<f64>) -> String {
    epsilon.map_or("unbounded".to_owned(), |epsilon| {
        format!("{:.3}", (epsilon * 1000.0).ceil() / 1000.0)
    })
}

/// Says what a plan costs. Reads nothing.
///
/// # Errors
/// The plan has no cost that is proven.
pub(in crate::cli) fn plan(args: &PlanArgs) -> anyhow::Result<String> {
    if !(args.delta > 0.0 && args.delta < 1.0) {
        bail!("--delta must be above 0 and below 1, not {}", args.delta);
    }
    let sum = args.members.map(|members| PlannedSum {
        members,
        colluders: args.colluders.unwrap_or_else(|| assumed_colluders(members)),
        bound: args.bound,
        values: args.values,
    });
    let planned = Plan {
        multiplier: args.noise,
        rate: args.rate,
        steps: args.steps,
        sum,
    };
    let epsilons = planned.cost()?.epsilons(args.delta);
    if args.json {
        let answer = serde_json::json!({
            "noise": args.noise,
            "rate": args.rate,
            "steps": args.steps,
            "delta": args.delta,
            "members": sum.map(|sum| sum.members),
            "colluders": sum.map(|sum| sum.colluders),
            "epsilons": epsilons,
        });
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    plan_in_words(args, sum, &epsilons)
}

fn plan_in_words(
    args: &PlanArgs,
    sum: Option<PlannedSum>,
    epsilons: &Epsilons,
) -> anyhow::Result<String> {
    let mut text = String::new();
    let releases = match args.steps {
        1 => "1 release".to_owned(),
        steps => format!("{steps} releases"),
    };
    writeln!(
        text,
        "{releases} with noise {} cost, at delta {:e}:",
        args.noise, args.delta
    )?;
    match sum {
        None => writeln!(text, "  epsilon {}", up(epsilons.colluding))?,
        Some(sum) => {
            let [nobody, colluding, alone] = columns(epsilons);
            let collude = format!("{} of {} collude", sum.colluders, sum.members);
            writeln!(text, "  {:<20} epsilon {nobody}", "nobody colludes")?;
            writeln!(
                text,
                "  {collude:<20} epsilon {colluding}  (what budgets count)"
            )?;
            writeln!(text, "  {:<20} epsilon {alone}", "own noise alone")?;
        }
    }
    if args.rate < 1.0 {
        writeln!(
            text,
            "Each is of a secret sample of {} of the records. No driver of this node samples so: its releases cost what rate 1 says.",
            args.rate
        )?;
    }
    if epsilons.colluding.is_none_or(|epsilon| epsilon > HOLLOW) {
        writeln!(text, "Above {HOLLOW} the number promises nothing.")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::privacy::accountant::{Budget, Ledger};
    use delta_domain::privacy::cost::Cost;
    use delta_domain::privacy::rdp::Rdp;

    fn args(z: &str) -> PlanArgs {
        PlanArgs {
            noise: z.parse().unwrap(),
            steps: 100,
            rate: 1.0,
            delta: 1e-6,
            members: Some(5),
            colluders: None,
            bound: 100_000_000,
            values: 1,
            json: false,
        }
    }

    #[test]
    fn an_epsilon_is_never_shown_below_what_it_is() {
        for (epsilon, shown) in [
            (Some(0.0), "0.000"),
            (Some(1.000_01), "1.001"),
            (Some(2.5), "2.500"),
            (None, "unbounded"),
        ] {
            assert_eq!(up(epsilon), shown);
        }
    }

    #[test]
    fn a_plan_says_three_numbers_and_who_they_are_about() {
        let text = plan(&args("8")).unwrap();
        for part in ["100 releases", "1e-6", "nobody colludes", "1 of 5 collude"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("promises nothing"), "{text}");
        assert!(plan(&args("0.5")).unwrap().contains("promises nothing"));
    }

    #[test]
    fn what_is_not_proven_is_refused() {
        let sampled = PlanArgs {
            rate: 0.5,
            ..args("8")
        };
        let error = plan(&sampled).unwrap_err().to_string();
        assert!(error.contains("plan with rate 1"), "{error}");
        for delta in [0.0, 1.0, f64::NAN] {
            let wrong = PlanArgs { delta, ..args("8") };
            assert!(plan(&wrong).unwrap_err().to_string().contains("--delta"));
        }
    }

    #[test]
    fn an_account_is_told_line_by_line() {
        let now = Timestamp(1_795_329_517_000);
        let budget = Budget::new(3.0, 1e-6, Renewal::Yearly).unwrap();
        let mut ledger = Ledger::new(now, budget);
        let cost = Cost::same(Rdp::gaussian(16.0).unwrap());
        let first = ledger.reserve(now, "task 1", cost.clone()).unwrap();
        ledger.charge(now, first).unwrap();
        ledger.reserve(now, "task 2", cost).unwrap();
        let name = "a.csv".parse().unwrap();
        let text = told(&[LedgerReport::of(name, &ledger, true)]).unwrap();
        for part in [
            "a.csv\n",
            "epsilon 3 at delta 1e-6, renewed yearly",
            "reserved and not charged: 1",
            "task 1\n",
            "task 2\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(told(&[]).unwrap().contains("No task under noise"));
    }
}
