//! Attacks by an author whose graphs fail as the data say: whatever fails must look from outside like what goes well.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::bootstrap::endpoints;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::data::{self, VICTIM};
use crate::testbed::attack::http;
use crate::testbed::attack::questions::{self, column, whole};
use crate::testbed::attack::target::{PATIENCE, Targets};

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "task author", true;
    "leak-index", "graphs that index out of range by a number of one node" => index;
    "leak-number", "graphs that make NaN at a place, too large a number, a division by zero out of one node's number" => number;
    "leak-shape", "graphs that make a shape or a length out of one node's number" => shape;
    "leak-cell", "columns that one node lacks, has as text, or has in fractions" => cell;
};

fn table(columns: &[&str]) -> Value {
    json!({ "kind": "table", "columns": columns })
}

async fn index(field: &Targets) -> anyhow::Result<Outcome> {
    let questions = vec![
        whole("n", questions::gather),
        whole("n", questions::gather_nd),
        whole("n", questions::scatter_nd),
        whole("n", questions::scatter_elements),
    ];
    silent(field, json!({ "people.csv": table(&["n"]) }), questions).await
}

async fn number(field: &Targets) -> anyhow::Result<Outcome> {
    let questions = vec![
        whole("place", questions::nan_at),
        whole("n", questions::overflow),
        whole("n", questions::guessed),
    ];
    silent(
        field,
        json!({ "people.csv": table(&["n", "place"]) }),
        questions,
    )
    .await
}

async fn shape(field: &Targets) -> anyhow::Result<Outcome> {
    let questions = vec![
        whole("n", questions::huge),
        whole("len", questions::reshape),
    ];
    silent(
        field,
        json!({ "people.csv": table(&["n", "len"]) }),
        questions,
    )
    .await
}

async fn cell(field: &Targets) -> anyhow::Result<Outcome> {
    let fractions = questions::Question {
        file: "parts.csv",
        ..whole("part", questions::plain)
    };
    let datasets = json!({
        "cells.csv": table(&["cell"]),
        "parts.csv": table(&["part"]),
        "columns.csv": table(&["wage"]),
    });
    let questions = vec![
        column("cells.csv", "cell"),
        fractions,
        column("columns.csv", "wage"),
    ];
    silent(field, datasets, questions).await
}

/// Runs a task in which every step fails at the victim alone. Nobody may see at whom, and the sum goes on and counts it.
async fn silent(
    field: &Targets,
    datasets: Value,
    questions: Vec<questions::Question>,
) -> anyhow::Result<Outcome> {
    let steps = questions.len();
    let bundle = questions::task(datasets, questions)?;
    let commands = listen(field)?;
    let listener = field.coordinator().address.clone();
    let (id, _) = field.submit_heard(&listener, &bundle).await?;
    let ended = tokio::time::timeout(PATIENCE * 2, field.numbers(id)).await;
    let ended = ended.context("the task did not end")?;
    field.calm();
    let progress = ask(field, 0, &format!("/v1/task/progress?task_id={id}"), None).await?;
    let everybody = field.targets.len();
    let nobody = format!("{everybody} of {everybody} members could not compute");
    let mut wrong = Vec::new();
    let end = match ended {
        Ok(_) => {
            let failed = counted(&progress, everybody, steps)?;
            if failed != vec![1; steps] {
                wrong.push(format!(
                    "of {steps} steps with one failed member each, these many failed: {failed:?}"
                ));
            }
            format!("{steps} steps ended with one failed member each")
        }
        // A runtime that takes no shapes out of data says so of every member's.
        Err(_) if progress.contains(&nobody) => "no member could compute".to_owned(),
        Err(e) => return Err(e),
    };
    let commands = commands
        .iter()
        .map(|heard| heard.lock().unwrap_or_else(PoisonError::into_inner).clone())
        .collect::<Vec<_>>();
    wrong.extend(differences(field, id, &commands).await?);
    let (answers, asked) = everything(field, id).await?;
    let said: String = commands.iter().flatten().cloned().collect();
    for secret in data::found(&answers).into_iter().chain(data::found(&said)) {
        wrong.push(format!("{secret:?} is told"));
    }
    Ok(if wrong.is_empty() {
        let told = format!(
            "{end}; {asked} answers, the task's log and the connector show nothing of whom"
        );
        Outcome::new(true, told)
    } else {
        Outcome::new(false, wrong.join("; "))
    })
}

