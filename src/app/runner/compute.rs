//! A member's computation: download, map, quantise, mask, write to disk. Only the masked vector survives.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::owner::{Case, Left, withheld};
use crate::runner::noise::{Noise, Sum};
use crate::vectors::MaskedVector;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Digest, Name};
use delta_domain::manifest::{Location, Manifest};
use delta_domain::npy::{self, NpzLimits, decode_npz, encode_npz};
use delta_domain::policy::Decision;
use delta_domain::round::runner::{MaskStream, NoiseGround, RunnerContext, VariableRequest};
use delta_domain::secagg::masked_input::MaskedInputHeader;
use delta_domain::tensor::{Tensor, TensorData, element_count};
use delta_ports::blob::{BlobInfo, BlobName, ByteStream};
use delta_ports::blob::{collect, pieces};
use delta_ports::compute::Compute;
use delta_ports::executor::{IteratorStates, MapJob, MapOutcome};
use delta_ports::peer::PeerCalls as _;
use delta_ports::{PortError, PortErrorKind, report};

/// Name under which the places of the iterators lie beside a member's own variables: none of them can begin with a digit.
const ITERATORS: &str = "0iterators";
/// The operation that fails when numbers are not such as can be contributed.
const UNFIT: &str = "runner.quantise";
/// More than any `.npy` header of ours.
const NPY_HEADER: u64 = 1024;

/// A member's own variables and iterators between rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientState {
    pub(super) variables: BTreeMap<Name, Tensor>,
    pub(super) iterators: IteratorStates,
}

/// What turns numbers into a masked vector.
struct Masking<'m> {
    masks: &'m [MaskStream],
    cohort: usize,
    noise: Zeroizing<Vec<i64>>,
}

/// What a computation needs.
pub(super) struct Computation<'a> {
    pub(super) context: &'a Context,
    pub(super) bundle: Arc<Bundle>,
    pub(super) case: &'a Case,
    pub(super) round: &'a RunnerContext,
    pub(super) url: &'a str,
    /// The step whose state the member stands at.
    pub(super) state_step: u32,
}

