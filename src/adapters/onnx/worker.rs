//! The process that executes graphs: reads one job, answers, ends.
//!
//! It walls itself in before it reads the job (`contain.rs`), so that whatever a graph makes a runtime do stays inside.
//! The batch loop runs here: values cross the pipe once a job, not once a batch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read as _, stdin, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use super::contain::{self, Containment};
use super::datasets::Datasets;
use super::drivers::{self, Graphs, graph_of};
use super::failure::Failure;
use super::frame::{self, Message};
use super::guard::{self, CheckedGraph, GraphLimits};
use super::job::{Job, Reply, RuntimeChoice, Setup, Work};
use super::runtime::{self, Runtime};
use super::{contract, failure::FailureKind};
use delta_domain::ids::Name;
use delta_domain::tensor::{Tensor, TensorData};

/// Bytes of a setup message.
const SETUP_BYTES: u64 = 1 << 20;

type Answer = (Reply, Vec<Cow<'static, [u8]>>);

/// The whole life of a worker: job on the standard input, answer on the standard output. Never returns an answer that is not one.
///
/// Meant for the hidden subcommand `__worker`; started by hand it says so and fails.
#[must_use]
pub fn worker_main() -> ExitCode {
    let (reply, blobs) = match catch_unwind(AssertUnwindSafe(serve)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => (Reply::Failed(failure), Vec::new()),
        // The panic's own text went to the standard error, which the node keeps.
        Err(_) => (
            Reply::Failed(Failure::internal("the worker panicked")),
            Vec::new(),
        ),
    };
    let written = Message::new(&reply, blobs)
        .map_err(std::io::Error::other)
        .and_then(|m| m.write(&mut stdout().lock()));
    if written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn serve() -> Result<Answer, Failure> {
    let mut input = stdin().lock();
    let broken = |e: std::io::Error| {
        Failure::internal(format!(
            "no job on the standard input ({e}); workers are started by delta-node"
        ))
    };
    let setup: Setup = Message::read(&mut input, SETUP_BYTES)
        .map_err(broken)?
        .parse()?;
    contain::limit_early(setup.limits.cpu_seconds)?;
    // The walls stand before the library is loaded: it may start threads and talk to its maker as soon as it is (onnxruntime 1.31 does).
    let library = match &setup.runtime {
        RuntimeChoice::Onnxruntime(path) => Some(path.as_path()),
        RuntimeChoice::Tract => None,
    };
    contain::limit_memory(setup.limits.memory_bytes, library.is_some())?;
    let containment = contain::close_in(&setup.readable, library);
    let runtime = runtime::start(&setup.runtime, setup.threads)?;
    // From here on, anything may be hostile.
    let message = Message::read(&mut input, setup.limits.memory_bytes).map_err(broken)?;
    drop(input);
    end_with_parent();
    let job: Job = message.parse()?;
    let mut blobs = message.blobs.into_iter();
    let mut take = |n: usize| -> Vec<Cow<'static, [u8]>> { blobs.by_ref().take(n).collect() };
    let files = take(job.graphs.len());
    let variables = take(job.variables.len());
    let sums = take(job.sums.len());
    let job = Received {
        graphs: job.graphs.into_iter().zip(files).collect(),
        variables: tensors(job.variables, variables)?,
        sums: tensors(job.sums, sums)?,
        work: job.work,
    };
    run(&*runtime, &setup.limits.graph, containment, job)
}

/// A job with its blobs in their places.
struct Received {
    graphs: BTreeMap<String, Cow<'static, [u8]>>,
    variables: BTreeMap<Name, Tensor>,
    sums: BTreeMap<Name, Tensor>,
    work: Work,
}

fn tensors(
    names: Vec<Name>,
    blobs: Vec<Cow<'static, [u8]>>,
) -> Result<BTreeMap<Name, Tensor>, Failure> {
    names
        .into_iter()
        .zip(blobs)
        .map(|(name, blob)| Ok((name, frame::decode(&blob)?)))
        .collect()
}

/// The node holds the other end of the standard input as long as it wants the answer. Without it there is nobody to work for.
fn end_with_parent() {
    let watch = std::thread::Builder::new()
        .name("parent".to_owned())
        .stack_size(64 << 10);
    // Without the watch the processor-time limit still ends an orphan.
    let _unwatched = watch.spawn(|| {
        let mut byte = [0u8; 1];
        let _ended = stdin().lock().read(&mut byte);
        std::process::abort();
    });
}

fn run(
    runtime: &dyn Runtime,
    limits: &GraphLimits,
    mut containment: Containment,
    job: Received,
) -> Result<Answer, Failure> {
    let Received {
        graphs,
        variables,
        sums,
        work,
    } = job;
    let check = |graphs: BTreeMap<String, Cow<'static, [u8]>>| -> Result<BTreeMap<String, CheckedGraph>, Failure> {
        graphs.into_iter().map(|(name, file)| Ok((name.clone(), guard::check(&file, limits).map_err(|f| f.within(&name))?))).collect()
    };
    let bad_step = |step: u32| Failure::refused(format!("the task has no step {step}"));
    match work {
        Work::Probe => {
            containment.attempts = contain::attempt_escape();
            Ok((
                Reply::Probed {
                    runtime: runtime.info(),
                    containment,
                },
                Vec::new(),
            ))
        }
        Work::Check { manifest } => {
            let checked = check(graphs)?;
            contract::check(&manifest, &checked)?;
            let steps = manifest
                .rounds
                .iter()
                .flat_map(|r| r.map.steps.iter().chain(&r.reduce.steps));
            let runtime_name = runtime.info().name;
            let mut used: Vec<&str> = steps.filter_map(|s| graph_of(s, &runtime_name)).collect();
            used.sort_unstable();
            used.dedup();
            for file in used {
                let graph = checked
                    .get(file)
                    .ok_or_else(|| Failure::refused(format!("the bundle has no graph {file}")))?;
                runtime.load(graph).map_err(|f| f.within(file))?;
            }
            Ok((Reply::Checked, Vec::new()))
        }
        Work::Map {
            manifest,
            step,
            iterators,
            datasets,
        } => {
            let round = manifest.round_spec(step).ok_or_else(|| bad_step(step))?;
            let mut graphs = Graphs::new(runtime, check(graphs)?);
            let mut data = Datasets::new(&manifest.datasets, datasets);
            let outcome = drivers::map(
                &mut graphs,
                &manifest,
                &round.map,
                &variables,
                iterators,
                &mut data,
            )?;
            let blobs = outcome
                .contributions
                .iter()
                .chain(outcome.assigned.values())
                .map(|t| Cow::Owned(frame::encode(t)))
                .collect();
            let reply = Reply::Mapped {
                contributions: outcome.contributions.len(),
                assigned: outcome.assigned.into_keys().collect(),
                iterators: outcome.iterators,
                rows: outcome.rows,
            };
            Ok((reply, blobs))
        }
        Work::Reduce {
            manifest,
            step,
            clients,
        } => {
            let round = manifest.round_spec(step).ok_or_else(|| bad_step(step))?;
            let mut graphs = Graphs::new(runtime, check(graphs)?);
            let outcome = drivers::reduce(
                &mut graphs,
                &manifest,
                &round.reduce,
                &variables,
                &sums,
                clients,
            )?;
            let numbers: Vec<f64> = outcome.metrics.values().copied().collect();
            let numbers = Tensor::new(vec![numbers.len()], TensorData::F64(numbers))
                .map_err(|e| Failure::new(FailureKind::Internal, e.to_string()))?;
            let blobs = outcome
                .assigned
                .values()
                .chain(std::iter::once(&numbers))
                .map(|t| Cow::Owned(frame::encode(t)))
                .collect();
            let reply = Reply::Reduced {
                assigned: outcome.assigned.into_keys().collect(),
                metrics: outcome.metrics.into_keys().collect(),
                stop: outcome.stop,
            };
            Ok((reply, blobs))
        }
    }
}
