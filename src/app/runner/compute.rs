//! A member's computation: download, map, quantise, mask, write to disk. Only the masked vector survives.

mod proof;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use zeroize::Zeroizing;

use crate::arrays::read_npy;
use crate::context::Context;
use crate::owner::{Case, Left, OVERLAP, withheld};
use crate::runner::noise::{Noise, Sum};
use crate::vectors::MaskedVector;
use delta_domain::bundle::Bundle;
use delta_domain::ids::Digest;
use delta_domain::manifest::{Contribution, Manifest, MemberNoise, Written};
use delta_domain::policy::Decision;
use delta_domain::records::{ReleaseRules, bound_member, release_point};
use delta_domain::round::runner::{MaskStream, NoiseGround, RunnerContext, VariableRequest};
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::exact_number::{DIGITS, digits};
use delta_domain::secagg::masked_input::MaskedInputHeader;
use delta_domain::secret::Secret;
use delta_domain::strategy::Rounding;
use delta_domain::tensor::{Tensor, TensorData, element_count};
use delta_ports::blob::{BlobInfo, BlobName, ByteStream};
use delta_ports::compute::Compute;
use delta_ports::executor::{MapJob, MapOutcome};
use delta_ports::peer::PeerCalls as _;
use delta_ports::{PortError, PortErrorKind, report};
pub(super) use state::ClientState;

/// The operation that fails when numbers are not such as can be contributed.
const UNFIT: &str = "runner.quantise";
/// More than any `.npy` header of ours.
const NPY_HEADER: u64 = 1024;

/// What turns numbers into a masked vector.
struct Masking<'m> {
    masks: &'m [MaskStream],
    cohort: usize,
    noise: Zeroizing<Vec<i64>>,
    rounding: Option<Secret<32>>,
}