type Heard = Arc<Mutex<Vec<String>>>;

/// From now on what each node says to its connector is kept.
fn listen(field: &Targets) -> anyhow::Result<Vec<Heard>> {
    let mut all = Vec::new();
    for node in 0..field.targets.len() {
        let heard = Heard::default();
        let kept = heard.clone();
        field.rogue(node)?.answers(move |command, answer| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(format!("{command:?}\n"));
            answer
        });
        all.push(heard);
    }
    Ok(all)
}

async fn ask(
    field: &Targets,
    node: usize,
    path: &str,
    from: Option<IpAddr>,
) -> anyhow::Result<String> {
    let url = &field.targets[node].url;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        http::host(url)?
    );
    let reply = http::raw_from(url, from, request.as_bytes()).await?;
    Ok(reply.body)
}

/// How many members failed in each round, of a task that went through all its steps with everybody.
fn counted(progress: &str, members: usize, steps: usize) -> anyhow::Result<Vec<u64>> {
    let json = progress.find('{').context("no progress")?;
    let mut stream = serde_json::Deserializer::from_str(&progress[json..]).into_iter::<Value>();
    let progress = stream.next().context("no progress")??;
    let Some(rounds) = progress["history"].as_array() else {
        bail!("the progress has no rounds: {progress}")
    };
    ensure!(rounds.len() == steps, "{} rounds", rounds.len());
    let all = |round: &Value| round["members"].as_u64() == u64::try_from(members).ok();
    ensure!(rounds.iter().all(all), "not everybody was in every sum");
    Ok(rounds
        .iter()
        .map(|round| round["failed"].as_u64().unwrap_or(0))
        .collect())
}

/// What is seen of the victim and not of another member, or the other way round: in the task's log, and on the record.
async fn differences(
    field: &Targets,
    id: u64,
    commands: &[Vec<String>],
) -> anyhow::Result<Vec<String>> {
    let log = field.task_log(id).await?;
    let everybody = field.addresses();
    let lines_of = |node: usize| -> BTreeSet<String> {
        let own = everybody[node].as_str();
        let lines = log.iter().map(|line| &line.message);
        let lines = lines.filter(|message| message.contains(own));
        lines
            .map(|message| {
                let hidden =
                    |text: String, a: &delta_domain::ids::Address| text.replace(a.as_str(), "X");
                everybody.iter().fold(message.clone(), hidden)
            })
            .collect()
    };
    // Who reveals last may find that enough others have: that is no difference between data.
    let acts_of = |node: usize| -> BTreeSet<String> {
        let acts = commands[node].iter().filter(|c| {
            ["JoinRound", "UploadCommitments", "UploadResult"]
                .iter()
                .any(|act| c.starts_with(act))
        });
        acts.map(|c| {
            c.split([' ', '(', '{'])
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
    };
    // The first node coordinates as well.
    let other = VICTIM - 1;
    let mut found = Vec::new();
    for line in lines_of(VICTIM).symmetric_difference(&lines_of(other)) {
        found.push(format!("the log tells the victim from another: {line}"));
    }
    for act in acts_of(VICTIM).symmetric_difference(&acts_of(other)) {
        found.push(format!("the record tells the victim from another: {act}"));
    }
    ensure!(
        !lines_of(other).is_empty() && !acts_of(other).is_empty(),
        "nothing was seen of anybody"
    );
    Ok(found)
}

/// What the coordinator's author may read of a task, and what a stranger may read of the victim: all in one text, and how many answers.
async fn everything(field: &Targets, id: u64) -> anyhow::Result<(String, usize)> {
    let stranger = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let (mut text, mut asked) = (String::new(), 0);
    let log = field.task_log(id).await?;
    log.iter().for_each(|line| text.push_str(&line.message));
    for (method, path, _) in endpoints() {
        // The data's own owner may read their names.
        if method != "GET" || path.contains("dataset") {
            continue;
        }
        let path = format!("{path}?task_id={id}&start=0&limit=1000&page=1&page_size=50");
        text.push_str(&ask(field, 0, &path, None).await?);
        text.push_str(&ask(field, VICTIM, &path, Some(stranger)).await?);
        asked += 2;
    }
    Ok((text, asked))
}
