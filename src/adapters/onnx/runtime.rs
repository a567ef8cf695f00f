//! What executes a graph: one trait, two runtimes.
//!
//! onnxruntime is faster and runs more; tract needs nothing but this program. Both run inside the worker only
//! (docs/protocol/graphs.md, Two runtimes).

mod onnxruntime;
mod session;
#[cfg(feature = "tract")]
mod tract;

use super::failure::{Failure, FailureKind};
use super::guard::{CheckedGraph, Port};
use super::job::RuntimeChoice;
use super::shape;
use delta_domain::tensor::{DType, Tensor};

use session::Session;
pub(crate) use session::{Input, Runtime};

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
        RuntimeChoice::None => Err(no_runtime()),
    }
}

/// What to say when there is nothing to execute graphs with.
pub(crate) fn no_runtime() -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        "no runtime: this program was built without tract and found no libonnxruntime; `pip install onnxruntime` or set executor.library",
    )
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
                return Err(Failure::rejected(format!(
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

/// Whether a value may go into an input.
fn fits(port: &Port, dtype: DType, shape: &[usize]) -> Result<(), Failure> {
    if port.dtype != dtype {
        return Err(Failure::rejected(format!(
            "the graph takes {}, the value is {}",
            port.dtype.name(),
            dtype.name()
        )));
    }
    match &port.dims {
        Some(dims) if !shape::fits(dims, shape) => Err(Failure::rejected(format!(
            "the graph takes shape {}, the value has {shape:?}",
            shape::text(dims),
        ))),
        _ => Ok(()),
    }
}
