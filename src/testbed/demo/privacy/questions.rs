//! The third and the fourth part: two questions about single patients, which get no answer, and one that waits for its owners and gets it.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use super::Stage;
use super::author::{self, Ended, Standing};
use super::owner::{Journal, asked, named, rules_in, verdicts, withheld};
use crate::assets::{CORRELATION, FEW_BY_AGE, ONE_BY_NUMBER};
use delta_domain::identity::minute_of;
use delta_domain::policy::{Decision, Rule};
use delta_domain::records::RecordsRule;
use delta_domain::round::{DeclineCode, FailureCode};
use delta_ports::owner_api::AskedTask;

/// Reasons that are shown one by one.
const REASONS: usize = 2;

/// A task that the owners were asked about.
pub(super) struct Asked {
    /// What a hospital's owner saw.
    pub(super) question: AskedTask,
    /// Hospitals that the author saw asking.
    pub(super) asking: BTreeSet<String>,
    /// By which rules a hospital decided after its owner's word.
    pub(super) rules: Vec<Rule>,
    /// How it ended for the author.
    pub(super) ended: Ended,
}

/// A task whose contributions the nodes kept back.
pub(super) struct Withheld {
    /// What the hospital's journal says of the task: it was allowed, until its numbers were looked at.
    pub(super) allowed: bool,
    /// The rules that its log names.
    pub(super) rules: Vec<RecordsRule>,
    /// How many logs say so.
    pub(super) logs: usize,
    /// What the author is told.
    pub(super) code: Option<FailureCode>,
    /// Whether any hospital declined, or asked.
    pub(super) silent: bool,
}

/// What the third part has found.
pub(super) struct Selecting {
    pub(super) by_number: Asked,
    pub(super) by_age: Withheld,
}

/// Two ways to ask for one patient's value.
pub(super) async fn selecting(stage: &Stage<'_>) -> anyhow::Result<Selecting> {
    stage.heading("3. Two questions about single patients");
    stage.say("one-by-number: the HbA1c of all patients with one number, and there is one");
    let by_number = ask_owners(stage, ONE_BY_NUMBER, "deny").await?;
    stage.owner(&format!("says no: refused by {}", named(&by_number.rules)));
    let code = DeclineCode::NotAllowed;
    let declined = by_number.ended.declined.get(&code).cloned();
    stage.declined(code, &declined.unwrap_or_default());
    stage.say("few-by-age: the HbA1c of the oldest patients, who are few in each hospital");
    let by_age = few_by_age(stage).await?;
    Ok(Selecting { by_number, by_age })
}

async fn few_by_age(stage: &Stage<'_>) -> anyhow::Result<Withheld> {
    let places = stage.places;
    let ended = author::ask(places, FEW_BY_AGE, async |_| Ok(())).await?;
    let events = Journal::of(places.shown()?).news().await?;
    let verdicts = verdicts(&events, &ended.task);
    let code = ended.failure();
    let error = ended.error.as_deref().context("few patients were summed")?;
    let whys = withheld(stage.log, &ended.task)?;
    let why = whys.first().context("no log says why")?;
    stage.owner("is not asked: the node allows it, makes the sums, looks at them, and sends zeros");
    for line in why.split("; ") {
        stage.owner(&format!("  {line}"));
    }
    stage.author(error);
    Ok(Withheld {
        allowed: verdicts.iter().all(|(d, _)| *d == Decision::Allowed) && !verdicts.is_empty(),
        rules: rules_in(why),
        logs: whys.len(),
        code,
        silent: ended.declined.is_empty(),
    })
}

/// A free task waits, is allowed, and has its result.
pub(super) async fn waiting(stage: &Stage<'_>) -> anyhow::Result<(Asked, f64)> {
    stage.heading("4. A free task waits for its owners");
    stage.say("correlation: of age and HbA1c; its graph sums by itself, so that the nodes cannot know what is in it");
    let asked = ask_owners(stage, CORRELATION, "allow").await?;
    stage.owner(&format!(
        "says yes (delta-node approvals allow {}): allowed by {}",
        asked.ended.task,
        named(&asked.rules)
    ));
    let result = asked.ended.result(stage.places).await?;
    let value = result.get("correlation").and_then(|v| v.first());
    let value = *value.context("the result has no correlation")?;
    stage.author(&format!("the result: {value:.6}"));
    Ok((asked, value))
}

/// Submits a task that owners are asked about, shows the question on both sides once all are, and gives their answer: `allow` or `deny`.
async fn ask_owners(stage: &Stage<'_>, bundle: &[u8], word: &str) -> anyhow::Result<Asked> {
    let (places, shown) = (stage.places, stage.places.shown()?);
    let mut seen: Option<(AskedTask, BTreeSet<String>)> = None;
    let ended = author::ask(places, bundle, async |standing| {
        if seen.is_some() {
            return Ok(());
        }
        let asking = asking(stage, standing);
        let Some(question) = asked(shown, &standing.task).await.filter(|q| q.waits) else {
            return Ok(());
        };
        if asking.len() < places.hospitals.len() {
            return Ok(());
        }
        tell(stage, &question, &asking);
        for hospital in &places.hospitals {
            let client = &hospital.client;
            client.decide(&standing.task, word, "once", None).await?;
        }
        seen = Some((question, asking));
        Ok(())
    })
    .await?;
    let Some((question, asking)) = seen else {
        bail!("no owner was asked: {:?}", ended.error);
    };
    let events = Journal::of(shown).news().await?;
    let last = verdicts(&events, &ended.task).pop();
    let (_, rules) = last.context("the journal does not know the task")?;
    Ok(Asked {
        question,
        asking,
        rules,
        ended,
    })
}

/// Hospitals whose owners are being asked, as the author's node knows it.
fn asking(stage: &Stage<'_>, standing: &Standing) -> BTreeSet<String> {
    let addresses = standing.progress.asking.iter();
    let names = addresses.filter_map(|a| stage.places.hospital(a));
    names.map(str::to_owned).collect()
}

fn tell(stage: &Stage<'_>, question: &AskedTask, asking: &BTreeSet<String>) {
    let until = minute_of(question.until);
    stage.declined(DeclineCode::AsksOwner, asking);
    stage.owner(&format!(
        "{:?} of {} waits until {until}, by {}",
        question.name,
        question.question.author,
        named(&question.verdict.by())
    ));
    let class = question.question.class.name();
    for why in question.unproven.iter().take(REASONS) {
        stage.owner(&format!("{class}, because {why}"));
    }
    let more = question.unproven.len().saturating_sub(REASONS);
    if more > 0 {
        stage.owner(&format!("{class}, for {more} reasons more"));
    }
}
