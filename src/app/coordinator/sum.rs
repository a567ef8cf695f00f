//! Adding up masked results and taking the masks away, block by block from the files of all members into the file of their sum: a few
//! blocks are in memory, whatever the length of the vector and the number of members.

pub(super) mod aggregate;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, stream};

use self::aggregate::Form;
use crate::context::Context;
use crate::parallel;
use crate::vectors::streams_of;
use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::manifest::Contribution;
use delta_domain::round::coordinator::DroppedMember;
use delta_domain::round::runner::MaskStream;
use delta_domain::secagg::mask::{Masker, Sign};
use delta_domain::secagg::masked_input::{COUNTER_WORDS, HEADER_BYTES, MaskedInputHeader};
use delta_domain::secagg::stream_adder::{StreamAdder, StreamError};
use delta_domain::secagg::word::{Ring, Word};
use delta_domain::strategy::Strategy;
use delta_ports::blob::{BlobName, ByteStream};
use delta_ports::{PortError, PortErrorKind};

/// Words that are read of every member's result, added and unmasked before the next ones: 2 to 4 MiB of each.
const BLOCK: usize = 512 * 1024;
/// Blocks under way at a time: one is read while the one before is added up.
const UNDER_WAY: usize = 2;

/// Results that are open at a time, each a file. Where there are more members, the others' are added up first, in memory.
const OPEN: usize = 64;

/// What is summed.
pub(super) struct Sum<'a> {
    pub(super) context: &'a Context,
    pub(super) task: &'a TaskId,
    pub(super) round: RoundNumber,
    pub(super) strategy: &'a Strategy,
    /// Numbers of a contribution, without the counter of failed members.
    pub(super) numbers: usize,
}

impl Sum<'_> {
    /// The sum of all contributions over `members`, after adding `masks`, as the file that [`aggregate`] reads; and its length.
    ///
    /// # Errors
    /// `Corrupt` for an upload that is not the one announced, and when more members have failed than there are: somebody has
    /// contributed what no honest member does. Most of them come with the content.
    pub(super) async fn unmask(
        &self,
        members: &[Address],
        masks: &[MaskStream],
        dropped: &[DroppedMember],
        contributions: &[Contribution],
    ) -> Result<(u64, ByteStream), PortError> {
        // Numbers are decoded alike whatever the cohort.
        let form = Form::new(self.strategy.encoding(1), contributions)
            .ok_or_else(|| super::internal("coordinator.unmask", "the sum is too large"))?;
        match self.strategy.ring() {
            Ring::Z64 => self.unmask_in::<u64>(members, masks, dropped, form).await,
            Ring::Z32 => self.unmask_in::<u32>(members, masks, dropped, form).await,
        }
    }

    async fn unmask_in<W: Word>(
        &self,
        members: &[Address],
        masks: &[MaskStream],
        dropped: &[DroppedMember],
        form: Form,
    ) -> Result<(u64, ByteStream), PortError> {
        let (mut masks, dropped) = (masks.to_vec(), dropped.to_vec());
        let (task, round) = (self.task.clone(), self.round);
        let generator = self.strategy.mask_generator;
        let compute = self.context.ports.compute.clone();
        let work = move || {
            let pairwise = streams_of(&dropped, &task, round);
            masks.extend(
                pairwise.map_err(|e| super::internal("coordinator.unmask", e.to_string()))?,
            );
            let streams: Vec<_> = masks.iter().map(|m| (&m.seed, m.sign)).collect();
            Ok(Masker::new(generator, &streams))
        };
        let masker = compute.blocking("coordinator.unmask", work).await?;
        let (streamed, others) = members.split_at(OPEN.min(members.len()));
        let others = self.add_up::<W>(others).await?;
        let mut uploads = Vec::with_capacity(streamed.len());
        for member in streamed {
            uploads.push(self.open(member).await?);
        }
        let (head, len) = (form.head(), form.len());
        let summing = Arc::new(Summing {
            others,
            masker,
            form,
            cohort: members.len() as u64,
        });
        let blocks = read_blocks::<W>(uploads, self.words());
        let sums = blocks.map(move |block| {
            let (summing, compute) = (summing.clone(), compute.clone());
            async move {
                let block = block?;
                let work = move || summing.sum(block);
                compute.blocking("coordinator.unmask", work).await
            }
        });
        let head = stream::once(std::future::ready(Ok(Bytes::from(head))));
        Ok((len, Box::pin(head.chain(sums.buffered(UNDER_WAY)))))
    }

    /// The sum of these members' results, one after the other; empty when there are none.
    async fn add_up<W: Word>(&self, members: &[Address]) -> Result<Vec<W>, PortError> {
        let mut total = Vec::new();
        for member in members {
            total.resize(self.words(), W::default());
            let mut upload = self.open(member).await?;
            let mut adder = StreamAdder::new(Sign::Plus);
            let unfit = |e: StreamError| corrupt(member, &e.to_string());
            adder.push(&mut total, &upload.rest).map_err(unfit)?;
            while let Some(piece) = upload.content.next().await {
                adder.push(&mut total, &piece?).map_err(unfit)?;
            }
            adder.finish(&total).map_err(unfit)?;
        }
        Ok(total)
    }

    /// A member's upload, behind its header.
    async fn open(&self, member: &Address) -> Result<Upload, PortError> {
        let name = BlobName::masked_result(self.task, self.round, member);
        let (_, content) = self.context.ports.blobs.open(&name).await?;
        let mut upload = Upload {
            member: member.clone(),
            content,
            rest: Bytes::new(),
        };
        let head = upload.take(HEADER_BYTES).await?;
        let head: Vec<u8> = head.iter().flat_map(|piece| piece.to_vec()).collect();
        MaskedInputHeader::decode_expecting(&head, &self.header(member))
            .map_err(|e| corrupt(member, &e.to_string()))?;
        Ok(upload)
    }

    /// The only acceptable header of a member's upload.
    pub(super) fn header(&self, member: &Address) -> MaskedInputHeader {
        MaskedInputHeader {
            task: self.task.clone(),
            round: self.round,
            sender: member.clone(),
            ring: self.strategy.ring(),
            length: self.words() as u64,
        }
    }

    /// Words of an upload.
    fn words(&self) -> usize {
        self.numbers.saturating_add(COUNTER_WORDS)
    }
}

