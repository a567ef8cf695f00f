//! Certificates, made and checked in workers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;

use super::answer::{rows_of, tensors_of, wrong_answer};
use super::steps::graphs_of;
use super::{OnnxExecutor, Order};
use crate::frame::{Blob, Blobs};
use crate::job::{Job, Proving, Reply, RuntimeChoice, TableOwner, Work};
use delta_domain::ids::{Address, Name};
use delta_domain::manifest::{CERTIFIED_X, CERTIFIED_Y, MAX_CERTIFIED_ROWS};
use delta_domain::records::ReleasedRows;
use delta_domain::tensor::{DType, Tensor};
use delta_ports::certificates::{
    Certificates, CommittedTable, MAX_PROOF_BYTES, Proof, ProveJob, TableJob, schema_of,
};
use delta_ports::certifier::{Claim, Verdict};
use delta_ports::{PortError, PortErrorKind};

impl OnnxExecutor {
    /// Runs a worker that makes the rows of a table: the tensors of features and labels, and which records are in their sums.
    async fn rows(
        &self,
        op: &'static str,
        job: &TableJob,
    ) -> Result<([Tensor; 2], Vec<ReleasedRows>), PortError> {
        let manifest = job.bundle.manifest();
        let round = manifest.rounds.last().filter(|r| r.certify.is_some());
        let round = round.ok_or_else(|| no_round(op))?;
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
            work: Work::Rows {
                manifest: Box::new(manifest.clone()),
                datasets,
                rules: job.rules,
            },
            bundle: &job.bundle,
            graphs: graphs_of(&round.map.steps, &runtime),
            variables: BTreeMap::new(),
            sums: BTreeMap::new(),
        };
        let (Reply::Rows { released }, mut blobs) = self.work(op, order).await? else {
            return Err(wrong_answer(op));
        };
        if blobs.len() < 2 {
            return Err(wrong_answer(op));
        }
        let sets = blobs.split_off(2);
        let rows: [Tensor; 2] = tensors_of(op, blobs)?
            .try_into()
            .map_err(|_| wrong_answer(op))?;
        // Another list of numbers than its columns say would be another table to the prover.
        let columns = manifest.certified().map_or(0, |c| c.columns.len());
        let [features, labels] = &rows;
        let numbers = labels.len().checked_mul(columns);
        let fits = labels.len() <= MAX_CERTIFIED_ROWS && numbers == Some(features.len());
        if !fits || rows.iter().any(|t| t.dtype() != DType::F64) {
            return Err(wrong_answer(op));
        }
        Ok((rows, rows_of(op, released, sets, &versions)?))
    }

    /// Runs a worker without a runtime on rows that another has made, with what hides them.
    async fn table(
        &self,
        op: &'static str,
        job: TableJob,
        rows: [Tensor; 2],
        proof: Option<Box<Proving>>,
    ) -> Result<(Reply, Blobs), PortError> {
        let certify = job.bundle.manifest().certified();
        let name = |text: &str| text.parse::<Name>().map_err(|_| wrong_answer(op));
        let work = Job {
            work: Work::Table {
                schema: Box::new(schema_of(certify.ok_or_else(|| no_round(op))?)),
                owner: TableOwner {
                    task: job.task,
                    member: job.member,
                    salt: job.salt,
                },
                proof,
            },
            graphs: Vec::new(),
            variables: vec![name(CERTIFIED_X)?, name(CERTIFIED_Y)?],
            sums: Vec::new(),
        };
        let rows = rows.into_iter().map(|t| Blob::Tensor(Cow::Owned(t)));
        let setup = self.config.setup(RuntimeChoice::None, Vec::new());
        let _turn = self.turn(op).await?;
        let launcher = self.config.launcher();
        launcher.run(op, &setup, &work, rows.collect()).await
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
        let (rows, _) = self.rows(op, &job).await?;
        match self.table(op, job, rows, None).await? {
            (
                Reply::Committed {
                    commitment,
                    capacity,
                    rows,
                },
                _,
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
        let (rows, released) = self.rows(op, &job.table).await?;
        let proof = Some(Box::new(proving));
        let answer = self.table(op, job.table, rows, proof).await?;
        let (Reply::ProvedTable, blobs) = answer else {
            return Err(wrong_answer(op));
        };
        let message = blobs.into_iter().next().and_then(Blob::bytes);
        let message = message.filter(|m| m.len() as u64 <= MAX_PROOF_BYTES);
        Ok(Proof {
            message: message.ok_or_else(|| wrong_answer(op))?,
            released,
        })
    }

    async fn assemble(
        &self,
        claim: &Claim,
        tolerance: f64,
        messages: Vec<(Address, Vec<u8>)>,
    ) -> Result<(Vec<u8>, Verdict), PortError> {
        let op = "executor.assemble";
        let (members, messages) = messages.into_iter().unzip();
        let work = Work::Assemble {
            claim: Box::new(claim.clone()),
            tolerance,
            members,
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

fn no_round(op: &'static str) -> PortError {
    PortError::new(
        PortErrorKind::Rejected,
        op,
        "the task has no certified round",
    )
}
