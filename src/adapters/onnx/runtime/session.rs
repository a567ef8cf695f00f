//! What a runtime must be able to do: load a checked graph, and execute it.

use crate::failure::Failure;
use crate::guard::CheckedGraph;
use delta_domain::tensor::{DType, Tensor};
use delta_ports::executor::RuntimeInfo;

/// A library that executes graphs, started in this process.
pub(crate) trait Runtime {
    /// What users and logs are told of it; its name decides between the forms of a step's graph.
    fn info(&self) -> RuntimeInfo;

    /// Loads a checked graph, compiling what can be compiled without its inputs.
    fn load(&self, graph: &CheckedGraph) -> Result<Box<dyn Session>, Failure>;
}

/// One input of an execution.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// A tensor of the drivers', lent for the execution.
    Given(&'a Tensor),
    /// The output of this number of the execution before, which the runtime was told to keep: a training step's parameters go round
    /// without being copied.
    Kept(usize),
}

/// A graph that its runtime has loaded.
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

/// An output was asked for that no execution has kept: a bug.
pub(super) fn not_kept(output: usize) -> Failure {
    Failure::internal(format!("output {output} was not kept"))
}

/// A runtime's own error, laid to the task or to the memory limit that it ran into: an allocation that does not succeed comes back as a
/// text, not as a crash.
pub(super) fn runtime_error(what: &str, message: &str) -> Failure {
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
        Failure::rejected(format!("{what}: {text}"))
    }
}
