//! The process that executes graphs: reads one job, answers, ends.
//!
//! It walls itself in before it reads the job (`contain.rs`), so that whatever a graph makes a runtime do stays inside.
//! The batch loop runs here: values cross the pipe once a job, not once a batch.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, stdin, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use super::contain::{self, Containment, Sandbox};
use super::contract;
use super::datasets::{self, Datasets};
use super::drivers::{self, Graphs, graph_of};
use super::failure::{Failure, FailureKind};
use super::frame::{self, Blob, Blobs, Message};
use super::guard::{self, CheckedGraph, GraphLimits};
use super::job::{Job, Released, Reply, RuntimeChoice, Setup, Work};
use super::records;
use super::runtime::{self, Runtime};
use super::table;
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::ids::Name;
use delta_domain::manifest::{Manifest, RoundSpec};
use delta_domain::records::ReleasedRows;
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::certifier::Certifier;
use delta_ports::executor::{MapOutcome, ReduceOutcome};

/// Bytes of a setup message.
const SETUP_BYTES: u64 = 1 << 20;

/// The answer to a job.
type Answer = (Reply, Blobs);

/// The whole life of a worker: job on the standard input, answer on the standard output. Never returns an answer that is not one.
///
/// `certifier`: who makes and checks certificates, where the program has it.
/// Meant for the hidden subcommand `__worker`; started by hand it says so and fails.
#[must_use]
pub fn worker_main(certifier: Option<&dyn Certifier>) -> ExitCode {
    let left_open = contain::close_inherited();
    let (reply, blobs) = match catch_unwind(AssertUnwindSafe(|| serve(left_open, certifier))) {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => (Reply::Failed(failure), Blobs::new()),
        // The panic's own text went to the standard error, which the node keeps.
        Err(_) => (
            Reply::Failed(Failure::internal("the worker panicked")),
            Blobs::new(),
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

fn serve(left_open: usize, certifier: Option<&dyn Certifier>) -> Result<Answer, Failure> {
    let mut input = stdin().lock();
    let no_job = |e: std::io::Error| {
        Failure::internal(format!(
            "no job on the standard input ({e}); workers are started by delta-node"
        ))
    };
    let (setup, _) = frame::read::<Setup>(&mut input, SETUP_BYTES).map_err(no_job)?;
    contain::limit_early(setup.limits.cpu_seconds)?;
    // The walls stand before the library is loaded: it may start threads and talk to its maker as soon as it is (onnxruntime 1.31 does).
    let library = match &setup.runtime {
        RuntimeChoice::Onnxruntime(path) => Some(path.as_path()),
        RuntimeChoice::Tract | RuntimeChoice::None => None,
    };
    contain::limit_memory(setup.limits.memory_bytes, library.is_some())?;
    let containment = contain::close_in(&setup.readable, library, left_open);
    if setup.sandbox == Sandbox::Required {
        refuse_open_walls(&containment)?;
    }
    let runtime = match &setup.runtime {
        RuntimeChoice::None => None,
        choice => Some(runtime::start(choice, setup.threads)?),
    };
    datasets::read_with(setup.threads);
    // From here on, anything may be hostile.
    let (job, blobs) = frame::read::<Job>(&mut input, setup.limits.memory_bytes).map_err(no_job)?;
    drop(input);
    end_with_parent();
    let mut blobs = blobs.into_iter();
    let mut take = |n: usize| -> Blobs { blobs.by_ref().take(n).collect() };
    let files = take(job.graphs.len()).into_iter().filter_map(Blob::bytes);
    let variables = take(job.variables.len());
    let sums = take(job.sums.len());
    let job = Received {
        graphs: job.graphs.into_iter().zip(files).collect(),
        variables: tensors(job.variables, variables),
        sums: tensors(job.sums, sums),
        work: job.work,
    };
    match runtime {
        Some(runtime) => run(&*runtime, &setup.limits.graph, containment, job),
        None => without_runtime(certifier, &setup.limits.graph, containment, job),
    }
}

/// What needs no graph to run.
fn without_runtime(
    certifier: Option<&dyn Certifier>,
    limits: &GraphLimits,
    containment: Containment,
    job: Received,
) -> Result<Answer, Failure> {
    match job.work {
        Work::Probe => Ok((Reply::Walls(attempted(containment)), Blobs::new())),
        Work::Unpack { limits } => {
            let bundle = job.graphs.into_values().next().unwrap_or_default();
            unpack(&bundle, &limits)
        }
        Work::Prove { manifest } => {
            let proof = records::prove(&manifest, &check(job.graphs, limits)?)?;
            Ok((Reply::Proved(proof), Blobs::new()))
        }
        Work::Inspect { manifest, datasets } => {
            for name in datasets.keys() {
                datasets::inspect(&datasets, name, &manifest)?;
            }
            Ok((Reply::Inspected, Blobs::new()))
        }
        Work::Describe { datasets } => {
            let of = |(name, place): (_, _)| (name, datasets::describe(&place));
            let described = datasets.into_iter().map(of).collect();
            Ok((Reply::Described(described), Blobs::new()))
        }
        Work::Profile { place: Some(place) } => {
            Ok((Reply::Profiled(datasets::profile(&place)?), Blobs::new()))
        }
        Work::Table {
            schema,
            owner,
            proof,
        } => {
            let rows = table::rows(job.variables)?;
            let made = table::Made {
                certifier,
                schema: &schema,
                owner: &owner,
                rows,
            };
            match proof {
                None => made.commit(),
                Some(proof) => made.prove(&proof),
            }
        }
        Work::Assemble {
            claim,
            tolerance,
            members,
        } => {
            let messages: Vec<Vec<u8>> = job.graphs.into_values().collect();
            table::assemble(certifier, &claim, tolerance, &members, &messages)
        }
        Work::Judge => {
            let certificate = job.graphs.into_values().next().unwrap_or_default();
            table::judge(certifier, &certificate)
        }
        _ => Err(runtime::no_runtime()),
    }
}

fn unpack(bytes: &[u8], limits: &BundleLimits) -> Result<Answer, Failure> {
    let bundle =
        Bundle::open(bytes, limits).map_err(|e| Failure::rejected(delta_ports::report(&e)))?;
    let (manifest, graphs, mut initial) = bundle.into_parts();
    initial.retain(|name, _| {
        let spec = manifest.variables.get(name);
        spec.is_some_and(|spec| spec.init.is_some())
    });
    let reply = Reply::Unpacked {
        graphs: graphs.keys().cloned().collect(),
        arrays: initial.keys().cloned().collect(),
        manifest: Box::new(manifest),
    };
    let graphs = graphs.into_values().map(|b| Blob::Bytes(Cow::Owned(b)));
    let values = initial.into_values().map(|t| Blob::Tensor(Cow::Owned(t)));
    Ok((reply, graphs.chain(values).collect()))
}

/// Fails closed: where a wall is missing, no job is read.
fn refuse_open_walls(containment: &Containment) -> Result<(), Failure> {
    let gaps = containment.gaps();
    if gaps.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Unavailable,
        format!(
            "no task runs without its walls: {}. To run with those that there are, set executor.sandbox: best_effort",
            gaps.join("; ")
        ),
    ))
}

/// A job with its blobs in their places.
struct Received {
    graphs: BTreeMap<String, Vec<u8>>,
    variables: BTreeMap<Name, Tensor>,
    sums: BTreeMap<Name, Tensor>,
    work: Work,
}

fn tensors(names: Vec<Name>, blobs: Blobs) -> BTreeMap<Name, Tensor> {
    let values = blobs.into_iter().filter_map(Blob::tensor);
    names.into_iter().zip(values).collect()
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
    containment: Containment,
    job: Received,
) -> Result<Answer, Failure> {
    let Received {
        graphs,
        variables,
        sums,
        work,
    } = job;
    match work {
        Work::Probe => Ok(probe(runtime, containment)),
        Work::Unpack { .. }
        | Work::Prove { .. }
        | Work::Inspect { .. }
        | Work::Describe { .. }
        | Work::Profile { .. }
        | Work::Table { .. }
        | Work::Assemble { .. }
        | Work::Judge => Err(Failure::internal(
            "bundles are unpacked, proofs checked and data looked at without a runtime",
        )),
        Work::Check { manifest } => load_all(runtime, &manifest, &check(graphs, limits)?),
        Work::Map {
            manifest,
            step,
            iterators,
            noise,
            rules,
            datasets,
        } => {
            let spec = &round(&manifest, step)?.map;
            let mut graphs = Graphs::new(runtime, check(graphs, limits)?);
            let mut data = Datasets::new(&manifest.datasets, datasets);
            drivers::map(
                &mut graphs,
                &manifest,
                spec,
                variables,
                drivers::Local {
                    iterators,
                    rules: rules.as_ref(),
                    noise: noise.map(|seed| *seed.expose()),
                },
                &mut data,
            )
            .map(mapped)
        }
        Work::Rows {
            manifest,
            datasets,
            rules,
        } => {
            let mut graphs = Graphs::new(runtime, check(graphs, limits)?);
            let mut data = Datasets::new(&manifest.datasets, datasets);
            let (rows, released) =
                drivers::table(&mut graphs, &manifest, rules.as_ref(), &mut data)?;
            let (released, sets) = sets_of(released);
            let rows = [rows.features, rows.labels].into_iter().map(table::column);
            let rows: Blobs = rows.collect::<Result<_, Failure>>()?;
            let blobs = rows.into_iter().chain(sets).collect();
            Ok((Reply::Rows { released }, blobs))
        }
        Work::Reduce {
            manifest,
            step,
            clients,
        } => {
            let spec = &round(&manifest, step)?.reduce;
            let mut graphs = Graphs::new(runtime, check(graphs, limits)?);
            drivers::reduce(&mut graphs, &manifest, spec, variables, sums, clients)
                .and_then(reduced)
        }
    }
}

fn round(manifest: &Manifest, step: u32) -> Result<&RoundSpec, Failure> {
    let round = manifest.round_spec(step);
    round.ok_or_else(|| Failure::rejected(format!("the task has no step {step}")))
}

fn check(
    graphs: BTreeMap<String, Vec<u8>>,
    limits: &GraphLimits,
) -> Result<BTreeMap<String, CheckedGraph>, Failure> {
    graphs
        .into_iter()
        .map(|(name, file)| {
            let graph = guard::check(&file, limits).map_err(|f| f.within(&name))?;
            Ok((name, graph))
        })
        .collect()
}

/// Says what the runtime is, and whether the walls hold.
fn probe(runtime: &dyn Runtime, containment: Containment) -> Answer {
    let reply = Reply::Probed {
        runtime: runtime.info(),
        containment: attempted(containment),
    };
    (reply, Blobs::new())
}

/// The walls, tried out.
fn attempted(mut containment: Containment) -> Containment {
    containment.attempts = contain::attempt_escape();
    containment
}

/// Compares the graphs with their task, and loads those that this runtime would execute.
fn load_all(
    runtime: &dyn Runtime,
    manifest: &Manifest,
    checked: &BTreeMap<String, CheckedGraph>,
) -> Result<Answer, Failure> {
    contract::check(manifest, checked)?;
    let rounds = manifest.rounds.iter();
    let steps = rounds.flat_map(|r| r.map.steps.iter().chain(&r.reduce.steps));
    let name = runtime.info().name;
    let used: BTreeSet<&str> = steps.filter_map(|s| graph_of(s, &name)).collect();
    for file in used {
        let graph = checked
            .get(file)
            .ok_or_else(|| Failure::rejected(format!("the bundle has no graph {file}")))?;
        runtime.load(graph).map_err(|f| f.within(file))?;
    }
    Ok((Reply::Checked, Blobs::new()))
}

fn mapped(outcome: MapOutcome) -> Answer {
    let contributions = outcome.contributions.len();
    let (assigned, values): (Vec<Name>, Vec<Tensor>) = outcome.assigned.into_iter().unzip();
    let tensors = outcome.contributions.into_iter().chain(values);
    let mut blobs: Blobs = tensors.map(|t| Blob::Tensor(Cow::Owned(t))).collect();
    let (released, sets) = sets_of(outcome.released);
    blobs.extend(sets);
    let reply = Reply::Mapped {
        contributions,
        assigned,
        iterators: outcome.iterators,
        rows: outcome.rows,
        released,
    };
    (reply, blobs)
}

/// Which records sums count: what is said of it, and its blobs.
fn sets_of(all: Vec<ReleasedRows>) -> (Vec<Released>, Blobs) {
    let (mut released, mut blobs) = (Vec::with_capacity(all.len()), Blobs::new());
    for rows in all {
        released.push(Released {
            dataset: rows.dataset,
            units: rows.unit_of.is_some(),
            sets: rows.sets.len(),
        });
        let units: Option<Vec<u8>> = rows
            .unit_of
            .map(|units| units.iter().copied().flat_map(u32::to_le_bytes).collect());
        let sets = rows.sets.iter().map(|set| set.to_bytes());
        blobs.extend(
            units
                .into_iter()
                .chain(sets)
                .map(|b| Blob::Bytes(Cow::Owned(b))),
        );
    }
    (released, blobs)
}

fn reduced(outcome: ReduceOutcome) -> Result<Answer, Failure> {
    let numbers: Vec<f64> = outcome.metrics.values().copied().collect();
    let numbers = Tensor::new(vec![numbers.len()], TensorData::F64(numbers))
        .map_err(|e| Failure::internal(e.to_string()))?;
    let (assigned, values): (Vec<Name>, Vec<Tensor>) = outcome.assigned.into_iter().unzip();
    let tensors = values.into_iter().chain([numbers]);
    let blobs = tensors.map(|t| Blob::Tensor(Cow::Owned(t))).collect();
    let reply = Reply::Reduced {
        assigned,
        metrics: outcome.metrics.into_keys().collect(),
        stop: outcome.stop,
    };
    Ok((reply, blobs))
}
