//! Adding up masked results and taking the masks away: O(vector) memory, whatever the number of members.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use crate::context::Context;
use crate::vectors::{streams_of, unmask};
use delta_domain::ids::{Address, Name, RoundNumber, TaskId};
use delta_domain::manifest::Contribution;
use delta_domain::npy::{NpzLimits, decode_npz, encode_npz};
use delta_domain::round::coordinator::DroppedMember;
use delta_domain::round::runner::MaskStream;
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::mask::Sign;
use delta_domain::secagg::masked_input::{COUNTER_WORDS, HEADER_BYTES, MaskedInputHeader};
use delta_domain::secagg::stream_adder::StreamAdder;
use delta_domain::secagg::word::{Ring, Word};
use delta_domain::strategy::Strategy;
use delta_domain::tensor::{Tensor, TensorData, element_count};
use delta_ports::blob::BlobName;
use delta_ports::{PortError, PortErrorKind};

/// Name under which the number of failed members lies beside the sums: no contribution's can begin with a digit.
const FAILED: &str = "0failed";

/// What is summed.
pub(super) struct Sum<'a> {
    pub(super) context: &'a Context,
    pub(super) task: &'a TaskId,
    pub(super) round: RoundNumber,
    pub(super) strategy: &'a Strategy,
    pub(super) contributions: &'a [Contribution],
    /// Numbers of a contribution, without the counter of failed members.
    pub(super) numbers: usize,
}

/// What the members have contributed.
pub(super) struct Summed {
    /// One sum a contribution.
    pub(super) sums: BTreeMap<Name, Tensor>,
    /// Members among them that could not compute theirs, and have contributed zeros.
    pub(super) failed: u32,
}

impl Summed {
    /// As it lies on disk until the reduce has run: an `.npz`.
    pub(super) fn encode(&self) -> Result<Vec<u8>, PortError> {
        const OP: &str = "coordinator.unmask";
        let failed = TensorData::I64(vec![i64::from(self.failed)]);
        let failed = Tensor::new(Vec::new(), failed);
        let failed = failed.map_err(|e| super::internal(OP, e.to_string()))?;
        let sums = self.sums.iter().map(|(name, sum)| (name.as_str(), sum));
        let arrays: Vec<(&str, &Tensor)> = sums.chain([(FAILED, &failed)]).collect();
        encode_npz(&arrays).map_err(|e| super::internal(OP, e.to_string()))
    }

    /// What [`Self::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PortError> {
        const OP: &str = "coordinator.reduce";
        let mut arrays = decode_npz(bytes, &NpzLimits::default())
            .map_err(|e| super::internal(OP, e.to_string()))?;
        // Absent from a sum that an earlier release has left.
        let failed = match arrays.remove(FAILED).map(Tensor::into_data) {
            Some(TensorData::I64(n)) => n.first().and_then(|n| u32::try_from(*n).ok()),
            _ => None,
        };
        let named = arrays.into_iter().map(|(name, sum)| {
            let name = name.parse::<Name>();
            Ok((name.map_err(|e| super::internal(OP, e.to_string()))?, sum))
        });
        Ok(Self {
            sums: named.collect::<Result<_, PortError>>()?,
            failed: failed.unwrap_or(0),
        })
    }
}

impl Sum<'_> {
    /// The sums of all contributions over `members`, after adding `masks`.
    ///
    /// # Errors
    /// `Corrupt` for an upload that is not the one announced, and when more members have failed than there are: somebody has
    /// contributed what no honest member does.
    pub(super) async fn unmask(
        &self,
        members: &[Address],
        masks: &[MaskStream],
        dropped: &[DroppedMember],
    ) -> Result<Summed, PortError> {
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
    ) -> Result<Summed, PortError> {
        let mut total: Vec<W> = vec![W::default(); self.words()];
        for member in members {
            self.add(member, &mut total).await?;
        }
        let cohort = members.len() as u64;
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
            let counter = total.split_off(total.len().saturating_sub(COUNTER_WORDS));
            let failed = counter.first().map_or(0, |word| word.to_signed());
            let failed = u32::try_from(failed).ok();
            let failed = failed.filter(|n| u64::from(*n) <= cohort);
            let failed = failed.ok_or_else(|| {
                let text = "the counter of failed members is out of range: a member has contributed what no honest one does";
                PortError::new(PortErrorKind::Corrupt, "coordinator.sum", text)
            })?;
            let sums = split(&total, encoding, &contributions)?;
            Ok(Summed { sums, failed })
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
            length: self.words() as u64,
        }
    }

    /// Words of an upload.
    fn words(&self) -> usize {
        self.numbers.saturating_add(COUNTER_WORDS)
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
