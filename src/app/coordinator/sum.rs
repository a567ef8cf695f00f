//! Adding up masked results and taking the masks away: O(vector) memory, whatever the number of members.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use crate::context::Context;
use crate::vectors::{streams_of, unmask};
use delta_domain::ids::{Address, Name, RoundNumber, TaskId};
use delta_domain::manifest::Contribution;
use delta_domain::round::coordinator::DroppedMember;
use delta_domain::round::runner::MaskStream;
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::mask::Sign;
use delta_domain::secagg::masked_input::{HEADER_BYTES, MaskedInputHeader};
use delta_domain::secagg::stream_adder::StreamAdder;
use delta_domain::secagg::word::{Ring, Word};
use delta_domain::strategy::Strategy;
use delta_domain::tensor::{Tensor, element_count};
use delta_ports::blob::BlobName;
use delta_ports::{PortError, PortErrorKind};

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
        dropped: &[DroppedMember],
    ) -> Result<BTreeMap<Name, Tensor>, PortError> {
        match self.strategy.ring {
            Ring::Z64 => self.unmask_in::<u64>(members, masks, dropped).await,
            Ring::Z32 => self.unmask_in::<u32>(members, masks, dropped).await,
        }
    }

    async fn unmask_in<W: Word>(
        &self,
        members: &[Address],
        masks: &[MaskStream],
        dropped: &[DroppedMember],
    ) -> Result<BTreeMap<Name, Tensor>, PortError> {
        let mut total: Vec<W> = vec![W::default(); self.length];
        for member in members {
            self.add(member, &mut total).await?;
        }
        let (mut masks, dropped) = (masks.to_vec(), dropped.to_vec());
        let contributions = self.contributions.to_vec();
        let generator = self.strategy.mask_generator;
        let encoding = self.strategy.encoding(members.len());
        let (task, round) = (self.task.clone(), self.round);
        let compute = &self.context.ports.compute;
        let work = move || {
            let pairwise = streams_of(&dropped, &task, round);
            masks.extend(
                pairwise.map_err(|e| super::internal("coordinator.unmask", e.to_string()))?,
            );
            unmask(&mut total, &masks, generator);
            split(&total, encoding, &contributions)
        };
        compute.blocking("coordinator.unmask", work).await
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

/// Cuts the vector of sums into its contributions, each turned into numbers of its declared type: one output beside the vector.
fn split<W: Word>(
    values: &[W],
    encoding: Encoding,
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
        let data = encoding.decode_as(part, c.dtype);
        sums.insert(
            c.name.clone(),
            Tensor::new(c.shape.clone(), data).map_err(|_| wrong())?,
        );
    }
    Ok(sums)
}
