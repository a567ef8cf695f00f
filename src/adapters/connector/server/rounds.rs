//! `horizontal.Horizontal` and `hlr.HLR`: the same calls on two namespaces, and four more in `hlr`.

use tonic::{Request, Response, Status as GrpcStatus};

use super::{Services, misanswered};
use delta_domain::connector_record::{
    Answer, Command, NewTaskEntry, ProofEntry, RoundRef, RoundView, SecretKind, ShareView, Step,
    TaskView,
};
use delta_domain::task::TaskKind;
use delta_grpc::pb::hlr::hlr_server::Hlr;
use delta_grpc::pb::hlr::{
    self, ConfirmReq, VerifierState, VerifyReq, VerifyResp, WeightCommitmentReq,
    WeightCommitmentResp,
};
use delta_grpc::pb::horizontal::horizontal_server::Horizontal;
use delta_grpc::pb::horizontal::{
    self, AggregationReq, CalculationReq, CandidatesReq, CreateTaskResp, EndRoundReq,
    FinishTaskReq, JoinRoundReq, PublicKeyReq, PublicKeyResp, PublicKeys, ResultCommitment,
    ResultCommitmentReq, ResultCommitmentResp, SecretShareData, SecretShareReq, SecretShareResp,
    Share, ShareCommitment, TaskReq, TaskRoundReq,
};
use delta_grpc::pb::transaction::Transaction;
use delta_ports::connector::Receipt;

impl Services {
    async fn create(&self, entry: NewTaskEntry) -> Result<Response<CreateTaskResp>, GrpcStatus> {
        match self.call(Command::CreateTask(entry)).await? {
            Receipt {
                tx_hash,
                answer: Answer::Created(task_id),
            } => Ok(Response::new(CreateTaskResp { tx_hash, task_id })),
            _ => Err(misanswered()),
        }
    }

    async fn task(&self, kind: TaskKind, task: String) -> Result<TaskView, GrpcStatus> {
        match self.call(Command::Task { kind, task }).await?.answer {
            Answer::Task(view) => Ok(view),
            _ => Err(misanswered()),
        }
    }

    async fn round(&self, kind: TaskKind, request: TaskRoundReq) -> Result<RoundView, GrpcStatus> {
        let at = RoundRef {
            kind,
            task: request.task_id,
            round: request.round,
        };
        match self.call(Command::Round { at }).await?.answer {
            Answer::Round(view) => Ok(view),
            _ => Err(misanswered()),
        }
    }
}

