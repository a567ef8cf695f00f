//! The first part: one regression without noise and with it, beside what all patients in one place would say.

use anyhow::{Context as _, bail};

use super::Stage;
use super::author::{self, Ended};
use super::bar::bar;
use super::owner::{Journal, asked, named, verdicts};
use super::pooled::Coefficients;
use crate::assets::{NOISY_REGRESSION, REGRESSION};
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::manifest::Driver;
use delta_domain::policy::audit::AuditEvent;
use delta_domain::policy::{Decision, Rule};
use delta_ports::owner_api::AskedTask;

/// The output of a regression that holds its coefficients.
const PARAMS: &str = "params";

/// What a round has cost, as a hospital's journal has it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Charged {
    /// Which run of the task, from 1.
    pub(super) run: u32,
    /// Which round of all runs, from 1.
    pub(super) round: u32,
    /// Of all rounds so far.
    pub(super) epsilon: f64,
}

/// What the first part has found.
pub(super) struct Comparison {
    /// Of the coefficients.
    pub(super) names: Vec<String>,
    /// Without noise.
    pub(super) controlled: Coefficients,
    /// By which rules it ran.
    pub(super) controlled_by: Vec<Rule>,
    /// With noise.
    pub(super) private: Coefficients,
    /// By which rules it ran.
    pub(super) private_by: Vec<Rule>,
    /// What its rounds have cost.
    pub(super) charged: Vec<Charged>,
}

/// Runs both, and says what came of them. `pooled`: what is exact.
pub(super) async fn run(stage: &Stage<'_>, pooled: &Coefficients) -> anyhow::Result<Comparison> {
    let places = stage.places;
    stage.heading("1. The same regression, without noise and with it");
    let names = coefficient_names(REGRESSION)?;
    let mut journal = Journal::of(places.shown()?);
    let ended = author::ask(places, REGRESSION, async |_| Ok(())).await?;
    let controlled = coefficients(stage, &ended).await?;
    let controlled_by = allowed_by(&journal.news().await?, &ended)?;
    stage.say(&format!(
        "without noise: {} rounds; no owner was asked ({})",
        ended.rounds.len(),
        named(&controlled_by)
    ));
    stage.say(&format!(
        "with noise of {} times what one patient can add; after each round {} has charged",
        multiplier(NOISY_REGRESSION)?,
        places.shown()?.name
    ));
    let mut charged = Vec::new();
    let run = noisy(stage, &mut charged).await?;
    let private = coefficients(stage, &run.ended)
        .await
        .context("the budget does not pay for one run of the task")?;
    let private_by = allowed_by(&run.events, &run.ended)?;
    stage.say(&format!("no owner was asked ({})", named(&private_by)));
    tell(stage, &names, [pooled, &controlled, &private]);
    Ok(Comparison {
        names,
        controlled,
        controlled_by,
        private,
        private_by,
        charged,
    })
}

/// The coefficients beside each other: of all patients in one place, without noise, with noise.
fn tell(stage: &Stage<'_>, names: &[String], [pooled, controlled, private]: [&Coefficients; 3]) {
    stage.say(&format!(
        "{:<12}{:>16}{:>16}{:>16}",
        "log odds", "in one place", "without noise", "with noise"
    ));
    for (i, name) in names.iter().enumerate() {
        stage.say(&format!(
            "{name:<12}{:>16.4}{:>16.4}{:>16.4}",
            pooled[i], controlled[i], private[i]
        ));
    }
}

/// One run of the task under noise.
pub(super) struct NoisyRun {
    pub(super) ended: Ended,
    /// What the hospital's journal says, from its first line.
    pub(super) events: Vec<AuditEvent>,
    /// The task as the hospital's owner saw it refused; `None` when it was not.
    pub(super) refused: Option<AskedTask>,
}

/// Runs the task under noise once more, and shows and appends what each round costs while it goes.
pub(super) async fn noisy(
    stage: &Stage<'_>,
    charged: &mut Vec<Charged>,
) -> anyhow::Result<NoisyRun> {
    let place = stage.places.shown()?;
    let (run, so_far) = charged.last().map_or((1, 0), |c| (c.run + 1, c.round));
    let mut journal = Journal::of(place);
    let (mut events, mut refused) = (Vec::new(), None);
    let mut rounds = so_far;
    let ended = author::ask(stage.places, NOISY_REGRESSION, async |standing| {
        for event in journal.news().await? {
            if let AuditEvent::Released {
                task,
                epsilon: Some(epsilon),
                ..
            } = &event
                && *task == standing.task
            {
                rounds += 1;
                stage.say(&format!(
                    "round {rounds:>3}  {}",
                    bar(*epsilon, stage.budget)
                ));
                charged.push(Charged {
                    run,
                    round: rounds,
                    epsilon: *epsilon,
                });
            }
            events.push(event);
        }
        let seen = asked(place, &standing.task).await;
        if let Some(seen) = seen.filter(|q| q.verdict.decision == Decision::Refused) {
            refused = Some(seen);
        }
        Ok(())
    })
    .await?;
    Ok(NoisyRun {
        ended,
        events,
        refused,
    })
}

/// By which rules the task ran, in the end.
fn allowed_by(events: &[AuditEvent], ended: &Ended) -> anyhow::Result<Vec<Rule>> {
    match verdicts(events, &ended.task).pop() {
        Some((Decision::Allowed, by)) => Ok(by),
        other => bail!("the journal says {other:?} of a task that has run"),
    }
}

async fn coefficients(stage: &Stage<'_>, ended: &Ended) -> anyhow::Result<Coefficients> {
    let result = ended.result(stage.places).await?;
    let params = result
        .get(PARAMS)
        .context("the result has no coefficients")?;
    Coefficients::try_from(params.as_slice()).context("the result has other coefficients")
}

/// What the bundle calls its coefficients.
fn coefficient_names(bundle: &[u8]) -> anyhow::Result<Vec<String>> {
    let bundle = Bundle::open(bundle, &BundleLimits::default())?;
    let result = bundle.manifest().options.get("result");
    let names = result.and_then(|specs| specs[0]["x"].as_array());
    let names = names.into_iter().flatten().filter_map(|n| n.as_str());
    let names: Vec<String> = names.map(str::to_owned).collect();
    match names.len() == Coefficients::default().len() {
        true => Ok(names),
        false => bail!("the built-in task has other coefficients: {names:?}"),
    }
}

/// The noise that the bundle asks for, in units of what one record can add.
fn multiplier(bundle: &[u8]) -> anyhow::Result<String> {
    let bundle = Bundle::open(bundle, &BundleLimits::default())?;
    let steps = bundle.manifest().rounds.iter().flat_map(|r| &r.map.steps);
    let mut noise = steps.filter_map(|step| match &step.driver {
        Driver::Records(records) => records.noise.as_ref(),
        Driver::Once | Driver::Batches(_) | Driver::Solve(_) => None,
    });
    let noise = noise
        .next()
        .context("the built-in task asks for no noise")?;
    Ok(noise.multiplier.clone())
}
