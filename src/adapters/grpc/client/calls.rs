//! Which method of which service each command calls.

use tonic::{Request, Status};

use super::GrpcConnector;
use crate::convert::method::method_of;
use crate::convert::{Reply as _, Rpc as _, datahub, hlr, identity, rounds, shares, tasks};
use delta_domain::connector_record::{Command, SecretKind, Step};
use delta_domain::task::TaskKind;
use delta_ports::connector::Receipt;

/// Calls a method of a service as an RPC declares it.
macro_rules! ask {
    ($c:ident.$service:ident(), $method:ident, $rpc:expr, $command:ident) => {{
        let path = method_of(&$command);
        let acts = !$command.is_read();
        match $rpc.request($command) {
            Some(message) => {
                let request = if acts {
                    $c.request(&path, message)?
                } else {
                    Request::new(message)
                };
                $c.$service().$method(request).await?.into_inner().receipt()
            }
            None => Err(Status::internal("the command is of another call")),
        }
    }};
}

/// Calls a method of the task service that keeps the task, which is of this kind.
macro_rules! task {
    ($client:ident, $kind:expr, $method:ident, $horizontal:expr, $hlr:expr, $command:ident) => {
        match $kind {
            TaskKind::Horizontal => ask!($client.horizontal(), $method, $horizontal, $command),
            TaskKind::Hlr => ask!($client.hlr(), $method, $hlr, $command),
        }
    };
    ($client:ident, $kind:expr, $method:ident, $both:path, $command:ident) => {
        task!(
            $client,
            $kind,
            $method,
            $both(TaskKind::Horizontal),
            $both(TaskKind::Hlr),
            $command
        )
    };
}

/// Sends one call and reads its answer.
#[rustfmt::skip] // A table: one line a call.
pub(super) async fn send(c: &GrpcConnector, command: Command) -> Result<Receipt, Status> {
    use {Command as C, SecretKind::{Seed, SecretKey}, Step::{Aggregate, Calculate, Select}};
    match &command {
        C::Join { .. } => ask!(c.identity(), join, identity::Join, command),
        C::JoinAs { .. } => Err(Status::internal("on the wire a signed join is a join")),
        C::UpdateUrl { .. } => ask!(c.identity(), update_url, identity::UpdateUrl, command),
        C::UpdateName { .. } => ask!(c.identity(), update_name, identity::UpdateName, command),
        C::Leave { .. } => ask!(c.identity(), leave, identity::Leave, command),
        C::Node { .. } => ask!(c.identity(), get_node_info, identity::GetNodeInfo, command),
        C::Nodes { .. } => ask!(c.identity(), get_nodes, identity::GetNodes, command),

        C::RegisterData { .. } => ask!(c.data_hub(), register, datahub::Register, command),
        C::DataCommitment { .. } => ask!(c.data_hub(), get_data_commitment, datahub::GetDataCommitment, command),

        C::CreateTask(t) => task!(c, t.kind, create_task, tasks::CreateTask, tasks::CreateHlrTask, command),
        C::FinishTask { kind, .. } => task!(c, kind, finish_task, tasks::FinishTask, command),
        C::Task { kind, .. } => task!(c, kind, get_task, tasks::GetTask, tasks::GetHlrTask, command),

        C::StartRound { at, .. } => task!(c, at.kind, start_round, rounds::StartRound, rounds::StartHlrRound, command),
        C::JoinRound { at, .. } => task!(c, at.kind, join_round, rounds::JoinRound, command),
        C::Round { at } => task!(c, at.kind, get_task_round, rounds::GetTaskRound, rounds::GetHlrTaskRound, command),
        C::PublicKeys { at, .. } => task!(c, at.kind, get_client_publick_keys, rounds::GetClientPublickKeys, command),
        C::Advance { step: Select, at, .. } => task!(c, at.kind, select_candidates, rounds::SelectCandidates, command),
        C::Advance { step: Calculate, at, .. } => task!(c, at.kind, start_calculation, rounds::StartCalculation, command),
        C::Advance { step: Aggregate, at, .. } => task!(c, at.kind, start_aggregation, rounds::StartAggregation, command),
        C::EndRound { at, .. } => task!(c, at.kind, end_round, rounds::EndRound, command),

        C::UploadCommitments { secret: Seed, at, .. } =>
            task!(c, at.kind, upload_seed_commitment, shares::UploadSeedCommitment, command),
        C::UploadCommitments { secret: SecretKey, at, .. } =>
            task!(c, at.kind, upload_secret_key_commitment, shares::UploadSecretKeyCommitment, command),
        C::UploadResult { at, .. } => task!(c, at.kind, upload_result_commitment, shares::UploadResultCommitment, command),
        C::ResultCommitment { at, .. } => task!(c, at.kind, get_result_commitment, shares::GetResultCommitment, command),
        C::UploadShares { secret: Seed, at, .. } => task!(c, at.kind, upload_seed, shares::UploadSeed, command),
        C::UploadShares { secret: SecretKey, at, .. } => task!(c, at.kind, upload_secret_key, shares::UploadSecretKey, command),
        C::ShareRecords { at, .. } => task!(c, at.kind, get_secret_share_datas, shares::GetSecretShareDatas, command),

        C::WeightCommitment { .. } => ask!(c.hlr(), get_weight_commitment, hlr::GetWeightCommitment, command),
        C::Verify(_) => ask!(c.hlr(), verify, hlr::Verify, command),
        C::VerifierState { .. } => ask!(c.hlr(), get_verifier_state, hlr::GetVerifierState, command),
        C::Confirm { .. } => ask!(c.hlr(), confirm_verification, hlr::ConfirmVerification, command),
    }
}
