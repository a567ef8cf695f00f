//! Recorded requests as gRPC calls, and their replies in comparable form.

use delta_node::adapters::grpc::pb::datahub::data_hub_client::DataHubClient;
use delta_node::adapters::grpc::pb::hlr::hlr_client::HlrClient;
use delta_node::adapters::grpc::pb::horizontal::horizontal_client::HorizontalClient;
use delta_node::adapters::grpc::pb::identity::identity_client::IdentityClient;
use delta_node::adapters::grpc::pb::subscribe::subscribe_client::SubscribeClient;
use delta_node::adapters::grpc::pb::subscribe::{Event, EventReq};
use delta_node::adapters::grpc::pb::{datahub, hlr, horizontal, identity};
use prost::Message;
use serde_json::Value;
use tonic::{Code, Status};

use super::world::World;

/// A message from the named fields of the request, by one-letter kind.
macro_rules! message {
    ($request:ident, $($type:ident)::+ { $($field:ident: $kind:ident),* }) => {
        $($type)::+ { $($field: $kind($request, stringify!($field))),* }
    };
}

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply {
    /// All fields, by name.
    pub(crate) debug: String,
    /// Decodes recorded bytes of the same type to the same form.
    pub(crate) decode: fn(&[u8]) -> String,
    pub(crate) tx_hash: Option<String>,
    pub(crate) task_id: Option<String>,
}

/// The form without the transaction hash, which is random.
pub(crate) fn without_tx(debug: &str) -> String {
    match debug.find("tx_hash: \"") {
        None => debug.to_owned(),
        Some(at) => format!(
            "{}{}",
            &debug[..at],
            &debug[(at + 10 + 66 + 1).min(debug.len())..]
        ),
    }
}