impl Computation<'_> {
    /// Runs the map if the owner still allows it, and leaves the masked vector and the member's next state on disk.
    ///
    /// Whatever fails because of the data, in loading, in a graph, at a wall, out of time or in quantising, is the same to others as
    /// success: the vector is then one of zeros with a counter of one, and the reason stays in this node's log.
    pub(super) async fn run(
        &self,
        variables: &[VariableRequest],
        masks: &[MaskStream],
        cohort: usize,
        ground: Option<&NoiseGround>,
    ) -> Result<BlobInfo, PortError> {
        let step = self.round.announcement.step;
        let plan = self.plan(step, ground)?;
        // Drawn before data are read, and added whatever comes of them.
        let noise = self.draw(plan.as_ref(), ground).await?;
        let state = self.state().await?;
        let mut inputs = state.variables.clone();
        for request in variables {
            inputs.insert(request.name.clone(), self.download(request).await?);
        }
        // Rules and decisions may have changed since the round was joined, and what they say may depend on data.
        let owner = &self.context.owner;
        let left = Left {
            task: self.round.task(),
            round: u64::from(self.round.round().0),
            costs: plan
                .map(|plan| plan.costs())
                .transpose()?
                .unwrap_or_default(),
        };
        let verdict = owner.judge(left.task, self.case, Some(&left)).await?;
        let job = MapJob {
            bundle: self.bundle.clone(),
            step,
            variables: inputs,
            iterators: state.iterators,
            rules: owner.release_rules(self.case, &verdict),
        };
        let before = ClientState {
            variables: state.variables,
            iterators: job.iterators.clone(),
        };
        let allowed = match verdict.decision {
            Decision::Allowed => owner.reserve(&left).await,
            Decision::Asks | Decision::Refused => Err(withheld(&verdict)),
        };
        let failure = match allowed {
            // This node's own trouble: the effect is tried again.
            Err(e) if e.is_transient() => return Err(e),
            Err(e) => e,
            Ok(()) => match self.context.ports.executor.map(job).await {
                Ok(outcome) => {
                    let masked = Masking {
                        masks,
                        cohort,
                        noise: noise.clone(),
                    };
                    match self.contribute(&before, outcome, masked, &left).await {
                        Err(e) if e.op() == UNFIT => e,
                        end => return end,
                    }
                }
                // There is no runtime: nothing has been read.
                Err(e) if e.kind() == PortErrorKind::Unavailable => return Err(e),
                Err(e) => e,
            },
        };
        // For this node's owner only: the task's log may be read by its author.
        tracing::error!(
            task = %self.round.task(),
            round = %self.round.round(),
            "this node contributes zeros and counts itself as failed: {}",
            report(&failure)
        );
        // Before zeros and noise can leave, as before numbers can.
        owner.failed(&left, &self.case.question).await?;
        // As if the step had not been: the next one finds the member's own variables as they were.
        self.keep_state(step + 1, &before).await?;
        let strategy = &self.round.strategy;
        let vector = MaskedVector::failed(
            self.numbers()?,
            masks,
            strategy.mask_generator,
            strategy.encoding(cohort),
        );
        self.put(vector.with_noise(noise)).await
    }

    /// How much noise the task asks of this member in this round; `None` when it asks for none.
    fn plan(&self, step: u32, ground: Option<&NoiseGround>) -> Result<Option<Noise>, PortError> {
        let sum = ground.map_or(
            Sum {
                smallest: 0,
                colluders: 0,
            },
            |ground| Sum {
                smallest: ground.smallest_sum,
                colluders: ground.colluders,
            },
        );
        Noise::of(self.bundle.manifest(), step, sum)
    }

    async fn draw(
        &self,
        plan: Option<&Noise>,
        ground: Option<&NoiseGround>,
    ) -> Result<Zeroizing<Vec<i64>>, PortError> {
        match (plan, ground) {
            (Some(plan), Some(ground)) => {
                let (plan, seed) = (plan.clone(), ground.seed.clone());
                let compute = &self.context.ports.compute;
                compute
                    .blocking("runner.noise", move || Ok(plan.draw(&seed)))
                    .await
            }
            _ => Ok(Zeroizing::default()),
        }
    }

    /// Leaves the masked outcome on disk. Numbers that cannot be contributed fail in the operation [`UNFIT`].
    async fn contribute(
        &self,
        before: &ClientState,
        outcome: MapOutcome,
        masking: Masking<'_>,
        left: &Left<'_>,
    ) -> Result<BlobInfo, PortError> {
        let step = self.round.announcement.step;
        let mut next = ClientState {
            variables: before.variables.clone(),
            iterators: outcome.iterators,
        };
        next.variables.extend(outcome.assigned);
        let names = contribution_names(self.bundle.manifest(), step);
        let strategy = &self.round.strategy;
        let vector = MaskedVector::new(
            names.into_iter().zip(outcome.contributions).collect(),
            masking.masks,
            strategy.mask_generator,
            strategy.encoding(masking.cohort),
        )
        .with_noise(masking.noise);
        if vector.numbers() != self.numbers()? {
            return Err(unfit(
                "the map made another number of values than the task declares",
            ));
        }
        let numbers = u64::try_from(vector.numbers()).unwrap_or(u64::MAX);
        let info = self.put(vector).await?;
        // In the journal before anything can leave: this effect is done only then, and the upload is the next.
        let owner = &self.context.owner;
        owner.released(left, &self.case.question, numbers).await?;
        // Last, so that a failure finds the state as it was.
        self.keep_state(step + 1, &next).await?;
        Ok(info)
    }

    /// The member's own variables as they stand, or as the bundle starts them.
    async fn state(&self) -> Result<ClientState, PortError> {
        let manifest = self.bundle.manifest();
        let mut state = ClientState::default();
        for (name, spec) in manifest
            .variables
            .iter()
            .filter(|(_, v)| v.location == Location::Client)
        {
            let initial = self
                .bundle
                .initial(name)
                .cloned()
                .or_else(|| Tensor::zeros(spec.dtype, spec.shape.clone()));
            state.variables.insert(
                name.clone(),
                initial.ok_or_else(|| corrupt("a variable is too large"))?,
            );
        }
        let name = BlobName::client_state(self.round.task(), self.state_step);
        let bytes = match self
            .context
            .ports
            .blobs
            .read(&name, self.context.settings.bundle.expanded_bytes as u64)
            .await
        {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == PortErrorKind::NotFound => return Ok(state),
            Err(e) => return Err(e),
        };
        let mut arrays = decode_npz(&bytes, &NpzLimits::default())
            .map_err(|e| corrupt("the member's state is unreadable").with_source(e))?;
        if let Some(TensorData::U8(json)) = arrays.remove(ITERATORS).map(Tensor::into_data) {
            state.iterators = serde_json::from_slice(&json)
                .map_err(|e| corrupt("the iterators are unreadable").with_source(e))?;
        }
        for (name, value) in &mut state.variables {
            if let Some(kept) = arrays.remove(name.as_str())
                && kept.shape() == value.shape()
                && kept.dtype() == value.dtype()
            {
                *value = kept;
            }
        }
        Ok(state)
    }

    async fn keep_state(&self, step: u32, state: &ClientState) -> Result<(), PortError> {
        let internal = |e: String| PortError::new(PortErrorKind::Internal, "runner.state", e);
        let json = serde_json::to_vec(&state.iterators).map_err(|e| internal(e.to_string()))?;
        let iterators = Tensor::new(vec![json.len()], TensorData::U8(json))
            .map_err(|e| internal(e.to_string()))?;
        let mut arrays: Vec<(&str, &Tensor)> = state
            .variables
            .iter()
            .map(|(n, t)| (n.as_str(), t))
            .collect();
        arrays.push((ITERATORS, &iterators));
        let bytes = encode_npz(&arrays).map_err(|e| internal(e.to_string()))?;
        let len = bytes.len() as u64;
        let name = BlobName::client_state(self.round.task(), step);
        self.context
            .ports
            .blobs
            .put(&name, pieces(bytes), len)
            .await
            .map(drop)
    }

    /// Downloads a server variable; it must be the one that all members were promised.
    async fn download(&self, wanted: &VariableRequest) -> Result<Tensor, PortError> {
        let name = &wanted.name;
        let rejected =
            |text: String| PortError::new(PortErrorKind::Rejected, "runner.variable", text);
        let spec = self
            .bundle
            .manifest()
            .variables
            .get(name)
            .ok_or_else(|| rejected(format!("the task has no variable {name}")))?;
        let bytes = element_count(&spec.shape)
            .and_then(|n| n.checked_mul(spec.dtype.size()))
            .unwrap_or(usize::MAX);
        let limit = (bytes as u64).saturating_add(NPY_HEADER);
        let stream = self
            .context
            .ports
            .peers
            .variable(self.url, &wanted.request, limit)
            .await?;
        let bytes = collect(stream, limit, "runner.variable").await?;
        if Digest::of(&bytes) != wanted.digest {
            return Err(rejected(format!(
                "variable {name} is not the one announced to the other members: its SHA-256 differs"
            )));
        }
        let tensor = npy::decode(&bytes).map_err(|e| rejected(format!("variable {name}: {e}")))?;
        if tensor.shape() == spec.shape && tensor.dtype() == spec.dtype {
            Ok(tensor)
        } else {
            Err(rejected(format!(
                "variable {name} has another shape or type than the task declares"
            )))
        }
    }

    /// Numbers that a member contributes in this step.
    fn numbers(&self) -> Result<usize, PortError> {
        let step = self.round.announcement.step;
        let numbers = self.bundle.manifest().contribution_len(step);
        numbers.ok_or_else(|| corrupt("the step has no contributions"))
    }

    /// Writes the upload, header first; the words are made while they are written.
    async fn put(&self, vector: MaskedVector) -> Result<BlobInfo, PortError> {
        let header = MaskedInputHeader {
            task: self.round.task().clone(),
            round: self.round.round(),
            sender: self.round.me.clone(),
            ring: self.round.strategy.ring,
            length: vector.length() as u64,
        };
        let total = header.total_bytes();
        let total = total.ok_or_else(|| corrupt("the contribution is too large"))?;
        let head = Bytes::copy_from_slice(&header.encode());
        let first = futures_util::stream::iter([Ok(head)]);
        let words = words_of(vector, self.context.ports.compute.clone());
        let upload: ByteStream = Box::pin(first.chain(words));
        let name = BlobName::own_masked_result(self.round.task(), self.round.round());
        self.context.ports.blobs.put(&name, upload, total).await
    }
}

