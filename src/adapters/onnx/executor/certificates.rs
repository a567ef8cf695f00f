//! Certificates, made and checked in workers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;

use super::answer::{rows_of, wrong_answer};
use super::steps::graphs_of;
use super::{OnnxExecutor, Order};
use crate::frame::{Blob, Blobs};
use crate::job::{Job, Proving, Reply, RuntimeChoice, TableOwner, Work};
use delta_domain::ids::{DatasetName, Digest};
use delta_ports::certificates::{
    Certificates, CommittedTable, MAX_PROOF_BYTES, Proof, ProveJob, TableJob,
};
use delta_ports::certifier::{Claim, Verdict};
use delta_ports::{PortError, PortErrorKind};

impl OnnxExecutor {
    /// Runs a worker that makes the rows of a table; with its answer come the versions of what it read.
    async fn table(
        &self,
        op: &'static str,
        job: TableJob,
        proof: Option<Box<Proving>>,
    ) -> Result<(Reply, Blobs, BTreeMap<DatasetName, Digest>), PortError> {
        let manifest = job.bundle.manifest();
        let round = manifest.rounds.last().filter(|r| r.certify.is_some());
        let round = round.ok_or_else(|| {
            PortError::new(
                PortErrorKind::Rejected,
                op,
                "the task has no certified round",
            )
        })?;
        let runtime = self.choose().await?.report.info.name.clone();
        let datasets = self
            .places
            .locate(op, manifest.datasets_of(&round.map.steps))?;
        let versions = match job.rules {
            Some(_) => self.versions.of(op, &datasets).await?,
            None => BTreeMap::new(),
        };
        let order = Order {
            readable: datasets.values().map(|place| place.path.clone()).collect(),
            work: Work::Table {
                manifest: Box::new(manifest.clone()),
                datasets,
                rules: job.rules,
                owner: TableOwner {
                    task: job.task.clone(),
                    member: job.member.clone(),
                    salt: job.salt.clone(),
                },
                proof,
            },
            bundle: &job.bundle,
            graphs: graphs_of(&round.map.steps, &runtime),
            variables: BTreeMap::new(),
            sums: BTreeMap::new(),
        };
        let (reply, blobs) = self.work(op, order).await?;
        Ok((reply, blobs, versions))
    }

    /// Runs a worker that checks proofs, without a runtime.
    async fn checked(
        &self,
        op: &'static str,
        work: Work,
        files: Vec<Vec<u8>>,
    ) -> Result<(Verdict, Blobs), PortError> {
        let _turn = self.turn(op).await?;
        let setup = self.config.setup(RuntimeChoice::None, Vec::new());
        let job = Job {
            work,
            // In this order they come to the worker again.
            graphs: (0..files.len()).map(|i| format!("{i:08}")).collect(),
            variables: Vec::new(),
            sums: Vec::new(),
        };
        let files = files.into_iter().map(|f| Blob::Bytes(Cow::Owned(f)));
        let launcher = self.config.launcher();
        match launcher.run(op, &setup, &job, files.collect()).await? {
            (Reply::Judged { verdict }, blobs) => Ok((*verdict, blobs)),
            _ => Err(wrong_answer(op)),
        }
    }
}

#[async_trait]
impl Certificates for OnnxExecutor {
    async fn commit(&self, job: TableJob) -> Result<CommittedTable, PortError> {
        let op = "executor.commit";
        match self.table(op, job, None).await? {
            (
                Reply::Committed {
                    commitment,
                    capacity,
                    rows,
                },
                ..,
            ) => Ok(CommittedTable {
                commitment,
                capacity,
                rows,
            }),
            _ => Err(wrong_answer(op)),
        }
    }

    async fn prove(&self, job: ProveJob) -> Result<Proof, PortError> {
        let op = "executor.prove_table";
        let proving = Proving {
            commitment: job.commitment,
            capacity: job.capacity,
            claim: job.claim,
            peers: job.peers,
            seed: job.seed,
        };
        let answer = self.table(op, job.table, Some(Box::new(proving))).await?;
        let (Reply::ProvedTable { released }, mut blobs, versions) = answer else {
            return Err(wrong_answer(op));
        };
        if blobs.is_empty() {
            return Err(wrong_answer(op));
        }
        let message = blobs.remove(0).bytes().ok_or_else(|| wrong_answer(op))?;
        if message.len() as u64 > MAX_PROOF_BYTES {
            return Err(wrong_answer(op));
        }
        Ok(Proof {
            message,
            released: rows_of(op, released, blobs, &versions)?,
        })
    }

    async fn assemble(
        &self,
        claim: &Claim,
        tolerance: f64,
        messages: Vec<Vec<u8>>,
    ) -> Result<(Vec<u8>, Verdict), PortError> {
        let op = "executor.assemble";
        let work = Work::Assemble {
            claim: Box::new(claim.clone()),
            tolerance,
        };
        let (verdict, blobs) = self.checked(op, work, messages).await?;
        let certificate = blobs.into_iter().next().and_then(Blob::bytes);
        Ok((certificate.ok_or_else(|| wrong_answer(op))?, verdict))
    }

    async fn judge(&self, certificate: Vec<u8>) -> Result<Verdict, PortError> {
        let (verdict, _) = self
            .checked("executor.judge_certificate", Work::Judge, vec![certificate])
            .await?;
        Ok(verdict)
    }
}
