//! `datahub.DataHub`: commitments of data blocks (docs/protocol/connector.md, Data hub).

use super::{reply, rpc};
use crate::pb::datahub::{DataCommitmentReq, DataCommitmentResp, RegisterReq};
use crate::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command};
use delta_ports::connector::Receipt;

rpc! {
    Register: RegisterReq { address, name, index, commitment }
        = RegisterData { address, name, index, commitment } => Transaction;
    GetDataCommitment: DataCommitmentReq { address, name, index }
        = DataCommitment { address, name, index } => DataCommitmentResp;
}

reply! {
    DataCommitmentResp { commitment } = Answer::Commitment(commitment);
}