/// The bytes of a masked vector, made on demand, off the async threads.
fn words_of(
    vector: MaskedVector,
    compute: Arc<dyn Compute>,
) -> impl Stream<Item = Result<Bytes, PortError>> + Send {
    let start = (Arc::new(vector), compute, 0, VecDeque::new());
    futures_util::stream::try_unfold(start, |(vector, compute, at, mut ready)| async move {
        let mut at = at;
        if ready.is_empty() {
            let (here, source) = (at, vector.clone());
            let blocks = compute.blocking("runner.mask", move || {
                // The error names place and limit, never the value; the place alone may tell about data, so it goes to the log only.
                source.blocks(here).map_err(|e| unfit(&e.to_string()))
            });
            let (blocks, next) = blocks.await?;
            ready = blocks.into_iter().map(Bytes::from).collect();
            at = next;
        }
        Ok(ready
            .pop_front()
            .map(|piece| (piece, (vector, compute, at, ready))))
    })
}

fn contribution_names(manifest: &Manifest, step: u32) -> Vec<Name> {
    manifest
        .round_spec(step)
        .map(|r| r.map.contribute.iter().map(|c| c.name.clone()).collect())
        .unwrap_or_default()
}

/// The numbers are not such as can be contributed.
fn unfit(text: &str) -> PortError {
    PortError::new(PortErrorKind::Rejected, UNFIT, text)
}

fn corrupt(text: &str) -> PortError {
    PortError::new(PortErrorKind::Corrupt, "runner.compute", text)
}
