//! The four services that answer: which RPC each of their methods is. The messages are `convert`'s.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::door::Door;
use super::per_peer::PerPeer;
use crate::convert::{Reply as _, Rpc, datahub, hlr, identity, rounds, shares, tasks};
use crate::error::status_of;
use crate::pb::datahub::data_hub_server::DataHub;
use crate::pb::hlr::hlr_server::Hlr;
use crate::pb::horizontal::horizontal_server::Horizontal;
use crate::pb::identity::identity_server::Identity;
use crate::signature;
use delta_domain::task::TaskKind;
use delta_ports::connector::RecordBackend;

/// What stands behind the port, for all services.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) record: Arc<dyn RecordBackend>,
    /// Who may call.
    pub(super) door: Door,
    /// Ends subscriptions.
    pub(super) stop: CancellationToken,
    /// How many subscriptions each machine has.
    pub(super) peers: PerPeer,
}

impl Services {
    async fn answer<R: Rpc>(
        &self,
        rpc: R,
        request: Request<R::Request>,
    ) -> Result<Response<R::Reply>, Status> {
        let signed = signature::read(request.metadata())?;
        let message = request.into_inner();
        let body = signed.as_ref().map(|_| signature::body_of(&message));
        let command = rpc.command(message);
        let command = self.door.admit(command, signed.zip(body))?;
        let receipt = self
            .record
            .execute("connector.served_call", command)
            .await
            .map_err(|e| status_of(&e))?;
        R::Reply::of(receipt)
            .map(Response::new)
            .ok_or_else(|| Status::internal("the answer is of another call"))
    }
}

/// Implements a service: each method answers as an RPC declares it.
macro_rules! service {
    ($service:ident { $($method:ident: $file:ident::$rpc:ident $(($kind:path))?,)* }) => {
        #[tonic::async_trait]
        impl $service for Services {
            $(async fn $method(
                &self,
                request: Request<<$file::$rpc as Rpc>::Request>,
            ) -> Result<Response<<$file::$rpc as Rpc>::Reply>, Status> {
                self.answer($file::$rpc $(($kind))?, request).await
            })*
        }
    };
}

/// Implements a task service: what the two have in common, and what is given.
macro_rules! task_service {
    ($service:ident, $kind:path { $($own:tt)* }) => {
        service!($service {
            finish_task: tasks::FinishTask($kind),
            join_round: rounds::JoinRound($kind),
            select_candidates: rounds::SelectCandidates($kind),
            upload_seed_commitment: shares::UploadSeedCommitment($kind),
            upload_secret_key_commitment: shares::UploadSecretKeyCommitment($kind),
            get_client_publick_keys: rounds::GetClientPublickKeys($kind),
            start_calculation: rounds::StartCalculation($kind),
            upload_result_commitment: shares::UploadResultCommitment($kind),
            get_result_commitment: shares::GetResultCommitment($kind),
            start_aggregation: rounds::StartAggregation($kind),
            upload_seed: shares::UploadSeed($kind),
            upload_secret_key: shares::UploadSecretKey($kind),
            get_secret_share_datas: shares::GetSecretShareDatas($kind),
            end_round: rounds::EndRound($kind),
            $($own)*
        });
    };
}

service!(Identity {
    join: identity::Join,
    update_url: identity::UpdateUrl,
    update_name: identity::UpdateName,
    leave: identity::Leave,
    get_node_info: identity::GetNodeInfo,
    get_nodes: identity::GetNodes,
});

service!(DataHub {
    register: datahub::Register,
    get_data_commitment: datahub::GetDataCommitment,
});

task_service!(
    Horizontal,
    TaskKind::Horizontal {
        create_task: tasks::CreateTask,
        get_task: tasks::GetTask,
        start_round: rounds::StartRound,
        get_task_round: rounds::GetTaskRound,
    }
);

task_service!(
    Hlr,
    TaskKind::Hlr {
        create_task: tasks::CreateHlrTask,
        get_task: tasks::GetHlrTask,
        start_round: rounds::StartHlrRound,
        get_task_round: rounds::GetHlrTaskRound,
        get_weight_commitment: hlr::GetWeightCommitment,
        verify: hlr::Verify,
        get_verifier_state: hlr::GetVerifierState,
        confirm_verification: hlr::ConfirmVerification,
    }
);
