//! Attacks by an author that are known to work: what a sum gives away because of what was asked. Policies of the data's owner are to stop
//! them; until there are any, this program says so of every network.

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::data::WAGES;
use crate::testbed::attack::graphs::{Elem, Graph};
use crate::testbed::attack::questions::{self, Question};
use crate::testbed::attack::target::Targets;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "task author", true;
    "sum-of-rows", "a sum in which every node writes its rows to places of its own"
        ("whoever may submit a task", "policy.accept: false; data on no node whose question the owner has not read") => rows;
    "sum-of-one-person", "a sum over one person, wage * (id == 4702)"
        ("whoever may submit a task, or create one on the connector", "the same") => one_person;
    "sum-differences", "the same sum over three members and over two, whose difference is the third one's own"
        ("whoever may submit a task, with the members that its log names", "the same; members that take part in every round") => differences;
};

fn staff(graph: fn(Graph) -> Graph) -> Question {
    Question {
        file: "staff.csv",
        field: json!({ "columns": ["id", "wage"] }),
        element: Elem::F64,
        dims: &[None, Some(2)],
        graph,
    }
}

fn task(graph: fn(Graph) -> Graph, members: u32) -> anyhow::Result<Vec<u8>> {
    let datasets = json!({ "staff.csv": { "kind": "table", "columns": ["id", "wage"] } });
    questions::task_of(members, datasets, vec![staff(graph)])
}

/// The two columns, as rows of one number each.
fn columns(graph: Graph) -> Graph {
    graph
        .ints("0", &[0])
        .ints("1", &[1])
        .op_with("Cast", &["x"], "rows", &[("to", Elem::F32 as u64)])
        .op_with("Gather", &["rows", "0"], "ids", &[("axis", 1)])
        .op_with("Gather", &["rows", "1"], "wages", &[("axis", 1)])
}

/// The wages of the rows with these ids, each in a place of its own.
fn at_places(graph: Graph, ids: &[i64]) -> Graph {
    columns(graph)
        .ints("wanted", ids)
        .op_with("Cast", &["wanted"], "places", &[("to", Elem::F32 as u64)])
        .op("Equal", &["ids", "places"], "here")
        .op_with("Cast", &["here"], "marks", &[("to", Elem::F32 as u64)])
        .op("Mul", &["wages", "marks"], "picked")
        .ints("rows_axis", &[0])
        .op_with(
            "ReduceSum",
            &["picked", "rows_axis"],
            "sums",
            &[("keepdims", 0)],
        )
        .op("Add", &["w", "sums"], "next")
}

fn every_first_row(graph: Graph) -> Graph {
    at_places(graph, &[4700, 4701, 4702, 4703])
}

fn one_row(graph: Graph) -> Graph {
    at_places(graph, &[4702, 4702, 4702, 4702])
}

fn total(graph: Graph) -> Graph {
    columns(graph)
        .op_with("ReduceSum", &["wages"], "sum", &[("keepdims", 0)])
        .op("Add", &["w", "sum"], "next")
}

/// The numbers of one sum, as every author gets them, and whose they are, as the log says.
async fn summed(
    field: &Targets,
    graph: fn(Graph) -> Graph,
    members: u32,
) -> anyhow::Result<(Vec<f64>, Vec<usize>)> {
    let id = field.submit(&task(graph, members)?).await?;
    let means = field.numbers(id).await?;
    let sums = means.iter().map(|m| f64::from(*m) * f64::from(members));
    let log = field.task_log(id).await?;
    let shared = |address: &str| {
        log.iter().any(|line| {
            line.message.contains(address) && line.message.contains("upload secret shares")
        })
    };
    let whose = field.addresses().into_iter().enumerate();
    let whose = whose.filter(|(_, address)| shared(address.as_str()));
    Ok((sums.collect(), whose.map(|(index, _)| index).collect()))
}

/// A sum that went through numbers of single precision.
fn is(sum: f64, value: f64) -> bool {
    (sum - value).abs() < 0.25
}

async fn rows(field: &Targets) -> anyhow::Result<Outcome> {
    let (sums, _) = summed(field, every_first_row, 3).await?;
    let single = sums
        .iter()
        .zip(WAGES)
        .filter(|(sum, [wage, _])| is(**sum, *wage));
    let count = single.count();
    Ok(Outcome::new(
        count == 0,
        format!("{count} rows of single nodes stand in the sum"),
    ))
}

async fn one_person(field: &Targets) -> anyhow::Result<Outcome> {
    let (sums, _) = summed(field, one_row, 3).await?;
    let told = sums.iter().any(|sum| is(*sum, WAGES[2][0]));
    let answered = if told {
        "the sum is that person's wage"
    } else {
        "the sum is not that person's wage"
    };
    Ok(Outcome::new(!told, answered))
}

/// The sum of all three less the sum of some two is the third one's own.
async fn differences(field: &Targets) -> anyhow::Result<Outcome> {
    let (all, _) = summed(field, total, 3).await?;
    let (two, whose) = summed(field, total, 2).await?;
    ensure!(whose.len() == 2, "the log names {} members", whose.len());
    let third = (0..WAGES.len()).find(|node| !whose.contains(node));
    let third = third.context("the log names everybody")?;
    let known = is(all[0] - two[0], WAGES[third].iter().sum());
    let answered = if known {
        "two tasks, and the sum over one node's data is known"
    } else {
        "the difference is nobody's"
    };
    Ok(Outcome::new(!known, answered))
}
