//! `hlr.HLR`: what only this service has, weights and proofs (docs/protocol/connector.md).

use super::{Rpc, reply, rpc};
use crate::pb::hlr::{
    ConfirmReq, VerifierState, VerifyReq, VerifyResp, WeightCommitmentReq, WeightCommitmentResp,
};
use crate::pb::horizontal::TaskReq;
use crate::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command, ProofEntry};
use delta_ports::connector::Receipt;

rpc! {
    GetWeightCommitment: WeightCommitmentReq { task_id: task, round }
        = WeightCommitment { task, round } => WeightCommitmentResp;
    GetVerifierState: TaskReq { task_id: task } = VerifierState { task } => VerifierState;
    ConfirmVerification: ConfirmReq { address, task_id: task } = Confirm { address, task } => Transaction;
}

reply! {
    WeightCommitmentResp { commitment } = Answer::Commitment(commitment);
    VerifyResp { tx_hash, valid } = Receipt { tx_hash, answer: Answer::Verified(valid) };
    VerifierState { unfinished_clients: unfinished, invalid_clients: invalid, valid }
        = Answer::Verifier { unfinished, invalid, valid };
}

/// `hlr.Verify`: a verdict is never on the wire.
pub(crate) struct Verify;

impl Rpc for Verify {
    type Request = VerifyReq;
    type Reply = VerifyResp;

    fn command(&self, request: VerifyReq) -> Command {
        Command::Verify(ProofEntry {
            address: request.address,
            task: request.task_id,
            weight_size: request.weight_size,
            proof: request.proof,
            pub_signals: request.pub_signals,
            block_index: request.block_index,
            samples: request.samples,
            verdict: None,
        })
    }

    fn request(&self, command: Command) -> Option<VerifyReq> {
        match command {
            Command::Verify(proof) => Some(VerifyReq {
                address: proof.address,
                task_id: proof.task,
                weight_size: proof.weight_size,
                proof: proof.proof,
                pub_signals: proof.pub_signals,
                block_index: proof.block_index,
                samples: proof.samples,
            }),
            _ => None,
        }
    }
}
