//! `demo --privacy`: what owners' rules do, in a network on this machine with a real policy, a real ledger and real refusals.
//!
//! Four parts: one regression without noise and with it; the same again until the budget is spent; two questions about single patients;
//! a question that waits. No number that is shown is the demonstration's own, but for what is said to be of all patients in one place.

mod author;
mod bar;
mod comparison;
mod owner;
mod places;
mod plot;
mod pooled;
mod questions;
mod report;
mod rules;
mod spending;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::args::DemoArgs;
use super::screen::Screen;
use places::{Places, UNIVERSITY};
use report::Report;

use delta_domain::round::DeclineCode;

/// The longest that everything may take.
const AT_MOST: Duration = Duration::from_secs(600);
/// Name of the picture.
const PICTURE: &str = "privacy.svg";

/// Where the demonstration takes place.
struct Stage<'s> {
    places: &'s Places,
    show: &'s Screen,
    /// Where all nodes log.
    log: &'s Path,
    /// The epsilon of each hospital.
    budget: f64,
}

impl Stage<'_> {
    fn heading(&self, text: &str) {
        self.show.line("");
        self.show.line(text);
    }

    fn say(&self, text: &str) {
        self.show.line(&format!("  {text}"));
    }

    /// What the author is told.
    fn author(&self, text: &str) {
        self.show.line(&format!("    {:<10} {text}", "author"));
    }

    /// The word that the author is told, what it means, and of whom.
    fn declined(&self, code: DeclineCode, hospitals: &BTreeSet<String>) {
        let names: Vec<&str> = hospitals.iter().map(String::as_str).collect();
        self.author(&format!(
            "{}: each {code} ({})",
            code.name(),
            names.join(", ")
        ));
    }

    /// What an owner sees or does.
    fn owner(&self, text: &str) {
        self.show.line(&format!("    {:<10} {text}", "owner"));
    }
}

/// Starts the network, goes through the parts, and says what came of them.
pub(super) async fn run(args: &DemoArgs, folder: &Path, show: &Screen) -> anyhow::Result<()> {
    show.line(&format!(
        "starting a connector, {} hospitals and a university in {}",
        places::HOSPITALS,
        folder.display()
    ));
    let places = Places::start(folder, args.budget).await?;
    introduce(&places, args.budget, show);
    let log = folder.join("demo.log");
    let stage = Stage {
        places: &places,
        show,
        log: &log,
        budget: args.budget,
    };
    let report = tokio::time::timeout(AT_MOST, parts(&stage))
        .await
        .with_context(|| format!("the demonstration was not over after {AT_MOST:?}"))??;
    std::fs::write(folder.join(PICTURE), plot::picture(&report)?)
        .context("the picture cannot be written")?;
    places.stop().await;
    let picture = kept(args, folder)?;
    show.line("");
    show.line(&format!("picture            {}", picture.display()));
    if args.keep_files {
        show.line(&format!("databases, logs    {}", folder.display()));
    }
    let verdict = report.verdict();
    if args.json {
        let object = report.json(verdict.is_ok(), &picture);
        writeln!(std::io::stdout(), "{object}")?;
    }
    verdict
}

/// Who is there, and by which rules.
fn introduce(places: &Places, budget: f64, show: &Screen) {
    for place in &places.hospitals {
        show.line(&format!(
            "  {:<11} {}  {} patients",
            place.name, place.url, place.patients
        ));
    }
    let university = &places.university;
    show.line(&format!(
        "  {:<11} {}  no data: {UNIVERSITY} asks",
        university.name, university.url
    ));
    show.line(&format!(
        "the same patients under two names, since a dataset has one set of rules:\n  {:<26} approval: controlled\n  {:<26} approval: private, epsilon {} at delta {:e}",
        rules::CONTROLLED,
        rules::PRIVATE,
        budget,
        rules::DELTA
    ));
}

async fn parts(stage: &Stage<'_>) -> anyhow::Result<Report> {
    let pooled = pooled::pooled()?;
    let mut comparison = comparison::run(stage, &pooled.coefficients).await?;
    let spent = spending::run(stage, &mut comparison.charged).await?;
    let selecting = questions::selecting(stage).await?;
    let (waited, correlation) = questions::waiting(stage).await?;
    Ok(Report {
        budget: stage.budget,
        pooled,
        comparison,
        spent,
        selecting,
        waited,
        correlation,
    })
}

/// Without `--keep-files` only the picture survives, in a folder of its own.
fn kept(args: &DemoArgs, folder: &Path) -> anyhow::Result<PathBuf> {
    if args.keep_files {
        return Ok(folder.join(PICTURE));
    }
    // Nobody else can have put anything there before.
    let kept = tempfile::Builder::new()
        .prefix("delta-demo-result-")
        .tempdir()?
        .keep();
    let target = kept.join(PICTURE);
    std::fs::copy(folder.join(PICTURE), &target)?;
    Ok(target)
}