/// A member's masked result, on its way from the disk.
struct Upload {
    member: Address,
    content: ByteStream,
    /// What was read and not used yet.
    rest: Bytes,
}

impl Upload {
    /// The next `bytes` bytes.
    async fn take(&mut self, bytes: usize) -> Result<VecDeque<Bytes>, PortError> {
        let mut taken = VecDeque::new();
        let mut left = bytes;
        while left > 0 {
            if self.rest.is_empty() {
                let next = self.content.next().await.transpose()?;
                self.rest = next.ok_or_else(|| corrupt(&self.member, "it ends early"))?;
            }
            let piece = self.rest.split_to(left.min(self.rest.len()));
            left -= piece.len();
            taken.push_back(piece);
        }
        Ok(taken)
    }

    /// That nothing is left. The disk says at the end whether all of it was as it was written.
    async fn end(&mut self) -> Result<(), PortError> {
        let next = self.content.next().await.transpose()?;
        if self.rest.is_empty() && next.is_none() {
            return Ok(());
        }
        Err(corrupt(&self.member, "it is longer than it says"))
    }
}

/// The same part of every upload.
struct Block {
    /// The place of its first word in the vector.
    at: usize,
    words: usize,
    /// Whether it holds the last word.
    last: bool,
    parts: Vec<VecDeque<Bytes>>,
}

/// All uploads, block by block, of all members at a time.
fn read_blocks<W: Word>(
    uploads: Vec<Upload>,
    words: usize,
) -> impl stream::Stream<Item = Result<Block, PortError>> + Send {
    stream::try_unfold((uploads, 0), move |(mut uploads, at)| async move {
        if at == words {
            return Ok(None);
        }
        let taken = BLOCK.min(words - at);
        let reads = uploads.iter_mut().map(|u| u.take(taken * W::BYTES));
        let parts = try_join_all(reads).await?;
        let next = at + taken;
        let last = next == words;
        if last {
            try_join_all(uploads.iter_mut().map(Upload::end)).await?;
        }
        let block = Block {
            at,
            words: taken,
            last,
            parts,
        };
        Ok(Some((block, (uploads, next))))
    })
}

/// What turns blocks of uploads into blocks of their sum.
struct Summing<W> {
    /// What was added up before; empty where all uploads are streamed.
    others: Vec<W>,
    masker: Masker,
    form: Form,
    cohort: u64,
}

impl<W: Word> Summing<W> {
    /// The bytes of a block's sum, without masks, as they stand in the file.
    fn sum(&self, block: Block) -> Result<Bytes, PortError> {
        let mut total = match self.others.get(block.at..block.at + block.words) {
            Some(others) => others.to_vec(),
            None => vec![W::default(); block.words],
        };
        for part in block.parts {
            let added = add_part(&mut total, part);
            added.map_err(|e| super::internal("coordinator.sum", e.to_string()))?;
        }
        parallel::parts(&mut total, |at, part| {
            self.masker.apply(block.at + at, part);
        });
        if block.last {
            self.check_counter(&total)?;
        }
        Ok(Bytes::from(self.form.bytes(block.at, &total)))
    }

    /// Whether no more members have failed than there are.
    fn check_counter(&self, last: &[W]) -> Result<(), PortError> {
        let failed = last.last().map_or(0, |word| word.to_signed());
        if u64::try_from(failed).is_ok_and(|n| n <= self.cohort) {
            return Ok(());
        }
        let text = "the counter of failed members is out of range: a member has contributed what no honest one does";
        Err(PortError::new(
            PortErrorKind::Corrupt,
            "coordinator.sum",
            text,
        ))
    }
}

fn add_part<W: Word>(total: &mut [W], part: VecDeque<Bytes>) -> Result<(), StreamError> {
    let mut adder = StreamAdder::new(Sign::Plus);
    for piece in part {
        adder.push(total, &piece)?;
    }
    adder.finish(total)
}

fn corrupt(member: &Address, text: &str) -> PortError {
    PortError::new(
        PortErrorKind::Corrupt,
        "coordinator.sum",
        format!("the result of {member}: {text}"),
    )
}