/// A masked vector on disk, and what is in it where no other cohort may get it.
pub(super) type Masked = (BlobInfo, Option<Digest>);

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
    ) -> Result<Masked, PortError> {
        let step = self.round.announcement.step;
        let plan = self.plan(step, ground)?;
        // Drawn before data are read, and added whatever comes of them.
        let noise = self.draw(plan.as_ref(), ground).await?;
        let state = self.state().await?;
        let stays_out = self.bundle.manifest().is_bound(step) && self.has_failed(step).await?;
        // They leave with the job, and are read again when it is done: they may be as large as the model.
        let mut inputs = state.variables;
        for request in variables {
            inputs.insert(request.name.clone(), self.download(request).await?);
        }
        // Rules and decisions may have changed since the round was joined, and what they say may depend on data.
        let owner = &self.context.owner;
        let left = Left {
            task: self.round.task(),
            round: u64::from(self.round.round().0),
            costs: plan
                .map(|plan| plan.costs(&owner.policies()))
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
            noise_seed: ground
                .filter(|_| !self.round.strategy.reproducible)
                .map(NoiseGround::graph_seed),
        };
        let rules = job.rules;
        let allowed = match verdict.decision {
            Decision::Allowed => owner.reserve(&left).await,
            Decision::Asks | Decision::Refused => Err(withheld(&verdict)),
        };
        let paid = allowed.is_ok();
        let failure = match allowed {
            // This node's own trouble: the effect is tried again.
            Err(e) if e.is_transient() => return Err(e),
            Err(e) => e,
            // Zeros in one round and numbers in the next would be a sum over other members than the one that it is combined with. They
            // are paid for as numbers are: that they are zeros is a fact about the data of the round before.
            Ok(()) if stays_out => corrupt(
                "this node could not compute in the round before, with which this one is combined",
            ),
            Ok(()) => match self.context.ports.executor.map(job).await {
                Ok(outcome) => {
                    let masked = Masking {
                        masks,
                        cohort,
                        noise: noise.clone(),
                        rounding: ground
                            .filter(|_| self.round.strategy.rounding == Rounding::Stochastic)
                            .map(NoiseGround::rounding_seed),
                    };
                    match self.contribute(outcome, masked, rules, &left).await {
                        Err(e) if matches!(e.op(), UNFIT | OVERLAP) => e,
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
            "this node contributes zeros: {}",
            report(&failure)
        );
        // Before zeros and noise can leave, as before numbers can. Of a round that its owner's rules did not allow there is nothing to tell.
        if paid {
            owner.failed(&left, &self.case.question).await?;
        }
        // As if the step had not been: the next one finds the member's own variables as they were.
        let before = ClientState {
            failed: true,
            ..self.state().await?
        };
        self.keep_state(step + 1, before).await?;
        let strategy = &self.round.strategy;
        let vector = MaskedVector::failed(
            self.numbers()?,
            masks,
            strategy.mask_generator,
            strategy.encoding(cohort),
        );
        // Under noise that is not counted: whether a member could compute may hang on one record, and the counter has no noise.
        let vector = match noise.is_empty() {
            true => vector,
            false => vector.uncounted(),
        };
        let info = self.put(vector.with_noise(noise)).await?;
        Ok((info, None))
    }

    /// How much noise the task asks of this member in this round; `None` when it asks for none.
    fn plan(&self, step: u32, ground: Option<&NoiseGround>) -> Result<Option<Noise>, PortError> {
        let sum = ground.map_or(
            Sum {
                shares: 1,
                smallest: 0,
                colluders: 0,
            },
            |ground| Sum {
                shares: ground.shares,
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

    /// Leaves the masked outcome on disk. Numbers that cannot be contributed fail in the operation [`UNFIT`], those that would give
    /// away a difference to what was released before in [`OVERLAP`].
    async fn contribute(
        &self,
        outcome: MapOutcome,
        masking: Masking<'_>,
        rules: Option<ReleaseRules>,
        left: &Left<'_>,
    ) -> Result<Masked, PortError> {
        let owner = &self.context.owner;
        let mut point = None;
        if let Some(rules) = rules {
            let (bundle, step) = (&self.bundle, self.round.announcement.step);
            let versions = outcome.released.iter().map(|rows| rows.version);
            let variables = &self.round.announcement.variables;
            point = Some(release_point(bundle, step, variables, versions));
            let author = &self.case.question.author;
            owner
                .compare(author, outcome.released, rules.threshold)
                .await?;
        }
        let step = self.round.announcement.step;
        let declared = contributed(self.bundle.manifest(), step);
        let strategy = &self.round.strategy;
        let encoding = strategy.encoding(masking.cohort);
        let mut contributions = outcome.contributions;
        if let Some(noise) = self.member_noise(step) {
            contributions = bounded(contributions, noise.l2, strategy.precision)?;
        }
        if !masking.noise.is_empty() {
            // Nothing is too large under noise: that it is would be an answer without noise.
            contributions = contributions
                .into_iter()
                .map(|t| saturated(t, encoding))
                .collect();
        }
        let numbers = contributions
            .iter()
            .fold(0_usize, |n, t| n.saturating_add(t.len()));
        let tensors: Result<_, PortError> = declared
            .iter()
            .zip(contributions)
            .map(|(c, t)| Ok((c.name.clone(), written(c, t)?)))
            .collect();
        let vector = MaskedVector::new(tensors?, masking.masks, strategy.mask_generator, encoding)
            .with_noise(masking.noise);
        let vector = match &masking.rounding {
            Some(seed) => vector.rounded_at_random(seed),
            None => vector,
        };
        if vector.numbers() != self.numbers()? {
            return Err(unfit(
                "the map made another number of values than the task declares",
            ));
        }
        let numbers = u64::try_from(numbers).unwrap_or(u64::MAX);
        let info = self.put(vector).await?;
        // In the journal before anything can leave: this effect is done only then, and the upload is the next.
        owner.released(left, &self.case.question, numbers).await?;
        // Last, so that a failure finds the state as it was.
        let mut next = ClientState {
            iterators: outcome.iterators,
            failed: false,
            ..self.state().await?
        };
        next.variables.extend(outcome.assigned);
        self.keep_state(step + 1, next).await?;
        Ok((info, point))
    }

    /// Downloads a server variable; it must be the one that all members were promised.
    pub(super) async fn download(&self, wanted: &VariableRequest) -> Result<Tensor, PortError> {
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
        let read = read_npy(stream, bytes, "runner.variable").await;
        let (tensor, digest) = read.map_err(|e| match e.kind() {
            PortErrorKind::Corrupt => rejected(format!("variable {name}: {}", e.message())),
            _ => e,
        })?;
        if digest != wanted.digest {
            return Err(rejected(format!(
                "variable {name} is not the one announced to the other members: its SHA-256 differs"
            )));
        }
        if tensor.shape() == spec.shape && tensor.dtype() == spec.dtype {
            Ok(tensor)
        } else {
            Err(rejected(format!(
                "variable {name} has another shape or type than the task declares"
            )))
        }
    }

    /// The noise for whole members that a step asks for.
    fn member_noise(&self, step: u32) -> Option<&MemberNoise> {
        let round = self.bundle.manifest().round_spec(step)?;
        round.map.noise.as_ref()
    }

    /// Words that a member's numbers take in this step.
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
            ring: self.round.strategy.ring(),
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

fn contributed(manifest: &Manifest, step: u32) -> &[Contribution] {
    let round = manifest.round_spec(step);
    round.map_or(&[], |r| &r.map.contribute)
}

/// A contribution as it is encoded: exact numbers by their digits.
fn written(contribution: &Contribution, tensor: Tensor) -> Result<Tensor, PortError> {
    if contribution.written == Written::Fixed {
        return Ok(tensor);
    }
    let TensorData::F64(values) = tensor.data() else {
        return Err(unfit("an exact contribution is not f64"));
    };
    let mut all = Vec::with_capacity(values.len().saturating_mul(DIGITS));
    for (place, value) in values.iter().enumerate() {
        // The place, never the value: it is private, and so is the line.
        let made = digits(*value);
        let made =
            made.map_err(|e| unfit(&format!("{}, number {place} {e}", contribution.name)))?;
        all.extend(made);
    }
    let count = all.len();
    Tensor::new(vec![count], TensorData::I64(all)).map_err(|e| corrupt(&e.to_string()))
}

/// All numbers of a member within the bound of its noise, as doubles.
fn bounded(contributions: Vec<Tensor>, l2: f64, precision: u8) -> Result<Vec<Tensor>, PortError> {
    let shapes: Vec<Vec<usize>> = contributions.iter().map(|t| t.shape().to_vec()).collect();
    let wide = |tensor: Tensor| match tensor.into_data() {
        TensorData::F64(values) => Ok(values),
        TensorData::F32(values) => Ok(values.into_iter().map(f64::from).collect()),
        _ => Err(unfit("a contribution is neither f32 nor f64")),
    };
    let mut values: Vec<Vec<f64>> = contributions
        .into_iter()
        .map(wide)
        .collect::<Result<_, _>>()?;
    let scale = (0..precision).fold(1.0_f64, |s, _| s * 10.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and a bound is above 0"
    )]
    let l2 = (l2 * scale).floor() as u64;
    // Whatever is wrong, what leaves are zeros and noise: no answer at all would be one without noise.
    bound_member(&mut values, precision, l2).map_err(|e| unfit(&e.to_string()))?;
    let tensors = shapes.into_iter().zip(values);
    let tensor = |(shape, values)| {
        Tensor::new(shape, TensorData::F64(values)).map_err(|e| corrupt(&e.to_string()))
    };
    tensors.map(tensor).collect()
}

/// With every number cut to what can be encoded. Numbers under noise are doubles, by the rules of tasks.
fn saturated(tensor: Tensor, encoding: Encoding) -> Tensor {
    let shape = tensor.shape().to_vec();
    let unchanged = tensor.clone();
    match tensor.into_data() {
        TensorData::F64(mut values) => {
            encoding.saturate(&mut values);
            Tensor::new(shape, TensorData::F64(values)).unwrap_or(unchanged)
        }
        _ => unchanged,
    }
}

/// The numbers are not such as can be contributed.
fn unfit(text: &str) -> PortError {
    PortError::new(PortErrorKind::Rejected, UNFIT, text)
}

fn corrupt(text: &str) -> PortError {
    PortError::new(PortErrorKind::Corrupt, "runner.compute", text)
}
