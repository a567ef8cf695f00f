//! onnxruntime, loaded from a library file (ONNX.md section 1).
//!
//! One session a graph, its own thread pool, no spinning: a node shares its machine. No `ort` type leaves this file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, TensorElementType, TensorRef};

use super::{Runtime, Session, trouble, version_of};
use crate::adapters::onnx::failure::{Failure, FailureKind};
use crate::adapters::onnx::guard::CheckedGraph;
use crate::domain::tensor::{Tensor, TensorData};
use crate::ports::executor::RuntimeInfo;

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
            version: version_of(&self.library),
            library: Some(self.library.display().to_string()),
        }
    }

    fn load(&self, graph: &CheckedGraph) -> Result<Box<dyn Session>, Failure> {
        let session = self
            .session(&graph.bytes)
            .map_err(|e| trouble("onnxruntime refuses the graph", &e))?;
        Ok(Box::new(Loaded {
            session,
            inputs: graph.inputs.iter().map(|p| p.name.clone()).collect(),
            outputs: graph.outputs.iter().map(|p| p.name.clone()).collect(),
        }))
    }
}

struct Loaded {
    session: OrtSession,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Session for Loaded {
    fn run(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, Failure> {
        let failed = |e: String| trouble("onnxruntime stopped", &e);
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(inputs.len());
        for (name, tensor) in self.inputs.iter().zip(inputs) {
            values.push((
                Cow::Borrowed(name.as_str()),
                view(tensor).map_err(|e| failed(e.to_string()))?,
            ));
        }
        let outputs = self
            .session
            .run(values)
            .map_err(|e| failed(e.to_string()))?;
        self.outputs
            .iter()
            .map(|name| {
                let value = outputs
                    .get(name.as_str())
                    .ok_or_else(|| failed(format!("output {name:?} is missing")))?;
                copy(value).map_err(failed)
            })
            .collect()
    }
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
            (
                shape
                    .iter()
                    .map(|d| usize::try_from(*d))
                    .collect::<Result<Vec<_>, _>>(),
                TensorData::$variant(data.to_vec()),
            )
        }};
    }
    let (shape, data) = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => take!(f32, F32),
        Some(TensorElementType::Float64) => take!(f64, F64),
        Some(TensorElementType::Int32) => take!(i32, I32),
        Some(TensorElementType::Int64) => take!(i64, I64),
        Some(TensorElementType::Uint8) => take!(u8, U8),
        Some(TensorElementType::Bool) => take!(bool, Bool),
        other => return Err(format!("an output of type {other:?}")),
    };
    Tensor::new(shape.map_err(|e| e.to_string())?, data).map_err(|e| e.to_string())
}
