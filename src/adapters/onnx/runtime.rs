//! What executes a graph: one trait, two runtimes.
//!
//! onnxruntime is faster and runs more; tract needs nothing but this program. Both run inside the worker only (ONNX.md section 5).

mod onnxruntime;
#[cfg(feature = "tract")]
mod tract;

use std::path::Path;

use super::failure::{Failure, FailureKind};
use super::guard::{CheckedGraph, Port};
use super::job::RuntimeChoice;
use delta_domain::tensor::{DType, Tensor};
use delta_ports::executor::RuntimeInfo;

/// Makes sessions.
pub(crate) trait Runtime {
    /// Name, version, library.
    fn info(&self) -> RuntimeInfo;

    /// Loads a checked graph.
    fn load(&self, graph: &CheckedGraph) -> Result<Box<dyn Session>, Failure>;
}

/// What an execution reads.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// A tensor of ours.
    Given(&'a Tensor),
    /// The output of this number of the execution before, which the runtime was told to keep: a training step's parameters go round
    /// without being copied.
    Kept(usize),
}

/// A loaded graph.
pub(crate) trait Session {
    /// One execution. Inputs and outputs stand in the order of the [`CheckedGraph`]; inputs have been compared with it. Outputs whose
    /// numbers are in `keep` stay with the runtime until the next execution that keeps them: in the answer they are `None`.
    fn run(&mut self, inputs: &[Input<'_>], keep: &[usize])
    -> Result<Vec<Option<Tensor>>, Failure>;

    /// Type and shape of a kept output.
    fn kept_form(&self, output: usize) -> Result<(DType, Vec<usize>), Failure>;

    /// A kept output as a tensor of ours; the runtime keeps it no longer.
    fn take_kept(&mut self, output: usize) -> Result<Tensor, Failure>;
}

fn not_kept(output: usize) -> Failure {
    Failure::internal(format!("output {output} was not kept"))
}

/// Starts the chosen runtime in this process.
pub(crate) fn start(choice: &RuntimeChoice, threads: usize) -> Result<Box<dyn Runtime>, Failure> {
    match choice {
        RuntimeChoice::Onnxruntime(library) => {
            Ok(Box::new(onnxruntime::Onnxruntime::start(library, threads)?))
        }
        #[cfg(feature = "tract")]
        RuntimeChoice::Tract => Ok(Box::new(tract::Tract)),
        #[cfg(not(feature = "tract"))]
        RuntimeChoice::Tract => Err(no_runtime()),
    }
}

/// What to say when there is nothing to execute graphs with.
pub(crate) fn no_runtime() -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        "no runtime: this program was built without tract and found no libonnxruntime; `pip install onnxruntime` or set executor.library",
    )
}

/// What a runtime complains about, as the task's fault or as the memory limit that it ran into: an allocation that is refused comes back
/// as a text, not as a crash.
fn trouble(what: &str, message: &str) -> Failure {
    let lower = message.to_lowercase();
    let text: String = message.chars().take(2000).collect();
    if [
        "bad_alloc",
        "bad allocation",
        "failed to allocate",
        "out of memory",
    ]
    .iter()
    .any(|m| lower.contains(m))
    {
        Failure::exhausted(format!(
            "the graph needs more memory than this node allows (limit executor.memory): {text}"
        ))
    } else {
        Failure::refused(format!("{what}: {text}"))
    }
}

/// The version of a library, as far as its name tells.
fn version_of(library: &Path) -> String {
    super::library::version(library).unwrap_or_else(|| "unknown".to_owned())
}

/// A loaded graph with its types: compares every input before the runtime sees it, and every output after.
pub(crate) struct Loaded {
    pub(crate) graph: CheckedGraph,
    session: Box<dyn Session>,
}

impl Loaded {
    pub(crate) fn new(runtime: &dyn Runtime, graph: CheckedGraph) -> Result<Self, Failure> {
        let session = runtime.load(&graph)?;
        Ok(Self { graph, session })
    }

    /// One execution; `inputs` in the order of `graph.inputs`, the answer in the order of `graph.outputs`. See [`Session::run`].
    pub(crate) fn run(
        &mut self,
        inputs: &[Input<'_>],
        keep: &[usize],
    ) -> Result<Vec<Option<Tensor>>, Failure> {
        if inputs.len() != self.graph.inputs.len() {
            return Err(Failure::internal(
                "an execution with another number of inputs than the graph has",
            ));
        }
        for (port, input) in self.graph.inputs.iter().zip(inputs) {
            let within = |f: Failure| f.within(&format!("input {:?}", port.name));
            match input {
                Input::Given(tensor) => fits(port, tensor.dtype(), tensor.shape()),
                Input::Kept(output) => {
                    let (dtype, shape) = self.session.kept_form(*output)?;
                    fits(port, dtype, &shape)
                }
            }
            .map_err(within)?;
        }
        let outputs = self.session.run(inputs, keep)?;
        for (number, (port, tensor)) in self.graph.outputs.iter().zip(&outputs).enumerate() {
            let dtype = match tensor {
                Some(tensor) => tensor.dtype(),
                None => self.session.kept_form(number)?.0,
            };
            if port.dtype != dtype {
                return Err(Failure::refused(format!(
                    "output {:?} is {}, but the graph declares {}; export it again",
                    port.name,
                    dtype.name(),
                    port.dtype.name()
                )));
            }
        }
        Ok(outputs)
    }

    /// A kept output as a tensor of ours; the runtime keeps it no longer.
    pub(crate) fn take_kept(&mut self, output: usize) -> Result<Tensor, Failure> {
        self.session.take_kept(output)
    }
}

fn fits(port: &Port, dtype: DType, shape: &[usize]) -> Result<(), Failure> {
    if port.dtype != dtype {
        return Err(Failure::refused(format!(
            "the graph takes {}, the value is {}",
            port.dtype.name(),
            dtype.name()
        )));
    }
    let Some(dims) = &port.dims else {
        return Ok(());
    };
    let same = dims.len() == shape.len()
        && dims
            .iter()
            .zip(shape)
            .all(|(d, n)| d.is_none_or(|d| d == *n));
    if same {
        return Ok(());
    }
    let dims: Vec<String> = dims
        .iter()
        .map(|d| d.map_or_else(|| "any".to_owned(), |d| d.to_string()))
        .collect();
    Err(Failure::refused(format!(
        "the graph takes shape [{}], the value has {shape:?}",
        dims.join(", "),
    )))
}
