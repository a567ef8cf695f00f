//! `horizontal.Horizontal` and `hlr.HLR`: commitments, revealed shares and results (docs/protocol/connector.md).

use tonic::Status;

use super::{Reply, read, reply, rpc};
use crate::pb::horizontal::{
    ResultCommitment, ResultCommitmentReq, ResultCommitmentResp, SecretShareData, SecretShareReq,
    SecretShareResp, Share, ShareCommitment,
};
use crate::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command, RoundRef, SecretKind, ShareEntry};
use delta_ports::connector::Receipt;

rpc! {
    UploadSeedCommitment in kind: ShareCommitment { address, task_id: task, round, receivers, commitments }
        = UploadCommitments { secret: SecretKind::Seed, at: RoundRef { kind, task, round }, address, receivers, commitments }
        => Transaction;
    UploadSecretKeyCommitment in kind: ShareCommitment { address, task_id: task, round, receivers, commitments }
        = UploadCommitments { secret: SecretKind::SecretKey, at: RoundRef { kind, task, round }, address, receivers, commitments }
        => Transaction;
    UploadResultCommitment in kind: ResultCommitment { address, task_id: task, round, commitment }
        = UploadResult { at: RoundRef { kind, task, round }, address, commitment } => Transaction;
    GetResultCommitment in kind: ResultCommitmentReq { task_id: task, round, client }
        = ResultCommitment { at: RoundRef { kind, task, round }, client } => ResultCommitmentResp;
    UploadSeed in kind: Share { address, task_id: task, round, senders, shares }
        = UploadShares { secret: SecretKind::Seed, at: RoundRef { kind, task, round }, address, senders, shares } => Transaction;
    UploadSecretKey in kind: Share { address, task_id: task, round, senders, shares }
        = UploadShares { secret: SecretKind::SecretKey, at: RoundRef { kind, task, round }, address, senders, shares } => Transaction;
    GetSecretShareDatas in kind: SecretShareReq { task_id: task, round, senders, receiver }
        = ShareRecords { at: RoundRef { kind, task, round }, senders, receiver } => SecretShareResp;
}

reply! {
    ResultCommitmentResp { commitment } = Answer::Commitment(commitment);
}

impl Reply for SecretShareResp {
    fn receipt(self) -> Result<Receipt, Status> {
        let shares = self.shares.into_iter().map(|share| ShareEntry {
            seed: share.seed,
            seed_commitment: share.seed_commitment,
            secret_key: share.secret_key,
            secret_key_commitment: share.secret_key_commitment,
        });
        Ok(read(Answer::Shares(shares.collect())))
    }

    fn of(receipt: Receipt) -> Option<Self> {
        let Answer::Shares(shares) = receipt.answer else {
            return None;
        };
        let shares = shares.into_iter().map(|share| SecretShareData {
            seed: share.seed,
            seed_commitment: share.seed_commitment,
            secret_key: share.secret_key,
            secret_key_commitment: share.secret_key_commitment,
        });
        Some(Self {
            shares: shares.collect(),
        })
    }
}
