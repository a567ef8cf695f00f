//! Calls and their answers as wire messages. With `events.rs`, the only place that sees wire messages and the record together.

use tonic::{Response, Status as GrpcStatus};

use super::client::GrpcConnector;
use super::pb::datahub::{DataCommitmentReq, RegisterReq};
use super::pb::hlr::{self, ConfirmReq, VerifyReq, WeightCommitmentReq};
use super::pb::horizontal::{
    self, AggregationReq, CalculationReq, CandidatesReq, EndRoundReq, FinishTaskReq, JoinRoundReq,
    PublicKeyReq, ResultCommitment, ResultCommitmentReq, SecretShareData, SecretShareReq, Share,
    ShareCommitment, TaskReq, TaskRoundReq,
};
use super::pb::identity::{
    JoinReq, LeaveReq, NodeInfo, NodeInfoReq, NodeInfosReq, UpdateNameReq, UpdateUrlReq,
};
use super::pb::transaction::Transaction;
use delta_domain::connector_record::{
    Answer, Command, NewTaskEntry, NodeView, RoundRef, RoundView, SecretKind, ShareView, Status,
    Step, TaskView,
};
use delta_domain::task::TaskKind;
use delta_ports::connector::Receipt;

/// Calls the same method of whichever task service keeps the task.
macro_rules! either {
    ($client:ident, $kind:expr, $method:ident, $request:expr) => {
        match $kind {
            TaskKind::Horizontal => $client.horizontal().$method($request).await,
            TaskKind::Hlr => $client.hlr().$method($request).await,
        }
    };
}

