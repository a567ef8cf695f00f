//! Adding up masked results and taking the masks away: O(vector) memory, whatever the number of members.

use std::collections::BTreeMap;
use std::num::NonZero;

use futures_util::StreamExt as _;

use crate::app::context::{Context, blocking};
use crate::domain::ids::{Address, Name, RoundNumber, TaskId};
use crate::domain::manifest::Contribution;
use crate::domain::round::runner::MaskStream;
use crate::domain::secagg::fixed_point::dequantise;
use crate::domain::secagg::mask::{Masker, Sign};
use crate::domain::secagg::masked_input::{HEADER_BYTES, MaskedInputHeader};
use crate::domain::secagg::stream_adder::StreamAdder;
use crate::domain::secagg::word::{Ring, Word};
use crate::domain::strategy::Strategy;
use crate::domain::tensor::{DType, Tensor, TensorData, element_count};
use crate::ports::blob::BlobName;
use crate::ports::{PortError, PortErrorKind};

/// What is summed.
pub(super) struct Sum<'a> {
    pub(super) context: &'a Context,
    pub(super) task: &'a TaskId,
    pub(super) round: RoundNumber,
    pub(super) strategy: &'a Strategy,
    pub(super) contributions: &'a [Contribution],
    pub(super) length: usize,
}

impl Sum<'_> {
    /// The sums of all contributions over `members`, after adding `masks`.
    pub(super) async fn unmask(
        &self,
        members: &[Address],
        masks: &[MaskStream],
    ) -> Result<BTreeMap<Name, Tensor>, PortError> {
        match self.strategy.ring {
            Ring::Z64 => self.unmask_in::<u64>(members, masks).await,
            Ring::Z32 => self.unmask_in::<u32>(members, masks).await,
        }
    }

    async fn unmask_in<W: Word>(
        &self,
        members: &[Address],
        masks: &[MaskStream],
    ) -> Result<BTreeMap<Name, Tensor>, PortError> {
        let mut total: Vec<W> = vec![W::default(); self.length];
        for member in members {
            self.add(member, &mut total).await?;
        }
        let (masks, strategy, contributions) = (
            masks.to_vec(),
            self.strategy.clone(),
            self.contributions.to_vec(),
        );
        blocking("coordinator.unmask", move || {
            let streams: Vec<_> = masks.iter().map(|m| (&m.seed, m.sign)).collect();
            let masker = Masker::new(strategy.mask_generator, &streams);
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            let chunk = total.len().div_ceil(cores).max(64 * 1024);
            std::thread::scope(|scope| {
                for (i, part) in total.chunks_mut(chunk).enumerate() {
                    let masker = &masker;
                    scope.spawn(move || masker.apply(i * chunk, part));
                }
            });
            let mut values = Vec::new();
            dequantise(&total, strategy.precision, &mut values);
            drop(total);
            split(&values, &contributions)
        })
        .await
    }

    /// Adds one member's upload, streamed from disk.
    async fn add<W: Word>(&self, member: &Address, total: &mut [W]) -> Result<(), PortError> {
        let corrupt = |text: String| {
            PortError::new(
                PortErrorKind::Corrupt,
                "coordinator.sum",
                format!("the result of {member}: {text}"),
            )
        };
        let name = BlobName::masked_result(self.task, self.round, member);
        let (_, mut content) = self.context.ports.blobs.open(&name).await?;
        let expected = self.header(member);
        let mut head: Vec<u8> = Vec::with_capacity(HEADER_BYTES);
        let mut adder = StreamAdder::new(Sign::Plus);
        while let Some(piece) = content.next().await {
            let mut piece = piece?;
            if head.len() < HEADER_BYTES {
                let take = (HEADER_BYTES - head.len()).min(piece.len());
                head.extend_from_slice(&piece.split_to(take));
                if head.len() < HEADER_BYTES {
                    continue;
                }
                MaskedInputHeader::decode_expecting(&head, &expected)
                    .map_err(|e| corrupt(e.to_string()))?;
            }
            adder
                .push(total, &piece)
                .map_err(|e| corrupt(e.to_string()))?;
        }
        adder.finish(total).map_err(|e| corrupt(e.to_string()))
    }

    /// The only acceptable header of a member's upload.
    pub(super) fn header(&self, member: &Address) -> MaskedInputHeader {
        MaskedInputHeader {
            task: self.task.clone(),
            round: self.round,
            sender: member.clone(),
            ring: self.strategy.ring,
            length: self.length as u64,
        }
    }
}

/// Cuts the vector of sums into its contributions, each with its declared type.
fn split(
    values: &[f64],
    contributions: &[Contribution],
) -> Result<BTreeMap<Name, Tensor>, PortError> {
    let wrong = || super::internal("coordinator.sum", "the contributions do not fit the vector");
    let mut sums = BTreeMap::new();
    let mut rest = values;
    for c in contributions {
        let n = element_count(&c.shape)
            .filter(|n| *n <= rest.len())
            .ok_or_else(wrong)?;
        let (part, after) = rest.split_at(n);
        rest = after;
        let data = match c.dtype {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the declared type of the contribution"
            )]
            DType::F32 => TensorData::F32(part.iter().map(|v| *v as f32).collect()),
            _ => TensorData::F64(part.to_vec()),
        };
        sums.insert(
            c.name.clone(),
            Tensor::new(c.shape.clone(), data).map_err(|_| wrong())?,
        );
    }
    Ok(sums)
}
