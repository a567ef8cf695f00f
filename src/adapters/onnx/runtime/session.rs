//! What a runtime must be able to do: load a checked graph, and execute it.

use crate::failure::Failure;
use crate::guard::CheckedGraph;
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

/// An output was asked for that no execution has kept: a bug.
pub(super) fn not_kept(output: usize) -> Failure {
    Failure::internal(format!("output {output} was not kept"))
}

/// What a runtime complains about, as the task's fault or as the memory limit that it ran into: an allocation that is refused comes back
/// as a text, not as a crash.
pub(super) fn trouble(what: &str, message: &str) -> Failure {
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