/// Sends one call and reads its answer.
#[expect(
    clippy::too_many_lines,
    reason = "one arm a call, and each arm is one line of meaning"
)]
pub(super) async fn call(client: &GrpcConnector, command: Command) -> Result<Receipt, GrpcStatus> {
    match command {
        Command::Join { url, name } => {
            let reply = client
                .identity()
                .join(JoinReq { url, name })
                .await?
                .into_inner();
            Ok(Receipt {
                tx_hash: reply.tx_hash,
                answer: Answer::Joined(reply.address),
            })
        }
        Command::UpdateUrl { address, url } => done(
            client
                .identity()
                .update_url(UpdateUrlReq { address, url })
                .await,
        ),
        Command::UpdateName { address, name } => done(
            client
                .identity()
                .update_name(UpdateNameReq { address, name })
                .await,
        ),
        Command::Leave { address } => done(client.identity().leave(LeaveReq { address }).await),
        Command::Node { address } => {
            let node = client
                .identity()
                .get_node_info(NodeInfoReq { address })
                .await?
                .into_inner();
            Ok(read(Answer::Node(node_view(node))))
        }
        Command::Nodes { page, page_size } => {
            let reply = client
                .identity()
                .get_nodes(NodeInfosReq { page, page_size })
                .await?
                .into_inner();
            Ok(read(Answer::Nodes(
                reply.nodes.into_iter().map(node_view).collect(),
                reply.total_count,
            )))
        }
        Command::RegisterData {
            address,
            name,
            index,
            commitment,
        } => done(
            client
                .data_hub()
                .register(RegisterReq {
                    address,
                    name,
                    index,
                    commitment,
                })
                .await,
        ),
        Command::DataCommitment {
            address,
            name,
            index,
        } => {
            let reply = client
                .data_hub()
                .get_data_commitment(DataCommitmentReq {
                    address,
                    name,
                    index,
                })
                .await?
                .into_inner();
            Ok(read(Answer::Commitment(reply.commitment)))
        }
        Command::CreateTask(NewTaskEntry {
            kind,
            address,
            dataset,
            commitment,
            task_type,
            enable_verify,
            tolerance,
        }) => {
            let reply = match kind {
                TaskKind::Horizontal => {
                    client
                        .horizontal()
                        .create_task(horizontal::CreateTaskReq {
                            address,
                            dataset,
                            commitment,
                            task_type,
                        })
                        .await?
                }
                TaskKind::Hlr => {
                    let request = hlr::CreateTaskReq {
                        address,
                        dataset,
                        commitment,
                        enable_verify,
                        tolerance,
                    };
                    client.hlr().create_task(request).await?
                }
            }
            .into_inner();
            Ok(Receipt {
                tx_hash: reply.tx_hash,
                answer: Answer::Created(reply.task_id),
            })
        }
        Command::FinishTask {
            kind,
            address,
            task: task_id,
        } => done(either!(
            client,
            kind,
            finish_task,
            FinishTaskReq { address, task_id }
        )),
        Command::Task {
            kind,
            task: task_id,
        } => task(client, kind, task_id).await,
        Command::StartRound {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
            weight_commitment,
        } => done(match kind {
            TaskKind::Horizontal => {
                client
                    .horizontal()
                    .start_round(horizontal::StartRoundReq {
                        address,
                        task_id,
                        round,
                    })
                    .await
            }
            TaskKind::Hlr => {
                client
                    .hlr()
                    .start_round(hlr::StartRoundReq {
                        address,
                        task_id,
                        round,
                        weight_commitment,
                    })
                    .await
            }
        }),
        Command::JoinRound {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
            pk1,
            pk2,
        } => done(either!(
            client,
            kind,
            join_round,
            JoinRoundReq {
                address,
                task_id,
                round,
                pk1,
                pk2
            }
        )),
        Command::Round { at } => round(client, at).await,
        Command::Advance {
            step,
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
            clients,
        } => done(match step {
            Step::Select => either!(
                client,
                kind,
                select_candidates,
                CandidatesReq {
                    address,
                    task_id,
                    round,
                    clients
                }
            ),
            Step::Calculate => either!(
                client,
                kind,
                start_calculation,
                CalculationReq {
                    address,
                    task_id,
                    round,
                    clients
                }
            ),
            Step::Aggregate => either!(
                client,
                kind,
                start_aggregation,
                AggregationReq {
                    address,
                    task_id,
                    round,
                    clients
                }
            ),
        }),
        Command::UploadCommitments {
            secret,
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
            receivers,
            commitments,
        } => {
            let request = ShareCommitment {
                address,
                task_id,
                round,
                receivers,
                commitments,
            };
            done(match secret {
                SecretKind::Seed => either!(client, kind, upload_seed_commitment, request),
                SecretKind::SecretKey => {
                    either!(client, kind, upload_secret_key_commitment, request)
                }
            })
        }
        Command::PublicKeys {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            clients,
        } => {
            let reply = either!(
                client,
                kind,
                get_client_publick_keys,
                PublicKeyReq {
                    task_id,
                    round,
                    clients
                }
            )?
            .into_inner();
            Ok(read(Answer::Keys(
                reply.keys.into_iter().map(|k| (k.pk1, k.pk2)).collect(),
            )))
        }
        Command::UploadResult {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
            commitment,
        } => done(either!(
            client,
            kind,
            upload_result_commitment,
            ResultCommitment {
                address,
                task_id,
                round,
                commitment
            }
        )),
        Command::ResultCommitment {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            client: member,
        } => {
            let request = ResultCommitmentReq {
                task_id,
                round,
                client: member,
            };
            let reply = either!(client, kind, get_result_commitment, request)?.into_inner();
            Ok(read(Answer::Commitment(reply.commitment)))
        }
        Command::UploadShares {
            secret,
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
            senders,
            shares,
        } => {
            let request = Share {
                address,
                task_id,
                round,
                senders,
                shares,
            };
            done(match secret {
                SecretKind::Seed => either!(client, kind, upload_seed, request),
                SecretKind::SecretKey => either!(client, kind, upload_secret_key, request),
            })
        }
        Command::ShareRecords {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            senders,
            receiver,
        } => {
            let request = SecretShareReq {
                task_id,
                round,
                senders,
                receiver,
            };
            let reply = either!(client, kind, get_secret_share_datas, request)?.into_inner();
            Ok(read(Answer::Shares(
                reply.shares.into_iter().map(share_view).collect(),
            )))
        }
        Command::EndRound {
            at:
                RoundRef {
                    kind,
                    task: task_id,
                    round,
                },
            address,
        } => done(either!(
            client,
            kind,
            end_round,
            EndRoundReq {
                address,
                task_id,
                round
            }
        )),
        Command::WeightCommitment {
            task: task_id,
            round,
        } => {
            let reply = client
                .hlr()
                .get_weight_commitment(WeightCommitmentReq { task_id, round })
                .await?
                .into_inner();
            Ok(read(Answer::Commitment(reply.commitment)))
        }
        Command::Verify(p) => {
            let request = VerifyReq {
                address: p.address,
                task_id: p.task,
                weight_size: p.weight_size,
                proof: p.proof,
                pub_signals: p.pub_signals,
                block_index: p.block_index,
                samples: p.samples,
            };
            let reply = client.hlr().verify(request).await?.into_inner();
            Ok(Receipt {
                tx_hash: reply.tx_hash,
                answer: Answer::Verified(reply.valid),
            })
        }
        Command::VerifierState { task: task_id } => {
            let reply = client
                .hlr()
                .get_verifier_state(TaskReq { task_id })
                .await?
                .into_inner();
            let (unfinished, invalid) = (reply.unfinished_clients, reply.invalid_clients);
            Ok(read(Answer::Verifier {
                unfinished,
                invalid,
                valid: reply.valid,
            }))
        }
        Command::Confirm {
            address,
            task: task_id,
        } => done(
            client
                .hlr()
                .confirm_verification(ConfirmReq { address, task_id })
                .await,
        ),
    }
}

