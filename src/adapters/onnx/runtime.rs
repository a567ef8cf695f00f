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
use crate::domain::tensor::Tensor;
use crate::ports::executor::RuntimeInfo;

/// Makes sessions.
pub(crate) trait Runtime {
    /// Name, version, library.
    fn info(&self) -> RuntimeInfo;

    /// Loads a checked graph.
    fn load(&self, graph: &CheckedGraph) -> Result<Box<dyn Session>, Failure>;
}

/// A loaded graph.
pub(crate) trait Session {
    /// One execution. Inputs and outputs stand in the order of the [`CheckedGraph`]; inputs have been compared with it.
    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, Failure>;
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

    /// One execution; `inputs` in the order of `graph.inputs`.
    pub(crate) fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, Failure> {
        if inputs.len() != self.graph.inputs.len() {
            return Err(Failure::internal(
                "an execution with another number of inputs than the graph has",
            ));
        }
        for (port, tensor) in self.graph.inputs.iter().zip(inputs) {
            fits(port, tensor).map_err(|f| f.within(&format!("input {:?}", port.name)))?;
        }
        let outputs = self.session.run(inputs)?;
        for (port, tensor) in self.graph.outputs.iter().zip(&outputs) {
            if port.dtype != tensor.dtype() {
                return Err(Failure::refused(format!(
                    "output {:?} is {}, but the graph declares {}; export it again",
                    port.name,
                    tensor.dtype().name(),
                    port.dtype.name()
                )));
            }
        }
        Ok(outputs)
    }
}

fn fits(port: &Port, tensor: &Tensor) -> Result<(), Failure> {
    if port.dtype != tensor.dtype() {
        return Err(Failure::refused(format!(
            "the graph takes {}, the value is {}",
            port.dtype.name(),
            tensor.dtype().name()
        )));
    }
    let Some(dims) = &port.dims else {
        return Ok(());
    };
    let same = dims.len() == tensor.shape().len()
        && dims
            .iter()
            .zip(tensor.shape())
            .all(|(d, n)| d.is_none_or(|d| d == *n));
    if same {
        return Ok(());
    }
    let dims: Vec<String> = dims
        .iter()
        .map(|d| d.map_or_else(|| "any".to_owned(), |d| d.to_string()))
        .collect();
    Err(Failure::refused(format!(
        "the graph takes shape [{}], the value has {:?}",
        dims.join(", "),
        tensor.shape()
    )))
}
