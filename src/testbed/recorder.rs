//! The demonstration's witness: remembers what each node contributed and what the coordinator got, to compare the two.
//!
//! It sits around the executors of the demonstration's own nodes. No real node has one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::catalogue::Outline;
use delta_domain::ids::{DatasetName, Digest, Name};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::word::Ring;
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::PortError;
use delta_ports::certificates::Certificates;
use delta_ports::executor::{
    DatasetSummary, Executor, MapJob, MapOutcome, ReduceJob, ReduceOutcome, RuntimeInfo, Whose,
};

/// What was seen, by step.
#[derive(Debug, Default)]
struct Seen {
    /// Contributions by step and node.
    contributed: BTreeMap<(u32, usize), Vec<Tensor>>,
    /// What the coordinator's reduce was given, by step.
    sums: BTreeMap<u32, BTreeMap<Name, Tensor>>,
}

/// The witness of all nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    /// Whether the sums of a step are, bit for bit, the plain sums of what `nodes` contributed.
    pub(super) fn exact(&self, bundle: &Bundle, step: u32, nodes: &[usize]) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(spec), Some(sums)) = (bundle.manifest().round_spec(step), seen.sums.get(&step))
        else {
            return false;
        };
        let precision = bundle.manifest().strategy.precision;
        let encoding = Encoding::new(Ring::Z64, precision, nodes.len());
        spec.map
            .contribute
            .iter()
            .enumerate()
            .all(|(i, contribution)| {
                let parts: Option<Vec<&Tensor>> = nodes
                    .iter()
                    .map(|n| seen.contributed.get(&(step, *n)).and_then(|c| c.get(i)))
                    .collect();
                let (Some(parts), Some(sum)) = (parts, sums.get(&contribution.name)) else {
                    return false;
                };
                plain_sum(&parts, encoding).is_some_and(|plain| same_bits(&plain, sum))
            })
    }
}

/// The sum of encoded values without any mask, as `f64`.
fn plain_sum(parts: &[&Tensor], encoding: Encoding) -> Option<Vec<f64>> {
    let mut total: Vec<u64> = Vec::new();
    for part in parts {
        let mut words: Vec<u64> = Vec::new();
        let all = 0..part.len();
        encoding.encode_part(part, all, None, &mut words).ok()?;
        total.resize(words.len(), 0);
        for (t, w) in total.iter_mut().zip(&words) {
            *t = t.wrapping_add(*w);
        }
    }
    let mut plain = Vec::new();
    encoding.decode(&total, &mut plain);
    Some(plain)
}

fn same_bits(plain: &[f64], sum: &Tensor) -> bool {
    match sum.data() {
        TensorData::F64(v) => v
            .iter()
            .map(|x| x.to_bits())
            .eq(plain.iter().map(|x| x.to_bits())),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the sum is declared as f32"
        )]
        TensorData::F32(v) => v
            .iter()
            .map(|x| x.to_bits())
            .eq(plain.iter().map(|x| (*x as f32).to_bits())),
        _ => false,
    }
}

/// An executor under witness. At the step `doomed`, it reports that it has begun and never ends.
pub(super) struct Witnessed {
    pub(super) inner: Arc<dyn Executor>,
    pub(super) witness: Witness,
    pub(super) node: usize,
    pub(super) doomed: Option<(u32, watch::Sender<bool>)>,
}

#[async_trait]
impl Executor for Witnessed {
    async fn runtime(&self) -> RuntimeInfo {
        self.inner.runtime().await
    }

    fn certificates(&self) -> Option<&dyn Certificates> {
        self.inner.certificates()
    }

    async fn open_bundle(
        &self,
        bytes: Vec<u8>,
        limits: &BundleLimits,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        self.inner.open_bundle(bytes, limits, whose).await
    }
    async fn check_graphs(
        &self,
        bundle: &Arc<Bundle>,
        whose: Whose,
    ) -> Result<ReleaseProof, PortError> {
        self.inner.check_graphs(bundle, whose).await
    }

    async fn check_data(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        self.inner.check_data(bundle).await
    }

    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError> {
        let step = job.step;
        if let Some((doomed, begun)) = &self.doomed
            && *doomed == step
        {
            begun.send_replace(true);
            std::future::pending::<()>().await;
        }
        let outcome = self.inner.map(job).await?;
        let mut seen = self
            .witness
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.contributed
            .insert((step, self.node), outcome.contributions.clone());
        Ok(outcome)
    }

    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError> {
        {
            let mut seen = self
                .witness
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            seen.sums.insert(job.step, job.sums.clone());
        }
        self.inner.reduce(job).await
    }

    async fn describe(
        &self,
        names: &BTreeSet<DatasetName>,
    ) -> Result<Vec<DatasetSummary>, PortError> {
        self.inner.describe(names).await
    }

    async fn outline(&self, name: &DatasetName) -> Result<Outline, PortError> {
        self.inner.outline(name).await
    }

    async fn version(&self, name: &DatasetName) -> Result<Digest, PortError> {
        self.inner.version(name).await
    }

    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError> {
        self.inner.datasets().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64s(values: &[f64]) -> Tensor {
        Tensor::new(vec![values.len()], TensorData::F64(values.to_vec())).unwrap()
    }

    #[test]
    fn a_sum_that_is_off_by_one_unit_is_noticed() {
        let (a, b) = (f64s(&[1.25, -3.0]), f64s(&[2.0, 0.5]));
        let plain = plain_sum(&[&a, &b], Encoding::new(Ring::Z64, 8, 2)).unwrap();
        assert!(same_bits(&plain, &f64s(&[3.25, -2.5])));
        assert!(!same_bits(&plain, &f64s(&[3.25, -2.500_000_01])));
        assert!(!same_bits(&plain, &f64s(&[3.25])));
    }
}