async fn task(
    client: &GrpcConnector,
    kind: TaskKind,
    task_id: String,
) -> Result<Receipt, GrpcStatus> {
    // The id in the reply is not read: the reference leaves it empty.
    let view = match kind {
        TaskKind::Horizontal => {
            let t = client
                .horizontal()
                .get_task(TaskReq {
                    task_id: task_id.clone(),
                })
                .await?
                .into_inner();
            TaskView {
                address: t.address,
                url: t.url,
                task: task_id,
                dataset: t.dataset,
                commitment: t.commitment,
                task_type: t.task_type,
                finished: t.finished,
                enable_verify: false,
                tolerance: 0,
            }
        }
        TaskKind::Hlr => {
            let t = client
                .hlr()
                .get_task(TaskReq {
                    task_id: task_id.clone(),
                })
                .await?
                .into_inner();
            TaskView {
                address: t.address,
                url: t.url,
                task: task_id,
                dataset: t.dataset,
                commitment: t.commitment,
                task_type: t.task_type,
                finished: t.finished,
                enable_verify: t.enable_verify,
                tolerance: t.tolerance,
            }
        }
    };
    Ok(read(Answer::Task(view)))
}

async fn round(client: &GrpcConnector, at: RoundRef) -> Result<Receipt, GrpcStatus> {
    let request = TaskRoundReq {
        task_id: at.task,
        round: at.round,
    };
    let (code, joined, finished) = match at.kind {
        TaskKind::Horizontal => {
            let r = client
                .horizontal()
                .get_task_round(request)
                .await?
                .into_inner();
            (r.status, r.clients, Vec::new())
        }
        TaskKind::Hlr => {
            let r = client.hlr().get_task_round(request).await?.into_inner();
            (r.status, r.joined_clients, r.finished_clients)
        }
    };
    let status = Status::from_code(code)
        .ok_or_else(|| GrpcStatus::data_loss(format!("round status {code} is unknown")))?;
    Ok(read(Answer::Round(RoundView {
        status,
        joined,
        finished,
    })))
}

fn done(reply: Result<Response<Transaction>, GrpcStatus>) -> Result<Receipt, GrpcStatus> {
    Ok(Receipt {
        tx_hash: reply?.into_inner().tx_hash,
        answer: Answer::Done,
    })
}

fn read(answer: Answer) -> Receipt {
    Receipt {
        tx_hash: String::new(),
        answer,
    }
}

fn node_view(node: NodeInfo) -> NodeView {
    NodeView {
        url: node.url,
        name: node.name,
        address: node.address,
    }
}

fn share_view(share: SecretShareData) -> ShareView {
    let SecretShareData {
        seed,
        seed_commitment,
        secret_key,
        secret_key_commitment,
    } = share;
    ShareView {
        seed,
        seed_commitment,
        secret_key,
        secret_key_commitment,
    }
}
