//! tract, embedded: slower than onnxruntime, but part of this program.
//!
//! Called through its own crate, so that its panics are caught here; what aborts takes only the worker.
//! A plan is compiled for the exact shapes of its inputs: a pinned batch runs up to three times faster than a symbolic one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{
    Datum as _, DatumType, Framework as _, InferenceFact, InferenceModel, InferenceModelExt as _,
    IntoRunnable as _, TValue, TVec, Tensor as TractTensor, TractResult, TypedRunnableModel,
};

use super::session::{Input, Runtime, Session, not_kept, runtime_error};
use crate::failure::Failure;
use crate::guard::CheckedGraph;
use delta_domain::tensor::{DType, Tensor, TensorData};
use delta_ports::executor::RuntimeInfo;

/// tract does not tell its version: the one that Cargo.toml pins.
const VERSION: &str = "0.23.9";
/// Compiled plans kept by a session: the full batch, the last batch, and some room.
const PLANS: usize = 8;

pub(super) struct Tract;

impl Runtime for Tract {
    fn info(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: "tract".to_owned(),
            version: VERSION.to_owned(),
            library: None,
        }
    }

    fn load(&self, graph: &CheckedGraph) -> Result<Box<dyn Session>, Failure> {
        let model = calm("refuses the graph", || {
            tract_onnx::onnx().model_for_read(&mut graph.bytes.as_slice())
        })?;
        let unknown: Vec<String> = model
            .nodes()
            .iter()
            .filter(|n| n.op.name() == "Unimplemented")
            .map(|n| n.name.clone())
            .take(5)
            .collect();
        if !unknown.is_empty() {
            return Err(Failure::rejected(format!(
                "tract does not know the operators of the nodes {unknown:?}; install onnxruntime on this node, or express the step otherwise"
            )));
        }
        Ok(Box::new(Loaded {
            model,
            outputs: graph.outputs.iter().map(|p| p.dtype).collect(),
            plans: BTreeMap::new(),
            kept: BTreeMap::new(),
        }))
    }
}

struct Loaded {
    model: InferenceModel,
    outputs: Vec<DType>,
    plans: BTreeMap<Vec<Vec<usize>>, Arc<TypedRunnableModel>>,
    /// By the output's number, in the declared type.
    kept: BTreeMap<usize, TValue>,
}

impl Loaded {
    fn plan(&mut self, inputs: &[TValue]) -> Result<Arc<TypedRunnableModel>, Failure> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
        if let Some(plan) = self.plans.get(&shapes) {
            return Ok(Arc::clone(plan));
        }
        let plan = calm("cannot compile the graph for these shapes", || {
            let mut model = self.model.clone();
            for (index, tensor) in inputs.iter().enumerate() {
                model.set_input_fact(
                    index,
                    InferenceFact::dt_shape(tensor.datum_type(), tensor.shape()),
                )?;
            }
            model.into_optimized()?.into_runnable()
        })?;
        if self.plans.len() >= PLANS {
            self.plans.clear();
        }
        self.plans.insert(shapes, Arc::clone(&plan));
        Ok(plan)
    }

    fn held(&self, output: usize) -> Result<&TValue, Failure> {
        self.kept.get(&output).ok_or_else(|| not_kept(output))
    }
}

impl Session for Loaded {
    fn run(
        &mut self,
        inputs: &[Input<'_>],
        keep: &[usize],
    ) -> Result<Vec<Option<Tensor>>, Failure> {
        let mut values: TVec<TValue> = TVec::with_capacity(inputs.len());
        for input in inputs {
            values.push(match input {
                Input::Given(tensor) => calm("stopped", || Ok(TValue::from(put(tensor)?)))?,
                Input::Kept(output) => self.held(*output)?.clone(),
            });
        }
        let plan = self.plan(&values)?;
        let outputs = calm("stopped", || plan.run(values))?;
        let mut made = Vec::with_capacity(outputs.len());
        for (number, (value, dtype)) in outputs.into_iter().zip(&self.outputs).enumerate() {
            // tract keeps shapes in a symbolic type of its own.
            let value = if value.datum_type() == datum(*dtype) {
                value
            } else {
                calm("stopped", || {
                    Ok(TValue::from(value.cast_to_dt(datum(*dtype))?.into_owned()))
                })?
            };
            made.push(if keep.contains(&number) {
                self.kept.insert(number, value);
                None
            } else {
                Some(calm("stopped", || take(&value, *dtype))?)
            });
        }
        Ok(made)
    }

    fn kept_form(&self, output: usize) -> Result<(DType, Vec<usize>), Failure> {
        let dtype = self.outputs.get(output).copied();
        let shape = self.held(output)?.shape().to_vec();
        Ok((dtype.ok_or_else(|| not_kept(output))?, shape))
    }

    fn take_kept(&mut self, output: usize) -> Result<Tensor, Failure> {
        let dtype = self.kept_form(output)?.0;
        let value = self.kept.remove(&output);
        let value = value.ok_or_else(|| not_kept(output))?;
        calm("stopped", || take(&value, dtype))
    }
}

/// Runs tract code: a panic in it is an error of the graph.
fn calm<T>(what: &str, work: impl FnOnce() -> TractResult<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(runtime_error(
            &format!("tract {what}"),
            &format!("{error:#}"),
        )),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let what = format!("tract {what} (it panicked; onnxruntime may run it)");
            Err(runtime_error(&what, text.unwrap_or("no message")))
        }
    }
}

fn datum(dtype: DType) -> DatumType {
    match dtype {
        DType::F32 => f32::datum_type(),
        DType::F64 => f64::datum_type(),
        DType::I32 => i32::datum_type(),
        DType::I64 => i64::datum_type(),
        DType::U8 => u8::datum_type(),
        DType::Bool => bool::datum_type(),
    }
}

fn put(tensor: &Tensor) -> TractResult<TractTensor> {
    let shape = tensor.shape();
    match tensor.data() {
        TensorData::F32(v) => TractTensor::from_shape(shape, v),
        TensorData::F64(v) => TractTensor::from_shape(shape, v),
        TensorData::I32(v) => TractTensor::from_shape(shape, v),
        TensorData::I64(v) => TractTensor::from_shape(shape, v),
        TensorData::U8(v) => TractTensor::from_shape(shape, v),
        TensorData::Bool(v) => TractTensor::from_shape(shape, v),
    }
}

fn take(value: &TractTensor, dtype: DType) -> TractResult<Tensor> {
    let shape = value.shape().to_vec();
    macro_rules! copy {
        ($ty:ty, $variant:ident) => {
            TensorData::$variant(
                value
                    .to_plain_array_view::<$ty>()?
                    .iter()
                    .copied()
                    .collect(),
            )
        };
    }
    let data = match dtype {
        DType::F32 => copy!(f32, F32),
        DType::F64 => copy!(f64, F64),
        DType::I32 => copy!(i32, I32),
        DType::I64 => copy!(i64, I64),
        DType::U8 => copy!(u8, U8),
        DType::Bool => copy!(bool, Bool),
    };
    Ok(Tensor::new(shape, data)?)
}
