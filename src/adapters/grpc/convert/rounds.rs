//! `horizontal.Horizontal` and `hlr.HLR`: rounds, who is in them, and how they move on (docs/protocol/connector.md).

use tonic::Status as GrpcStatus;

use super::{Reply, Rpc, read, rpc};
use crate::pb::hlr::{StartRoundReq as StartHlrRoundReq, TaskRoundResp as HlrTaskRoundResp};
use crate::pb::horizontal::{
    AggregationReq, CalculationReq, CandidatesReq, EndRoundReq, JoinRoundReq, PublicKeyReq,
    PublicKeyResp, PublicKeys, StartRoundReq, TaskRoundReq, TaskRoundResp,
};
use crate::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command, RoundEntry, RoundRef, Status, Step};
use delta_domain::task::TaskKind;
use delta_ports::connector::Receipt;

rpc! {
    StartHlrRound: StartHlrRoundReq { address, task_id: task, round, weight_commitment }
        = StartRound { at: RoundRef { kind: TaskKind::Hlr, task, round }, address, weight_commitment } => Transaction;
    JoinRound in kind: JoinRoundReq { address, task_id: task, round, pk1, pk2 }
        = JoinRound { at: RoundRef { kind, task, round }, address, pk1, pk2 } => Transaction;
    GetTaskRound: TaskRoundReq { task_id: task, round }
        = Round { at: RoundRef { kind: TaskKind::Horizontal, task, round } } => TaskRoundResp;
    GetHlrTaskRound: TaskRoundReq { task_id: task, round }
        = Round { at: RoundRef { kind: TaskKind::Hlr, task, round } } => HlrTaskRoundResp;
    SelectCandidates in kind: CandidatesReq { address, task_id: task, round, clients }
        = Advance { step: Step::Select, at: RoundRef { kind, task, round }, address, clients } => Transaction;
    GetClientPublickKeys in kind: PublicKeyReq { task_id: task, round, clients }
        = PublicKeys { at: RoundRef { kind, task, round }, clients } => PublicKeyResp;
    StartCalculation in kind: CalculationReq { address, task_id: task, round, clients }
        = Advance { step: Step::Calculate, at: RoundRef { kind, task, round }, address, clients } => Transaction;
    StartAggregation in kind: AggregationReq { address, task_id: task, round, clients }
        = Advance { step: Step::Aggregate, at: RoundRef { kind, task, round }, address, clients } => Transaction;
    EndRound in kind: EndRoundReq { address, task_id: task, round }
        = EndRound { at: RoundRef { kind, task, round }, address } => Transaction;
}

/// `horizontal.StartRound`: weights are not committed to.
pub(crate) struct StartRound;

impl Rpc for StartRound {
    type Request = StartRoundReq;
    type Reply = Transaction;

    fn command(&self, request: StartRoundReq) -> Command {
        Command::StartRound {
            at: RoundRef {
                kind: TaskKind::Horizontal,
                task: request.task_id,
                round: request.round,
            },
            address: request.address,
            weight_commitment: String::new(),
        }
    }

    fn request(&self, command: Command) -> Option<StartRoundReq> {
        match command {
            Command::StartRound { at, address, .. } if at.kind == TaskKind::Horizontal => {
                Some(StartRoundReq {
                    address,
                    task_id: at.task,
                    round: at.round,
                })
            }
            _ => None,
        }
    }
}

/// `horizontal.GetTaskRound` does not say who finished.
impl Reply for TaskRoundResp {
    fn receipt(self) -> Result<Receipt, GrpcStatus> {
        Ok(read(Answer::Round(RoundEntry {
            round: self.round,
            status: status(self.status)?,
            joined: self.clients,
            finished: Vec::new(),
        })))
    }

    fn of(receipt: Receipt) -> Option<Self> {
        let Answer::Round(round) = receipt.answer else {
            return None;
        };
        Some(Self {
            round: round.round,
            status: round.status.code(),
            clients: round.joined,
        })
    }
}

impl Reply for HlrTaskRoundResp {
    fn receipt(self) -> Result<Receipt, GrpcStatus> {
        Ok(read(Answer::Round(RoundEntry {
            round: self.round,
            status: status(self.status)?,
            joined: self.joined_clients,
            finished: self.finished_clients,
        })))
    }

    fn of(receipt: Receipt) -> Option<Self> {
        let Answer::Round(round) = receipt.answer else {
            return None;
        };
        Some(Self {
            round: round.round,
            status: round.status.code(),
            joined_clients: round.joined,
            finished_clients: round.finished,
        })
    }
}

impl Reply for PublicKeyResp {
    fn receipt(self) -> Result<Receipt, GrpcStatus> {
        let keys = self.keys.into_iter().map(|keys| (keys.pk1, keys.pk2));
        Ok(read(Answer::Keys(keys.collect())))
    }

    fn of(receipt: Receipt) -> Option<Self> {
        let Answer::Keys(keys) = receipt.answer else {
            return None;
        };
        let keys = keys.into_iter().map(|(pk1, pk2)| PublicKeys { pk1, pk2 });
        Some(Self {
            keys: keys.collect(),
        })
    }
}

fn status(code: i32) -> Result<Status, GrpcStatus> {
    Status::from_code(code)
        .ok_or_else(|| GrpcStatus::data_loss(format!("round status {code} is unknown")))
}