/// Implements one task service: what the two have in common, and before it what is given in braces.
macro_rules! task_service {
    ($service:ident, $kind:expr, { $($own:tt)* }) => {
        #[tonic::async_trait]
        impl $service for Services {
            $($own)*

            async fn finish_task(&self, request: Request<FinishTaskReq>) -> Result<Response<Transaction>, GrpcStatus> {
                let FinishTaskReq { address, task_id: task } = request.into_inner();
                self.done(Command::FinishTask { kind: $kind, address, task }).await
            }

            async fn join_round(&self, request: Request<JoinRoundReq>) -> Result<Response<Transaction>, GrpcStatus> {
                let JoinRoundReq { address, task_id: task, round, pk1, pk2 } = request.into_inner();
                self.done(Command::JoinRound { at: RoundRef { kind: $kind, task, round }, address, pk1, pk2 }).await
            }

            async fn select_candidates(&self, request: Request<CandidatesReq>) -> Result<Response<Transaction>, GrpcStatus> {
                let CandidatesReq { address, task_id: task, round, clients } = request.into_inner();
                let at = RoundRef { kind: $kind, task, round };
                self.done(Command::Advance { step: Step::Select, at, address, clients }).await
            }

            async fn start_calculation(&self, request: Request<CalculationReq>) -> Result<Response<Transaction>, GrpcStatus> {
                let CalculationReq { address, task_id: task, round, clients } = request.into_inner();
                let at = RoundRef { kind: $kind, task, round };
                self.done(Command::Advance { step: Step::Calculate, at, address, clients }).await
            }

            async fn start_aggregation(&self, request: Request<AggregationReq>) -> Result<Response<Transaction>, GrpcStatus> {
                let AggregationReq { address, task_id: task, round, clients } = request.into_inner();
                let at = RoundRef { kind: $kind, task, round };
                self.done(Command::Advance { step: Step::Aggregate, at, address, clients }).await
            }

            async fn upload_seed_commitment(&self, request: Request<ShareCommitment>) -> Result<Response<Transaction>, GrpcStatus> {
                self.done(commitments($kind, SecretKind::Seed, request.into_inner())).await
            }

            async fn upload_secret_key_commitment(
                &self, request: Request<ShareCommitment>,
            ) -> Result<Response<Transaction>, GrpcStatus> {
                self.done(commitments($kind, SecretKind::SecretKey, request.into_inner())).await
            }

            async fn get_client_publick_keys(&self, request: Request<PublicKeyReq>) -> Result<Response<PublicKeyResp>, GrpcStatus> {
                let PublicKeyReq { task_id: task, round, clients } = request.into_inner();
                match self.call(Command::PublicKeys { at: RoundRef { kind: $kind, task, round }, clients }).await?.answer {
                    Answer::Keys(keys) => {
                        let keys = keys.into_iter().map(|(pk1, pk2)| PublicKeys { pk1, pk2 }).collect();
                        Ok(Response::new(PublicKeyResp { keys }))
                    }
                    _ => Err(misanswered()),
                }
            }

            async fn upload_result_commitment(
                &self, request: Request<ResultCommitment>,
            ) -> Result<Response<Transaction>, GrpcStatus> {
                let ResultCommitment { address, task_id: task, round, commitment } = request.into_inner();
                self.done(Command::UploadResult { at: RoundRef { kind: $kind, task, round }, address, commitment }).await
            }

            async fn get_result_commitment(
                &self, request: Request<ResultCommitmentReq>,
            ) -> Result<Response<ResultCommitmentResp>, GrpcStatus> {
                let ResultCommitmentReq { task_id: task, round, client } = request.into_inner();
                let at = RoundRef { kind: $kind, task, round };
                let commitment = self.commitment(Command::ResultCommitment { at, client }).await?;
                Ok(Response::new(ResultCommitmentResp { commitment }))
            }

            async fn upload_seed(&self, request: Request<Share>) -> Result<Response<Transaction>, GrpcStatus> {
                self.done(shares($kind, SecretKind::Seed, request.into_inner())).await
            }

            async fn upload_secret_key(&self, request: Request<Share>) -> Result<Response<Transaction>, GrpcStatus> {
                self.done(shares($kind, SecretKind::SecretKey, request.into_inner())).await
            }

            async fn get_secret_share_datas(
                &self, request: Request<SecretShareReq>,
            ) -> Result<Response<SecretShareResp>, GrpcStatus> {
                let SecretShareReq { task_id: task, round, senders, receiver } = request.into_inner();
                let at = RoundRef { kind: $kind, task, round };
                match self.call(Command::ShareRecords { at, senders, receiver }).await?.answer {
                    Answer::Shares(views) => {
                        Ok(Response::new(SecretShareResp { shares: views.into_iter().map(share_data).collect() }))
                    }
                    _ => Err(misanswered()),
                }
            }

            async fn end_round(&self, request: Request<EndRoundReq>) -> Result<Response<Transaction>, GrpcStatus> {
                let EndRoundReq { address, task_id: task, round } = request.into_inner();
                self.done(Command::EndRound { at: RoundRef { kind: $kind, task, round }, address }).await
            }
        }
    };
}

task_service!(Horizontal, TaskKind::Horizontal, {
    async fn create_task(
        &self,
        request: Request<horizontal::CreateTaskReq>,
    ) -> Result<Response<CreateTaskResp>, GrpcStatus> {
        let horizontal::CreateTaskReq {
            address,
            dataset,
            commitment,
            task_type,
        } = request.into_inner();
        let kind = TaskKind::Horizontal;
        self.create(NewTaskEntry {
            kind,
            address,
            dataset,
            commitment,
            task_type,
            enable_verify: false,
            tolerance: 0,
        })
        .await
    }

    async fn get_task(
        &self,
        request: Request<TaskReq>,
    ) -> Result<Response<horizontal::TaskResp>, GrpcStatus> {
        let t = self
            .task(TaskKind::Horizontal, request.into_inner().task_id)
            .await?;
        Ok(Response::new(horizontal::TaskResp {
            address: t.address,
            url: t.url,
            task_id: t.task,
            dataset: t.dataset,
            commitment: t.commitment,
            task_type: t.task_type,
            finished: t.finished,
        }))
    }

    async fn start_round(
        &self,
        request: Request<horizontal::StartRoundReq>,
    ) -> Result<Response<Transaction>, GrpcStatus> {
        let horizontal::StartRoundReq {
            address,
            task_id: task,
            round,
        } = request.into_inner();
        let at = RoundRef {
            kind: TaskKind::Horizontal,
            task,
            round,
        };
        self.done(Command::StartRound {
            at,
            address,
            weight_commitment: String::new(),
        })
        .await
    }

    async fn get_task_round(
        &self,
        request: Request<TaskRoundReq>,
    ) -> Result<Response<horizontal::TaskRoundResp>, GrpcStatus> {
        let request = request.into_inner();
        let round = request.round;
        let view = self.round(TaskKind::Horizontal, request).await?;
        Ok(Response::new(horizontal::TaskRoundResp {
            round,
            status: view.status.code(),
            clients: view.joined,
        }))
    }
});

