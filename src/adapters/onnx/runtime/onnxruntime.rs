//! onnxruntime, loaded from a library file (docs/protocol/graphs.md, Two runtimes).
//!
//! One session a graph, its own thread pool, no spinning: a node shares its machine. No `ort` type leaves this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, TensorElementType, TensorRef};

use super::session::{Input, Runtime, Session, not_kept, runtime_error};
use crate::failure::{Failure, FailureKind};
use crate::guard::CheckedGraph;
use crate::library;
use delta_domain::tensor::{DType, Tensor, TensorData};
use delta_ports::executor::RuntimeInfo;

pub(super) struct Onnxruntime {
    environment: Environment,
    library: PathBuf,
    threads: usize,
}

impl Onnxruntime {
    pub(super) fn start(library: &Path, threads: usize) -> Result<Self, Failure> {
        let unusable = |why: String| {
            Failure::new(
                FailureKind::Unavailable,
                format!(
                    "{} cannot be used as onnxruntime (1.17 or newer): {why}",
                    library.display()
                ),
            )
        };
        let builder = ort::init_from(library).map_err(|e| unusable(e.to_string()))?;
        let environment = builder
            .with_telemetry(false)
            .build()
            .map_err(|e| unusable(e.to_string()))?;
        environment.set_log_level(ort::logging::LogLevel::Error);
        Ok(Self {
            environment,
            library: library.to_owned(),
            threads,
        })
    }

    fn session(&self, bytes: &[u8]) -> Result<OrtSession, String> {
        let mut builder = OrtSession::builder(&self.environment).map_err(|e| e.to_string())?;
        builder = builder
            .with_intra_threads(self.threads)
            .map_err(|e| e.to_string())?;
        builder = builder.with_inter_threads(1).map_err(|e| e.to_string())?;
        builder = builder
            .with_intra_op_spinning(false)
            .map_err(|e| e.to_string())?;
        builder = builder
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|e| e.to_string())?;
        builder.commit_from_memory(bytes).map_err(|e| e.to_string())
    }
}

impl Runtime for Onnxruntime {
    fn info(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: "onnxruntime".to_owned(),
            version: library::version(&self.library).unwrap_or_else(|| "unknown".to_owned()),
            library: Some(self.library.display().to_string()),
        }
    }

    fn load(&self, graph: &CheckedGraph) -> Result<Box<dyn Session>, Failure> {
        let session = self
            .session(&graph.bytes)
            .map_err(|e| runtime_error("onnxruntime refuses the graph", &e))?;
        Ok(Box::new(Loaded {
            session,
            inputs: graph.inputs.iter().map(|p| p.name.clone()).collect(),
            outputs: graph.outputs.iter().map(|p| p.name.clone()).collect(),
            kept: BTreeMap::new(),
        }))
    }
}

struct Loaded {
    session: OrtSession,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Outputs that stay, by their number.
    kept: BTreeMap<usize, Kept>,
}

/// An output that stays here.
enum Kept {
    /// In memory of the runtime's.
    Theirs(DynValue),
    /// An input that is an output as well: the runtime does not copy it, it is the memory that was lent for the execution.
    Ours(Tensor),
}

fn failed(e: &impl std::fmt::Display) -> Failure {
    runtime_error("onnxruntime stopped", &e.to_string())
}

impl Session for Loaded {
    fn run(
        &mut self,
        inputs: &[Input<'_>],
        keep: &[usize],
    ) -> Result<Vec<Option<Tensor>>, Failure> {
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(inputs.len());
        for (name, input) in self.inputs.iter().zip(inputs) {
            let value = match input {
                Input::Given(tensor) => view(tensor).map_err(|e| failed(&e))?,
                Input::Kept(output) => match self.kept.get(output) {
                    Some(Kept::Theirs(value)) => value.into(),
                    Some(Kept::Ours(tensor)) => view(tensor).map_err(|e| failed(&e))?,
                    None => return Err(not_kept(*output)),
                },
            };
            values.push((Cow::Borrowed(name.as_str()), value));
        }
        let mut outputs = self.session.run(values).map_err(|e| failed(&e))?;
        let (mut made, mut fresh) = (Vec::with_capacity(self.outputs.len()), Vec::new());
        for (number, name) in self.outputs.iter().enumerate() {
            let value = outputs
                .remove(name.as_str())
                .ok_or_else(|| failed(&format!("output {name:?} is missing")))?;
            let kept = keep.contains(&number);
            made.push(if kept && !self.inputs.contains(name) {
                fresh.push((number, Kept::Theirs(value)));
                None
            } else {
                let tensor = copy(&value).map_err(|e| failed(&e))?;
                if kept {
                    fresh.push((number, Kept::Ours(tensor)));
                    None
                } else {
                    Some(tensor)
                }
            });
        }
        drop(outputs);
        self.kept.extend(fresh);
        Ok(made)
    }

    fn kept_form(&self, output: usize) -> Result<(DType, Vec<usize>), Failure> {
        let value = match self.kept.get(&output) {
            Some(Kept::Theirs(value)) => value,
            Some(Kept::Ours(tensor)) => return Ok((tensor.dtype(), tensor.shape().to_vec())),
            None => return Err(not_kept(output)),
        };
        let dtype = value.dtype();
        let kind = dtype.tensor_type().and_then(dtype_of);
        let kind = kind.ok_or_else(|| failed(&format!("an output of type {dtype}")))?;
        Ok((kind, dims(value.shape()).map_err(|e| failed(&e))?))
    }

    fn take_kept(&mut self, output: usize) -> Result<Tensor, Failure> {
        match self.kept.remove(&output) {
            Some(Kept::Theirs(value)) => copy(&value).map_err(|e| failed(&e)),
            Some(Kept::Ours(tensor)) => Ok(tensor),
            None => Err(not_kept(output)),
        }
    }
}

fn dtype_of(element: TensorElementType) -> Option<DType> {
    Some(match element {
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float64 => DType::F64,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Bool => DType::Bool,
        _ => return None,
    })
}

fn dims(shape: &[i64]) -> Result<Vec<usize>, String> {
    shape
        .iter()
        .map(|d| usize::try_from(*d).map_err(|e| e.to_string()))
        .collect()
}

/// The tensor as the runtime's, without copying.
fn view(tensor: &Tensor) -> Result<SessionInputValue<'_>, ort::Error> {
    let shape = tensor.shape().to_vec();
    Ok(match tensor.data() {
        TensorData::F32(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        TensorData::F64(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        TensorData::I32(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        TensorData::I64(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        TensorData::U8(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        TensorData::Bool(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
    })
}

fn copy(value: &DynValue) -> Result<Tensor, String> {
    macro_rules! take {
        ($ty:ty, $variant:ident) => {{
            let (shape, data) = value
                .try_extract_tensor::<$ty>()
                .map_err(|e| e.to_string())?;
            (dims(shape)?, TensorData::$variant(data.to_vec()))
        }};
    }
    let element = value.dtype().tensor_type();
    let (shape, data) = match element.and_then(dtype_of) {
        Some(DType::F32) => take!(f32, F32),
        Some(DType::F64) => take!(f64, F64),
        Some(DType::I32) => take!(i32, I32),
        Some(DType::I64) => take!(i64, I64),
        Some(DType::U8) => take!(u8, U8),
        Some(DType::Bool) => take!(bool, Bool),
        None => return Err(format!("an output of type {element:?}")),
    };
    Tensor::new(shape, data).map_err(|e| e.to_string())
}
