//! `horizontal.Horizontal` and `hlr.HLR`: tasks (docs/protocol/connector.md).

use tonic::Status;

use super::{Reply, Rpc, read, reply, rpc};
use crate::pb::hlr::{CreateTaskReq as CreateHlrTaskReq, TaskResp as HlrTaskResp};
use crate::pb::horizontal::{CreateTaskReq, CreateTaskResp, FinishTaskReq, TaskReq, TaskResp};
use crate::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command, NewTaskEntry, TaskEntry};
use delta_domain::task::TaskKind;
use delta_ports::connector::Receipt;

rpc! {
    FinishTask in kind: FinishTaskReq { address, task_id: task }
        = FinishTask { kind, address, task } => Transaction;
    GetTask: TaskReq { task_id: task } = Task { kind: TaskKind::Horizontal, task } => TaskResp;
    GetHlrTask: TaskReq { task_id: task } = Task { kind: TaskKind::Hlr, task } => HlrTaskResp;
}

reply! {
    CreateTaskResp { tx_hash, task_id: task } = Receipt { tx_hash, answer: Answer::Created(task) };
    HlrTaskResp { address, url, task_id: task, dataset, commitment, task_type, finished, enable_verify, tolerance }
        = Answer::Task(TaskEntry {
            address, url, task, dataset, commitment, task_type, finished, enable_verify, tolerance,
        });
}

/// `horizontal.CreateTask`: nothing about proofs.
pub(crate) struct CreateTask;

impl Rpc for CreateTask {
    type Request = CreateTaskReq;
    type Reply = CreateTaskResp;

    fn command(&self, request: CreateTaskReq) -> Command {
        Command::CreateTask(NewTaskEntry {
            kind: TaskKind::Horizontal,
            address: request.address,
            dataset: request.dataset,
            commitment: request.commitment,
            task_type: request.task_type,
            enable_verify: false,
            tolerance: 0,
        })
    }

    fn request(&self, command: Command) -> Option<CreateTaskReq> {
        match command {
            Command::CreateTask(task) if task.kind == TaskKind::Horizontal => Some(CreateTaskReq {
                address: task.address,
                dataset: task.dataset,
                commitment: task.commitment,
                task_type: task.task_type,
            }),
            _ => None,
        }
    }
}

/// `hlr.CreateTask`: the type of the task goes without saying.
pub(crate) struct CreateHlrTask;

impl Rpc for CreateHlrTask {
    type Request = CreateHlrTaskReq;
    type Reply = CreateTaskResp;

    fn command(&self, request: CreateHlrTaskReq) -> Command {
        Command::CreateTask(NewTaskEntry {
            kind: TaskKind::Hlr,
            address: request.address,
            dataset: request.dataset,
            commitment: request.commitment,
            task_type: TaskKind::Hlr.as_str().to_owned(),
            enable_verify: request.enable_verify,
            tolerance: request.tolerance,
        })
    }

    fn request(&self, command: Command) -> Option<CreateHlrTaskReq> {
        match command {
            Command::CreateTask(task) if task.kind == TaskKind::Hlr => Some(CreateHlrTaskReq {
                address: task.address,
                dataset: task.dataset,
                commitment: task.commitment,
                enable_verify: task.enable_verify,
                tolerance: task.tolerance,
            }),
            _ => None,
        }
    }
}

/// `horizontal.GetTask` answers nothing about proofs. The reference leaves the id of the task empty, in both services.
impl Reply for TaskResp {
    fn receipt(self) -> Result<Receipt, Status> {
        Ok(read(Answer::Task(TaskEntry {
            address: self.address,
            url: self.url,
            task: self.task_id,
            dataset: self.dataset,
            commitment: self.commitment,
            task_type: self.task_type,
            finished: self.finished,
            enable_verify: false,
            tolerance: 0,
        })))
    }

    fn of(receipt: Receipt) -> Option<Self> {
        let Answer::Task(task) = receipt.answer else {
            return None;
        };
        Some(Self {
            address: task.address,
            url: task.url,
            task_id: task.task,
            dataset: task.dataset,
            commitment: task.commitment,
            task_type: task.task_type,
            finished: task.finished,
        })
    }
}