fn reply<M: Message + Default + std::fmt::Debug>(
    outcome: Result<tonic::Response<M>, Status>,
) -> Result<Reply, Status> {
    let debug = format!("{:?}", outcome?.into_inner());
    let field = |name: &str| {
        debug
            .split(&format!("{name}: \""))
            .nth(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
    };
    let (tx_hash, task_id) = (field("tx_hash"), field("task_id"));
    Ok(Reply {
        decode: |bytes| format!("{:?}", M::decode(bytes).unwrap()),
        tx_hash,
        task_id,
        debug,
    })
}

/// The bytes of a reply so long that the recording holds its fields and its length only.
pub(crate) fn long_reply(method: &str, recorded: &Value) -> Option<Vec<u8>> {
    let length = recorded["wire"]
        .as_str()?
        .strip_prefix('<')?
        .strip_suffix(" bytes>")?;
    let r = &recorded["response"];
    let list = |name: &str| r[name].as_array().into_iter().flatten();
    let wire = match method.split_once('.').unwrap().1 {
        "GetClientPublickKeys" => {
            let keys = list("keys")
                .map(|k| message!(k, horizontal::PublicKeys { pk1: s, pk2: s }))
                .collect();
            horizontal::PublicKeyResp { keys }.encode_to_vec()
        }
        "GetSecretShareDatas" => {
            let shares = list("shares").map(|d| {
                message!(
                    d,
                    horizontal::SecretShareData {
                        seed: o,
                        seed_commitment: o,
                        secret_key: o,
                        secret_key_commitment: o
                    }
                )
            });
            horizontal::SecretShareResp {
                shares: shares.collect(),
            }
            .encode_to_vec()
        }
        _ => panic!("{method} has a long reply"),
    };
    assert_eq!(wire.len().to_string(), length);
    Some(wire)
}

fn o(reply: &Value, name: &str) -> Option<String> {
    reply[name].as_str().map(str::to_owned)
}

fn s(request: &Value, name: &str) -> String {
    request[name].as_str().unwrap_or_default().to_owned()
}

fn n(request: &Value, name: &str) -> i32 {
    request[name]
        .as_i64()
        .map_or(0, |n| i32::try_from(n).unwrap())
}

fn l(request: &Value, name: &str) -> Vec<String> {
    request[name]
        .as_array()
        .into_iter()
        .flatten()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect()
}

/// A call on either task service: the shared messages are one type.
macro_rules! either {
    ($world:ident, $service:ident, $method:ident, $message:expr) => {
        match $service {
            "hlr" => reply(
                HlrClient::new($world.channel.clone())
                    .$method($message)
                    .await,
            ),
            _ => reply(
                HorizontalClient::new($world.channel.clone())
                    .$method($message)
                    .await,
            ),
        }
    };
}

pub(crate) async fn subscribe(world: &World, r: &Value) -> tonic::Streaming<Event> {
    let request = message!(
        r,
        EventReq {
            address: s,
            timeout: n
        }
    );
    SubscribeClient::new(world.channel.clone())
        .subscribe(request)
        .await
        .unwrap()
        .into_inner()
}

pub(crate) async fn nodes(world: &World, r: &Value) -> identity::NodeInfos {
    let request = message!(
        r,
        identity::NodeInfosReq {
            page: n,
            page_size: n
        }
    );
    IdentityClient::new(world.channel.clone())
        .get_nodes(request)
        .await
        .unwrap()
        .into_inner()
}

pub(crate) async fn call(world: &World, method: &str, r: &Value) -> Result<Reply, Status> {
    let (service, name) = method.split_once('.').unwrap();
    match service {
        "identity" => identity(world, name, r).await,
        "datahub" => {
            let mut client = DataHubClient::new(world.channel.clone());
            match name {
                "Register" => reply(
                    client
                        .register(message!(
                            r,
                            datahub::RegisterReq {
                                address: s,
                                name: s,
                                index: n,
                                commitment: s
                            }
                        ))
                        .await,
                ),
                "GetDataCommitment" => reply(
                    client
                        .get_data_commitment(message!(
                            r,
                            datahub::DataCommitmentReq {
                                address: s,
                                name: s,
                                index: n
                            }
                        ))
                        .await,
                ),
                _ => unknown(method),
            }
        }
        "hlr"
            if matches!(
                name,
                "GetWeightCommitment" | "Verify" | "GetVerifierState" | "ConfirmVerification"
            ) =>
        {
            proofs(world, name, r).await
        }
        _ => rounds(world, service, name, r).await,
    }
}

async fn identity(world: &World, name: &str, r: &Value) -> Result<Reply, Status> {
    let mut client = IdentityClient::new(world.channel.clone());
    match name {
        "Join" => reply(
            client
                .join(message!(r, identity::JoinReq { url: s, name: s }))
                .await,
        ),
        "UpdateUrl" => reply(
            client
                .update_url(message!(r, identity::UpdateUrlReq { address: s, url: s }))
                .await,
        ),
        "UpdateName" => reply(
            client
                .update_name(message!(
                    r,
                    identity::UpdateNameReq {
                        address: s,
                        name: s
                    }
                ))
                .await,
        ),
        "Leave" => reply(
            client
                .leave(message!(r, identity::LeaveReq { address: s }))
                .await,
        ),
        "GetNodeInfo" => reply(
            client
                .get_node_info(message!(r, identity::NodeInfoReq { address: s }))
                .await,
        ),
        "GetNodes" => reply(
            client
                .get_nodes(message!(
                    r,
                    identity::NodeInfosReq {
                        page: n,
                        page_size: n
                    }
                ))
                .await,
        ),
        _ => unknown(name),
    }
}

async fn proofs(world: &World, name: &str, r: &Value) -> Result<Reply, Status> {
    let mut client = HlrClient::new(world.channel.clone());
    match name {
        "GetWeightCommitment" => reply(
            client
                .get_weight_commitment(message!(
                    r,
                    hlr::WeightCommitmentReq {
                        task_id: s,
                        round: n
                    }
                ))
                .await,
        ),
        "Verify" => {
            let request = message!(
                r,
                hlr::VerifyReq {
                    address: s,
                    task_id: s,
                    weight_size: n,
                    proof: s,
                    pub_signals: l,
                    block_index: n,
                    samples: n
                }
            );
            reply(client.verify(request).await)
        }
        "GetVerifierState" => reply(
            client
                .get_verifier_state(message!(r, horizontal::TaskReq { task_id: s }))
                .await,
        ),
        _ => reply(
            client
                .confirm_verification(message!(
                    r,
                    hlr::ConfirmReq {
                        address: s,
                        task_id: s
                    }
                ))
                .await,
        ),
    }
}

async fn rounds(world: &World, service: &str, name: &str, r: &Value) -> Result<Reply, Status> {
    use horizontal as h;
    match name {
        "CreateTask" if service == "hlr" => {
            let (enable_verify, tolerance) = (
                r["enable_verify"].as_bool().unwrap_or(false),
                n(r, "tolerance"),
            );
            let (address, dataset, commitment) =
                (s(r, "address"), s(r, "dataset"), s(r, "commitment"));
            let request = hlr::CreateTaskReq {
                address,
                dataset,
                commitment,
                enable_verify,
                tolerance,
            };
            reply(
                HlrClient::new(world.channel.clone())
                    .create_task(request)
                    .await,
            )
        }
        "CreateTask" => {
            let request = message!(
                r,
                h::CreateTaskReq {
                    address: s,
                    dataset: s,
                    commitment: s,
                    task_type: s
                }
            );
            reply(
                HorizontalClient::new(world.channel.clone())
                    .create_task(request)
                    .await,
            )
        }
        "StartRound" if service == "hlr" => {
            let request = message!(
                r,
                hlr::StartRoundReq {
                    address: s,
                    task_id: s,
                    round: n,
                    weight_commitment: s
                }
            );
            reply(
                HlrClient::new(world.channel.clone())
                    .start_round(request)
                    .await,
            )
        }
        "StartRound" => {
            let request = message!(
                r,
                h::StartRoundReq {
                    address: s,
                    task_id: s,
                    round: n
                }
            );
            reply(
                HorizontalClient::new(world.channel.clone())
                    .start_round(request)
                    .await,
            )
        }
        "FinishTask" => either!(
            world,
            service,
            finish_task,
            message!(
                r,
                h::FinishTaskReq {
                    address: s,
                    task_id: s
                }
            )
        ),
        "GetTask" => either!(
            world,
            service,
            get_task,
            message!(r, h::TaskReq { task_id: s })
        ),
        "JoinRound" => {
            either!(
                world,
                service,
                join_round,
                message!(
                    r,
                    h::JoinRoundReq {
                        address: s,
                        task_id: s,
                        round: n,
                        pk1: s,
                        pk2: s
                    }
                )
            )
        }
        "GetTaskRound" => either!(
            world,
            service,
            get_task_round,
            message!(
                r,
                h::TaskRoundReq {
                    task_id: s,
                    round: n
                }
            )
        ),
        "SelectCandidates" => {
            let request = message!(
                r,
                h::CandidatesReq {
                    address: s,
                    task_id: s,
                    round: n,
                    clients: l
                }
            );
            either!(world, service, select_candidates, request)
        }
        "StartCalculation" => {
            let request = message!(
                r,
                h::CalculationReq {
                    address: s,
                    task_id: s,
                    round: n,
                    clients: l
                }
            );
            either!(world, service, start_calculation, request)
        }
        "StartAggregation" => {
            let request = message!(
                r,
                h::AggregationReq {
                    address: s,
                    task_id: s,
                    round: n,
                    clients: l
                }
            );
            either!(world, service, start_aggregation, request)
        }
        "UploadSeedCommitment" | "UploadSecretKeyCommitment" => {
            let request = message!(
                r,
                h::ShareCommitment {
                    address: s,
                    task_id: s,
                    round: n,
                    receivers: l,
                    commitments: l
                }
            );
            if name == "UploadSeedCommitment" {
                either!(world, service, upload_seed_commitment, request)
            } else {
                either!(world, service, upload_secret_key_commitment, request)
            }
        }
        "GetClientPublickKeys" => {
            either!(
                world,
                service,
                get_client_publick_keys,
                message!(
                    r,
                    h::PublicKeyReq {
                        task_id: s,
                        round: n,
                        clients: l
                    }
                )
            )
        }
        "UploadResultCommitment" => {
            let request = message!(
                r,
                h::ResultCommitment {
                    address: s,
                    task_id: s,
                    round: n,
                    commitment: s
                }
            );
            either!(world, service, upload_result_commitment, request)
        }
        "GetResultCommitment" => {
            either!(
                world,
                service,
                get_result_commitment,
                message!(
                    r,
                    h::ResultCommitmentReq {
                        task_id: s,
                        round: n,
                        client: s
                    }
                )
            )
        }
        "UploadSeed" | "UploadSecretKey" => {
            let request = message!(
                r,
                h::Share {
                    address: s,
                    task_id: s,
                    round: n,
                    senders: l,
                    shares: l
                }
            );
            if name == "UploadSeed" {
                either!(world, service, upload_seed, request)
            } else {
                either!(world, service, upload_secret_key, request)
            }
        }
        "GetSecretShareDatas" => {
            let request = message!(
                r,
                h::SecretShareReq {
                    task_id: s,
                    round: n,
                    senders: l,
                    receiver: s
                }
            );
            either!(world, service, get_secret_share_datas, request)
        }
        "EndRound" => either!(
            world,
            service,
            end_round,
            message!(
                r,
                h::EndRoundReq {
                    address: s,
                    task_id: s,
                    round: n
                }
            )
        ),
        _ => unknown(name),
    }
}

fn unknown(method: &str) -> Result<Reply, Status> {
    Err(Status::new(
        Code::Internal,
        format!("the test does not know {method}"),
    ))
}
