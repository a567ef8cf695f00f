//! `policy test`: what would become of a bundle. Its graphs are followed as a node follows them, and judged with the class that this proves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;

use super::super::privacy::up;
use crate::bootstrap;
use crate::cli::args::PolicyTestArgs;
use crate::config::{Config, LoadedPolicies};
use delta_app::{SmallestSum, dearest_round};
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::ids::DatasetName;
use delta_domain::policy::{
    Author, Class, DatasetFacts, Decision, Facts, Kind, Question, Standing, Verdict, Who, judge,
};
use delta_domain::privacy::cost::{Cost, Epsilons};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::records::{classify, member_spend, records_steps};
use delta_ports::PortErrorKind;
use delta_ports::executor::{DatasetSummary, Executor, Whose};

/// What is known of a task before it is judged.
struct Tried {
    name: String,
    question: Question,
    /// Why it is not safe by construction.
    unproven: Vec<String>,
    facts: Facts,
    prices: BTreeMap<DatasetName, Price>,
}

/// What a task under noise costs a dataset, at most.
#[derive(serde::Serialize)]
struct Price {
    delta: f64,
    /// Its dearest round.
    round: Epsilons,
    /// All its rounds.
    task: Epsilons,
}

/// Says what would become of a bundle, and by which rules.
///
/// # Errors
/// The file is no task, or none that a node would take.
pub(super) async fn test(
    config: &Config,
    loaded: &LoadedPolicies,
    executor: &dyn Executor,
    there: &[DatasetSummary],
    args: &PolicyTestArgs,
) -> anyhow::Result<String> {
    let shown = args.file.display();
    let bytes = std::fs::read(&args.file).with_context(|| format!("{shown} cannot be read"))?;
    let bundle = Bundle::open(&bytes, &BundleLimits::default())
        .with_context(|| format!("{shown} is no task"))?;
    let bundle = Arc::new(bundle);
    let (proof, trouble) = match executor.check_graphs(&bundle, Whose::Own).await {
        Ok(proof) => (proof, None),
        Err(e) if e.kind() == PortErrorKind::Rejected => {
            return Err(e).with_context(|| format!("{shown} is no task that a node takes"));
        }
        // Judged as a node judges what it could not follow.
        Err(e) => (ReleaseProof::Unproven(Vec::new()), Some(e)),
    };
    let mut tried = tried(config, loaded, &bundle, &proof, there, args);
    if let Some(e) = trouble {
        tried.unproven = vec![format!(
            "its graphs could not be followed here: {}",
            delta_ports::report(&e)
        )];
    }
    let now = bootstrap::clock().now();
    let verdict = judge(&loaded.policies, &tried.question, &tried.facts, now);
    if args.json {
        let answer = serde_json::json!({
            "decision": verdict.decision,
            "by": verdict.by(),
            "findings": verdict.findings,
            "class": tried.question.class.name(),
            "unproven": tried.unproven,
            "costs": tried.prices,
            "question": tried.question,
            "policies": loaded.digest,
        });
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    told(&tried, &verdict)
}

/// What can be known without a node: what is proven, the rows of datasets that say how many they have, and that nothing has run yet.
fn tried(
    config: &Config,
    loaded: &LoadedPolicies,
    bundle: &Bundle,
    proof: &ReleaseProof,
    there: &[DatasetSummary],
    args: &PolicyTestArgs,
) -> Tried {
    let (manifest, policies) = (bundle.manifest(), &loaded.policies);
    let (class, unproven) = classify(
        manifest.certified().is_some(),
        member_spend(manifest).as_ref(),
        proof,
        &records_steps(manifest),
        policies,
    );
    let question = Question::of(bundle, author(args)).proven(class);
    let (_, colluders) = policies.floor(&question);
    let assumed = config.policy.assumed_colluders.max(colluders);
    let sum = SmallestSum::smallest_of(manifest, assumed);
    let costs = dearest_round(manifest, sum, policies);
    let rows = |name: &DatasetName| there.iter().find(|d| d.name == *name)?.rows();
    let facts_of = |name: &DatasetName| {
        let budget = policies.of(name).privacy.as_ref();
        let spent = |cost: &Cost| Some(cost.colluding.epsilon(budget?.delta));
        DatasetFacts {
            rows: args.rows.or_else(|| rows(name)),
            rounds: Some(0),
            refused: 0,
            epsilon: costs.get(name).and_then(spent),
        }
    };
    let datasets = question.reads.keys();
    let facts = Facts {
        datasets: datasets.map(|n| (n.clone(), facts_of(n))).collect(),
        members: None,
        standing: Standing::Open,
    };
    let price = |name: &DatasetName, cost: &Cost| {
        let Class::Private(spend) = &question.class else {
            return None;
        };
        let budget = policies.of(name).privacy.as_ref();
        let delta = budget.map_or(spend.delta, |budget| budget.delta);
        Some(Price {
            delta,
            round: cost.epsilons(delta),
            task: cost.repeated(question.rounds).epsilons(delta),
        })
    };
    let priced = costs.iter();
    let prices = priced
        .filter_map(|(n, cost)| Some((n.clone(), price(n, cost)?)))
        .collect();
    Tried {
        name: manifest.name.clone(),
        question,
        unproven,
        facts,
        prices,
    }
}

fn author(args: &PolicyTestArgs) -> Author {
    let mut author = Author {
        own: args.own,
        ..Author::default()
    };
    let mut who = args.author.clone();
    if let Some(Who::Author(name, at)) = who {
        author.name = Some(name);
        who = Some(*at);
    }
    match who {
        Some(Who::Organisation(name)) => author.organisation = Some(name),
        Some(Who::Node(print)) => author.node = Some(print),
        Some(Who::Author(..)) | None => {}
    }
    author
}

fn told(tried: &Tried, verdict: &Verdict) -> anyhow::Result<String> {
    let question = &tried.question;
    let mut text = String::new();
    let (least, most) = (question.strategy.min_clients, question.strategy.max_clients);
    let kind = match question.kind {
        Kind::Statistics => "statistics",
        Kind::Regression => "a regression",
        Kind::Learning => "learning",
    };
    writeln!(
        text,
        "Task {:?}: {kind} by its form, {} of {least} to {most} members, at most {} a round.",
        tried.name,
        many(u64::from(question.rounds), "round"),
        many(question.outputs, "number")
    )?;
    for (dataset, reads) in &question.reads {
        let rows = tried
            .facts
            .datasets
            .get(dataset)
            .and_then(|known| known.rows);
        let rows = rows.map_or("unknown number of rows".to_owned(), |n| many(n, "row"));
        let names: Vec<String> = reads.columns.iter().map(|c| format!("{c:?}")).collect();
        let columns = match names.is_empty() {
            true => String::new(),
            false => format!(", columns {}", names.join(", ")),
        };
        let keys: Vec<String> = reads.keys.iter().map(|c| format!("{c:?}")).collect();
        let joined = match keys.is_empty() {
            true => String::new(),
            false => format!(", joined by {}", keys.join(", ")),
        };
        writeln!(text, "It reads {dataset} ({rows}{columns}{joined}).")?;
    }
    class_in_words(&mut text, tried)?;
    verdict_in_words(&mut text, verdict)?;
    writeln!(
        text,
        "\nAssumed: no round has run today, no budget is used, and the round has all its members. Decisions of yours are not looked up."
    )?;
    writeln!(
        text,
        "What is asked, as approvals name it: {}",
        question.digest
    )?;
    Ok(text)
}

fn class_in_words(text: &mut String, tried: &Tried) -> anyhow::Result<()> {
    match &tried.question.class {
        Class::Free => {
            writeln!(text, "Anything may leave: the task is free, because")?;
            for why in &tried.unproven {
                writeln!(text, "  {why}")?;
            }
        }
        Class::Controlled => writeln!(
            text,
            "What leaves is proven to be sums over records that are kept apart: the task is controlled."
        )?,
        Class::Private(spend) => writeln!(
            text,
            "What leaves is proven to be sums over records that are kept apart, with noise for one {}: the task is private.",
            spend.unit
        )?,
    }
    for (dataset, price) in &tried.prices {
        let round = up(price.round.colluding);
        let all = up(price.task.colluding);
        writeln!(
            text,
            "A round costs {dataset} epsilon {round} at delta {:e} at most, and {} cost {all}.",
            price.delta,
            many(u64::from(tried.question.rounds), "round")
        )?;
    }
    Ok(())
}

fn verdict_in_words(text: &mut String, verdict: &Verdict) -> anyhow::Result<()> {
    let by: Vec<&str> = verdict.by().iter().map(|rule| rule.name()).collect();
    let outcome = match verdict.decision {
        Decision::Allowed => "It would run, allowed",
        Decision::Asks => "It would wait for you, asked",
        Decision::Refused => "It would be refused",
    };
    writeln!(text, "\n{outcome} by {}.\n", by.join(", "))?;
    for finding in &verdict.findings {
        let of = finding
            .dataset
            .as_ref()
            .map_or("the task", DatasetName::as_str);
        writeln!(
            text,
            "  {:<8} {:<26} {of}: {}",
            finding.says.name(),
            finding.rule.name(),
            finding.why
        )?;
    }
    Ok(())
}

fn many(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
