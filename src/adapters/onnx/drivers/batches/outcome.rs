//! What the outputs of a graph become over the batches of a round: the last value, a sum, or what is carried on.

use std::collections::BTreeMap;

use crate::convert::widen;
use crate::failure::Failure;
use crate::guard::Port;
use crate::runtime::Loaded;
use delta_domain::ids::Name;
use delta_domain::manifest::{Step, Target};
use delta_domain::tensor::{Tensor, TensorData};

/// What the outputs have become so far.
#[derive(Default)]
pub(super) struct Outcome {
    /// Whether a batch has run, so that carried outputs exist.
    pub(super) begun: bool,
    /// Running totals, by the graph's output; `None` before the first batch.
    sums: BTreeMap<String, Option<Total>>,
    last: BTreeMap<String, Tensor>,
}

impl Outcome {
    /// Takes the outputs of one batch: `None` for those that stay with the runtime.
    pub(super) fn take(
        &mut self,
        step: &Step,
        ports: &[Port],
        outputs: Vec<Option<Tensor>>,
    ) -> Result<(), Failure> {
        self.begun = true;
        for (port, tensor) in ports.iter().zip(outputs) {
            let Some(tensor) = tensor else { continue };
            match step.outputs.get(&port.name) {
                None | Some(Target::Carry { .. }) => {}
                Some(Target::Value { .. }) => {
                    self.last.insert(port.name.clone(), tensor);
                }
                Some(Target::Left { .. } | Target::Right { .. }) => {
                    return Err(misplaced(&port.name));
                }
                Some(Target::Sum { .. }) => {
                    let total = self.sums.entry(port.name.clone()).or_default();
                    Total::add(total, &tensor)
                        .map_err(|f| f.within(&format!("output {:?}", port.name)))?;
                }
            }
        }
        Ok(())
    }

    /// The named values of the round: of each output its last value, its sum, or what the runtime has kept of it.
    pub(super) fn finish(
        mut self,
        step: &Step,
        graph: &mut Loaded,
        carried: &BTreeMap<String, usize>,
    ) -> Result<BTreeMap<Name, Tensor>, Failure> {
        let mut values = BTreeMap::new();
        for (output, target) in &step.outputs {
            let (name, value) = match target {
                Target::Value { name } => (name, self.last.remove(output)),
                Target::Carry { input, name } => {
                    let number = carried.get(input).filter(|_| self.begun);
                    (name, number.map(|n| graph.take_kept(*n)).transpose()?)
                }
                Target::Left { .. } | Target::Right { .. } => return Err(misplaced(output)),
                Target::Sum { name } => {
                    let total = self.sums.remove(output).flatten();
                    let tensor = total.map(|t| {
                        Tensor::new(t.shape, TensorData::F64(t.sum))
                            .map_err(|e| Failure::internal(e.to_string()))
                    });
                    (name, tensor.transpose()?)
                }
            };
            let value = value.ok_or_else(|| {
                Failure::rejected(format!("the round has no batch, so {name} has no value"))
            })?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

/// The check of a manifest lets no such target come here.
fn misplaced(output: &str) -> Failure {
    Failure::rejected(format!(
        "output {output:?}: products exist under the driver records only"
    ))
}

/// A running total in `f64`.
struct Total {
    shape: Vec<usize>,
    sum: Vec<f64>,
}

impl Total {
    fn add(total: &mut Option<Self>, value: &Tensor) -> Result<(), Failure> {
        let more = widen(value);
        match total {
            None => {
                *total = Some(Self {
                    shape: value.shape().to_vec(),
                    sum: more,
                })
            }
            Some(t) if t.shape == value.shape() => {
                t.sum.iter_mut().zip(more).for_each(|(s, m)| *s += m)
            }
            Some(t) => {
                return Err(Failure::rejected(format!(
                    "a summed output changed its shape from {:?} to {:?}; reduce it to a fixed shape in the graph",
                    t.shape,
                    value.shape()
                )));
            }
        }
        Ok(())
    }
}
