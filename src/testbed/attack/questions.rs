//! Tasks that ask nodes about their data: hostile graphs over the files of [`data`](super::data), one step of a task for each.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::bundles;
use super::data::NUMBER;
use super::graphs::{Elem, Graph};

/// One step: from which file, what of it, and what the graph does with it.
pub(super) struct Question {
    pub(super) file: &'static str,
    /// The `field` of the manifest, and what it is to the graph.
    pub(super) field: Value,
    pub(super) element: Elem,
    pub(super) dims: &'static [Option<u64>],
    pub(super) graph: fn(Graph) -> Graph,
}

/// A whole-number column with one row.
pub(super) fn whole(column: &'static str, graph: fn(Graph) -> Graph) -> Question {
    Question {
        file: "people.csv",
        field: json!({ "column_i64": column }),
        element: Elem::I64,
        dims: &[None],
        graph,
    }
}

/// A column that is only read.
pub(super) fn column(file: &'static str, column: &'static str) -> Question {
    Question {
        file,
        field: json!({ "columns": [column] }),
        element: Elem::F64,
        dims: &[None, Some(1)],
        graph: |g| {
            g.op_with("ReduceSum", &["x"], "sum", &[("keepdims", 0)])
                .op_with("Cast", &["sum"], "small", &[("to", Elem::F32 as u64)])
                .op("Add", &["w", "small"], "next")
        },
    }
}

/// A task with a step for each question, over datasets of these specifications, for two or three members.
pub(super) fn task(datasets: Value, questions: Vec<Question>) -> anyhow::Result<Vec<u8>> {
    built((2, 3), datasets, questions)
}

/// As [`task`], for exactly so many members.
pub(super) fn task_of(
    members: u32,
    datasets: Value,
    questions: Vec<Question>,
) -> anyhow::Result<Vec<u8>> {
    built((members, members), datasets, questions)
}

fn built(
    (least, most): (u32, u32),
    datasets: Value,
    questions: Vec<Question>,
) -> anyhow::Result<Vec<u8>> {
    let mut rounds = Vec::new();
    let mut files = Vec::new();
    for (index, question) in questions.into_iter().enumerate() {
        let name = format!("graphs/q{index}.onnx");
        let graph = Graph::default()
            .input("w", Elem::F32, &[Some(4)])
            .input("x", question.element, question.dims)
            .output("next", Elem::F32, &[Some(4)]);
        files.push((name.clone(), (question.graph)(graph).file()));
        let data = json!({ "from": "data", "dataset": question.file, "field": question.field });
        rounds.push(json!({
            "repeat": 1,
            "map": {
                "steps": [{
                    "graph": name,
                    "inputs": { "w": { "from": "variable", "name": "w" }, "x": data },
                    "outputs": { "next": { "to": "value", "name": "next" } },
                }],
                "contribute": [{ "name": "next", "dtype": "f32", "shape": [4] }],
            },
        }));
    }
    let datasets = serde_json::from_value(datasets).context("the datasets")?;
    bundles::task_with(
        |manifest| {
            let reduce = serde_json::to_value(&manifest.rounds[0].reduce).unwrap_or_default();
            for round in &mut rounds {
                round["reduce"] = reduce.clone();
            }
            manifest.strategy.min_clients = least;
            manifest.strategy.max_clients = most;
            manifest.strategy.retries = 0;
            manifest.datasets = datasets;
            manifest.rounds = rounds
                .drain(..)
                .filter_map(|round| serde_json::from_value(round).ok())
                .collect();
        },
        |graphs| {
            graphs.remove("graphs/step.onnx");
            graphs.extend(files);
        },
    )
}

/// `n`, the one row of a whole-number column, as a vector of one.
fn n(graph: Graph) -> Graph {
    graph.op_with("ReduceMax", &["x"], "n", &[("keepdims", 1)])
}

fn as_f32(graph: Graph, from: &str, to: &str) -> Graph {
    graph.op_with("Cast", &[from], to, &[("to", Elem::F32 as u64)])
}

pub(super) fn gather(graph: Graph) -> Graph {
    n(graph)
        .op("Gather", &["w", "n"], "one")
        .op("Add", &["w", "one"], "next")
}

pub(super) fn gather_nd(graph: Graph) -> Graph {
    n(graph)
        .ints("square", &[1, 1])
        .op("Reshape", &["n", "square"], "at")
        .op("GatherND", &["w", "at"], "one")
        .op("Add", &["w", "one"], "next")
}

pub(super) fn scatter_nd(graph: Graph) -> Graph {
    as_f32(n(graph), "n", "value")
        .ints("square", &[1, 1])
        .op("Reshape", &["n", "square"], "at")
        .op("ScatterND", &["w", "at", "value"], "next")
}

pub(super) fn scatter_elements(graph: Graph) -> Graph {
    as_f32(n(graph), "n", "value").op("ScatterElements", &["w", "n", "value"], "next")
}

/// NaN at the place that the data say, zeros elsewhere; nothing wrong where no such place is.
pub(super) fn nan_at(graph: Graph) -> Graph {
    let marked = n(graph)
        .ints("places", &[0, 1, 2, 3])
        .ints("one", &[1])
        .op("Equal", &["places", "n"], "here")
        .op_with("Cast", &["here"], "mark", &[("to", Elem::F32 as u64)]);
    as_f32(marked, "one", "unit")
        .op("Sub", &["unit", "mark"], "rest")
        .op("Sub", &["rest", "rest"], "zeros")
        .op("Div", &["zeros", "rest"], "next")
}

/// A number too large to be summed.
pub(super) fn overflow(graph: Graph) -> Graph {
    as_f32(n(graph), "n", "value")
        .op("Mul", &["value", "value"], "large")
        .op("Mul", &["large", "large"], "larger")
        .op("Add", &["w", "larger"], "next")
}

/// A division by zero where the author has guessed the number.
pub(super) fn guessed(graph: Graph) -> Graph {
    let divided = n(graph)
        .ints("guess", &[NUMBER])
        .ints("unit", &[1])
        .op("Sub", &["n", "guess"], "off")
        .op("Div", &["unit", "off"], "quotient");
    as_f32(divided, "quotient", "value").op("Add", &["w", "value"], "next")
}

pub(super) fn reshape(graph: Graph) -> Graph {
    n(graph)
        .op("Reshape", &["w", "n"], "flat")
        .op_with("ReduceSum", &["flat"], "sum", &[("keepdims", 0)])
        .op("Add", &["w", "sum"], "next")
}

/// A tensor about as long as the square of the number.
pub(super) fn huge(graph: Graph) -> Graph {
    n(graph)
        .ints("unit", &[1])
        .op("Add", &["n", "unit"], "one_more")
        .op("Add", &["one_more", "unit"], "two_more")
        .op("Mul", &["one_more", "two_more"], "length")
        .op("ConstantOfShape", &["length"], "zeros")
        .op_with("ReduceSum", &["zeros"], "sum", &[("keepdims", 0)])
        .op("Add", &["w", "sum"], "next")
}

/// The column itself.
pub(super) fn plain(graph: Graph) -> Graph {
    as_f32(n(graph), "n", "value").op("Add", &["w", "value"], "next")
}
