//! A member's proof in a certified task: the answer as it was announced, the table as it was committed to.

use super::{Computation, corrupt};
use crate::certificate::{claim_of, door_key};
use crate::owner::{Left, withheld};
use crate::runner::tables::{ProvenAnswer, settle_answer};
use delta_domain::ids::{Digest, Name};
use delta_domain::manifest::Certify;
use delta_domain::policy::Decision;
use delta_domain::records::cohort_digest;
use delta_domain::round::runner::{ProofGround, VariableRequest};
use delta_domain::tensor::Tensor;
use delta_ports::blob::{BlobInfo, BlobName, pieces};
use delta_ports::certificates::{Certificates, ProveJob, TableJob};
use delta_ports::certifier::Peer;
use delta_ports::{PortError, PortErrorKind};

impl Computation<'_> {
    /// Proves if the owner still allows it, and leaves the proof on disk.
    ///
    /// Whatever fails ends this member's part: zeros would be a proof that does not hold.
    pub(in crate::runner) async fn prove(
        &self,
        variables: &[VariableRequest],
        ground: &ProofGround,
    ) -> Result<BlobInfo, PortError> {
        let manifest = self.bundle.manifest();
        let step = self.round.announcement.step;
        let certify = manifest.certified_in(step);
        let certify = certify.ok_or_else(|| corrupt("the step proves nothing"))?;
        let task = self.round.task();
        let (digest, answer) = self.answer(certify, variables).await?;
        let claim = claim_of(&self.bundle, task, self.round.round(), &answer)?;
        let key = door_key(&answer)?;
        let others = ground.peers.iter().map(|pair| &pair.peer);
        let answer = ProvenAnswer {
            digest,
            key,
            cohort: cohort_digest(others.chain([&self.round.me])),
        };
        let table = settle_answer(self.context, task, answer).await?;
        let owner = &self.context.owner;
        let left = Left {
            task,
            round: u64::from(self.round.round().0),
            costs: std::collections::BTreeMap::new(),
        };
        let verdict = owner.judge(task, self.case, Some(&left)).await?;
        if verdict.decision != Decision::Allowed {
            return Err(withheld(&verdict));
        }
        owner.reserve(&left).await?;
        let rules = owner.release_rules(self.case, &verdict);
        let peers = ground.peers.iter().map(|pair| Peer {
            address: pair.peer.clone(),
            key: pair.key.clone(),
        });
        let job = ProveJob {
            table: TableJob {
                bundle: self.bundle.clone(),
                task: task.clone(),
                member: self.round.me.clone(),
                salt: table.salt.clone(),
                rules,
            },
            commitment: table.commitment,
            capacity: table.capacity,
            claim,
            peers: peers.collect(),
            seed: ground.seed.clone(),
        };
        let proof = self.certificates()?.prove(job).await?;
        if let Some(rules) = rules {
            let author = &self.case.question.author;
            owner
                .compare(author, proof.released, rules.threshold)
                .await?;
        }
        let name = BlobName::own_masked_result(task, self.round.round());
        let limit = proof.message.len() as u64;
        let blobs = &self.context.ports.blobs;
        let info = blobs.put(&name, pieces(proof.message), limit).await?;
        // In the journal before anything can leave: this effect is done only then, and the upload is the next.
        let numbers = certify.columns.len().saturating_add(2);
        let numbers = u64::try_from(numbers).unwrap_or(u64::MAX);
        owner.released(&left, &self.case.question, numbers).await?;
        Ok(info)
    }

    fn certificates(&self) -> Result<&dyn Certificates, PortError> {
        let found = self.context.ports.executor.certificates();
        found.ok_or_else(|| {
            let text = "this program was built without certificates";
            PortError::new(PortErrorKind::Unsupported, "runner.prove", text)
        })
    }

    /// The answer that all members are shown: announced, and put on record by the coordinator when it started the round.
    async fn answer(
        &self,
        certify: &Certify,
        variables: &[VariableRequest],
    ) -> Result<(Digest, Tensor), PortError> {
        let rejected = |text: &str| PortError::new(PortErrorKind::Rejected, "runner.prove", text);
        let name: &Name = &certify.answer;
        let wanted = variables.iter().find(|v| v.name == *name);
        let wanted = wanted.ok_or_else(|| rejected("the round announces no answer"))?;
        let connector = &self.context.ports.connector;
        let (task, round) = (self.round.task(), self.round.round());
        let on_record = connector.weight_commitment(task, round).await?;
        if on_record.and_then(|text| text.parse().ok()) != Some(wanted.digest) {
            return Err(rejected(
                "the answer that is announced is not the one that the round was started with on record",
            ));
        }
        Ok((wanted.digest, self.download(wanted).await?))
    }
}
