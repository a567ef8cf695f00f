//! Attacks by a stranger with nothing but the connector's port: tasks of its own that ask members' data for names, headers and rows.
//!
//! Everything that members send to such a coordinator passes a tap.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::data;
use crate::testbed::attack::questions::{self, Question, column, whole};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::Targets;
use delta_domain::round::DeclineCode;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "stranger", true;
    "probe-headers", "a task that reads columns that a node's table does not have" => headers;
    "probe-first-row", "a task that reads the names of a table as numbers" => first_row;
    "probe-classes", "a task that reads pictures of classes that a node does not have" => classes;
    "probe-kinds", "a task that takes a table for an array and a folder for a table" => kinds;
    "probe-names", "a task for data that one node alone has, or nobody" => names;
    "probe-paths", "tasks for data under absolute, climbing and hidden names" => paths;
};

fn only(file: &str, specification: Value) -> Value {
    let mut all = serde_json::Map::new();
    all.insert(file.to_owned(), specification);
    Value::Object(all)
}

async fn headers(field: &Targets) -> anyhow::Result<Outcome> {
    let datasets = only(
        "people.csv",
        json!({ "kind": "table", "columns": ["wage"] }),
    );
    alike(
        field,
        questions::task(datasets, vec![column("people.csv", "wage")])?,
    )
    .await
}

async fn first_row(field: &Targets) -> anyhow::Result<Outcome> {
    let bare = json!({ "kind": "table", "columns": ["0"], "header": false });
    alike(
        field,
        questions::task(only("bare.csv", bare), vec![column("bare.csv", "0")])?,
    )
    .await
}

async fn classes(field: &Targets) -> anyhow::Result<Outcome> {
    let scans = json!({ "kind": "samples", "shape": [4], "classes": ["benign"] });
    let labels = Question {
        file: "scans",
        field: json!("y"),
        ..whole("", questions::plain)
    };
    alike(field, questions::task(only("scans", scans), vec![labels])?).await
}

async fn kinds(field: &Targets) -> anyhow::Result<Outcome> {
    let array = json!({ "kind": "array", "shape": [null, 1], "dtype": "f64" });
    let values = Question {
        field: json!("x"),
        ..column("people.csv", "")
    };
    let first = alike(
        field,
        questions::task(only("people.csv", array), vec![values])?,
    )
    .await?;
    let table = json!({ "kind": "table", "columns": ["n"] });
    let rows = Question {
        file: "scans",
        ..whole("n", questions::plain)
    };
    let second = alike(field, questions::task(only("scans", table), vec![rows])?).await?;
    Ok(Outcome::new(
        first.repelled && second.repelled,
        format!("{}; {}", first.answered, second.answered),
    ))
}

/// A member has to say that it has no such data, or it would be waited for; it says nothing but that.
async fn names(field: &Targets) -> anyhow::Result<Outcome> {
    let one = json!({ "kind": "table", "columns": ["a"] });
    let whose = "kommissionsbericht.csv";
    let bundle = questions::task(only(whose, one), vec![column(whose, "a")])?;
    let mut coordinator = RogueCoordinator::tapped(field, bundle).await?;
    coordinator.begin().await?;
    coordinator.joined(&field.addresses()).await?;
    let (heard, reasons) = (coordinator.heard(), coordinator.reasons());
    coordinator.finish().await;
    let told = data::found(&heard);
    let closed = reasons == DeclineCode::NoSuchData.name();
    Ok(Outcome::new(
        told.is_empty() && closed,
        format!(
            "the word {reasons} and no other; secrets told: {}",
            told.join(", ")
        ),
    ))
}

async fn paths(field: &Targets) -> anyhow::Result<Outcome> {
    let (mut joined, mut told, mut reasons) = (0, Vec::new(), BTreeSet::new());
    for name in [
        "/etc/passwd",
        "../identity.key",
        "people.csv/../../node.db",
        ".hidden",
        "C:\\secrets",
        "scans/karzinom/1.npy",
    ] {
        let bundle = bundles::with_dataset_name(name)?;
        let mut coordinator = RogueCoordinator::tapped(field, bundle).await?;
        coordinator.begin().await?;
        joined += coordinator.joined(&field.addresses()).await?.len();
        // What the coordinator has asked for itself is no secret of the members'.
        told.extend(data::found(&coordinator.heard().replace(name, "")));
        reasons.insert(coordinator.reasons());
        coordinator.finish().await;
    }
    let reasons: Vec<String> = reasons.into_iter().collect();
    let answered = format!(
        "{joined} members joined; they said: {}; secrets told: {}",
        reasons.join(", "),
        told.join(", ")
    );
    Ok(Outcome::new(joined == 0 && told.is_empty(), answered))
}

/// Plays a round of the task up to the results: every member must do the same, and tell nothing.
async fn alike(field: &Targets, bundle: Vec<u8>) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::tapped(field, bundle).await?;
    let everybody = field.addresses();
    coordinator.begin().await?;
    let joined = coordinator.joined(&everybody).await?;
    let mut uploaded = Vec::new();
    if !joined.is_empty() {
        coordinator.select(&joined).await?;
        let posted = coordinator.posted(&joined).await?;
        coordinator.calculate(&posted).await?;
        uploaded = coordinator.uploaded(&posted).await?;
    }
    let lengths: BTreeSet<u64> = coordinator.papers().results.values().copied().collect();
    let (heard, reasons) = (coordinator.heard(), coordinator.reasons());
    coordinator.finish().await;
    let told = data::found(&heard);
    let same = uploaded.len() == everybody.len() && lengths.len() == 1
        || uploaded.is_empty() && joined.is_empty();
    let answered = format!(
        "{} of {} members joined and {} uploaded, {} lengths; declines: {reasons}; secrets told: {}",
        joined.len(),
        everybody.len(),
        uploaded.len(),
        lengths.len(),
        told.join(", ")
    );
    Ok(Outcome::new(
        same && told.is_empty() && !heard.is_empty(),
        answered,
    ))
}