task_service!(Hlr, TaskKind::Hlr, {
    async fn create_task(
        &self,
        request: Request<hlr::CreateTaskReq>,
    ) -> Result<Response<CreateTaskResp>, GrpcStatus> {
        let hlr::CreateTaskReq {
            address,
            dataset,
            commitment,
            enable_verify,
            tolerance,
        } = request.into_inner();
        let (kind, task_type) = (TaskKind::Hlr, TaskKind::Hlr.as_str().to_owned());
        self.create(NewTaskEntry {
            kind,
            address,
            dataset,
            commitment,
            task_type,
            enable_verify,
            tolerance,
        })
        .await
    }

    async fn get_task(
        &self,
        request: Request<TaskReq>,
    ) -> Result<Response<hlr::TaskResp>, GrpcStatus> {
        let t = self
            .task(TaskKind::Hlr, request.into_inner().task_id)
            .await?;
        Ok(Response::new(hlr::TaskResp {
            address: t.address,
            url: t.url,
            task_id: t.task,
            dataset: t.dataset,
            commitment: t.commitment,
            task_type: t.task_type,
            finished: t.finished,
            enable_verify: t.enable_verify,
            tolerance: t.tolerance,
        }))
    }

    async fn start_round(
        &self,
        request: Request<hlr::StartRoundReq>,
    ) -> Result<Response<Transaction>, GrpcStatus> {
        let hlr::StartRoundReq {
            address,
            task_id: task,
            round,
            weight_commitment,
        } = request.into_inner();
        let at = RoundRef {
            kind: TaskKind::Hlr,
            task,
            round,
        };
        self.done(Command::StartRound {
            at,
            address,
            weight_commitment,
        })
        .await
    }

    async fn get_task_round(
        &self,
        request: Request<TaskRoundReq>,
    ) -> Result<Response<hlr::TaskRoundResp>, GrpcStatus> {
        let request = request.into_inner();
        let round = request.round;
        let RoundView {
            status,
            joined: joined_clients,
            finished: finished_clients,
        } = self.round(TaskKind::Hlr, request).await?;
        Ok(Response::new(hlr::TaskRoundResp {
            round,
            status: status.code(),
            joined_clients,
            finished_clients,
        }))
    }

    async fn get_weight_commitment(
        &self,
        request: Request<WeightCommitmentReq>,
    ) -> Result<Response<WeightCommitmentResp>, GrpcStatus> {
        let WeightCommitmentReq {
            task_id: task,
            round,
        } = request.into_inner();
        let commitment = self
            .commitment(Command::WeightCommitment { task, round })
            .await?;
        Ok(Response::new(WeightCommitmentResp { commitment }))
    }

    async fn verify(
        &self,
        request: Request<VerifyReq>,
    ) -> Result<Response<VerifyResp>, GrpcStatus> {
        let r = request.into_inner();
        let command = Command::Verify(ProofEntry {
            address: r.address,
            task: r.task_id,
            weight_size: r.weight_size,
            proof: r.proof,
            pub_signals: r.pub_signals,
            block_index: r.block_index,
            samples: r.samples,
            verdict: None,
        });
        match self.call(command).await? {
            Receipt {
                tx_hash,
                answer: Answer::Verified(valid),
            } => Ok(Response::new(VerifyResp { tx_hash, valid })),
            _ => Err(misanswered()),
        }
    }

    async fn get_verifier_state(
        &self,
        request: Request<TaskReq>,
    ) -> Result<Response<VerifierState>, GrpcStatus> {
        match self
            .call(Command::VerifierState {
                task: request.into_inner().task_id,
            })
            .await?
            .answer
        {
            Answer::Verifier {
                unfinished: unfinished_clients,
                invalid: invalid_clients,
                valid,
            } => Ok(Response::new(VerifierState {
                unfinished_clients,
                invalid_clients,
                valid,
            })),
            _ => Err(misanswered()),
        }
    }

    async fn confirm_verification(
        &self,
        request: Request<ConfirmReq>,
    ) -> Result<Response<Transaction>, GrpcStatus> {
        let ConfirmReq {
            address,
            task_id: task,
        } = request.into_inner();
        self.done(Command::Confirm { address, task }).await
    }
});

fn commitments(kind: TaskKind, secret: SecretKind, request: ShareCommitment) -> Command {
    let ShareCommitment {
        address,
        task_id: task,
        round,
        receivers,
        commitments,
    } = request;
    Command::UploadCommitments {
        secret,
        at: RoundRef { kind, task, round },
        address,
        receivers,
        commitments,
    }
}

fn shares(kind: TaskKind, secret: SecretKind, request: Share) -> Command {
    let Share {
        address,
        task_id: task,
        round,
        senders,
        shares,
    } = request;
    Command::UploadShares {
        secret,
        at: RoundRef { kind, task, round },
        address,
        senders,
        shares,
    }
}

fn share_data(view: ShareView) -> SecretShareData {
    let ShareView {
        seed,
        seed_commitment,
        secret_key,
        secret_key_commitment,
    } = view;
    SecretShareData {
        seed,
        seed_commitment,
        secret_key,
        secret_key_commitment,
    }
}
