//! The path of the method that each command calls, as it is signed.

use delta_domain::connector_record::{Command, SecretKind, Step};
use delta_domain::task::TaskKind;

/// `/service/method`.
#[rustfmt::skip] // A table: one line a call.
pub(crate) fn method_of(command: &Command) -> String {
    use {Command as C, SecretKind::{Seed, SecretKey}, Step::{Aggregate, Calculate, Select}};
    match command {
        C::Join { .. } | C::JoinAs { .. } => identity("Join"),
        C::UpdateUrl { .. } => identity("UpdateUrl"),
        C::UpdateName { .. } => identity("UpdateName"),
        C::Leave { .. } => identity("Leave"),
        C::Node { .. } => identity("GetNodeInfo"),
        C::Nodes { .. } => identity("GetNodes"),

        C::RegisterData { .. } => "/datahub.DataHub/Register".to_owned(),
        C::DataCommitment { .. } => "/datahub.DataHub/GetDataCommitment".to_owned(),

        C::CreateTask(t) => task(t.kind, "CreateTask"),
        C::FinishTask { kind, .. } => task(*kind, "FinishTask"),
        C::Task { kind, .. } => task(*kind, "GetTask"),

        C::StartRound { at, .. } => task(at.kind, "StartRound"),
        C::JoinRound { at, .. } => task(at.kind, "JoinRound"),
        C::Round { at } => task(at.kind, "GetTaskRound"),
        C::PublicKeys { at, .. } => task(at.kind, "GetClientPublickKeys"),
        C::Advance { step: Select, at, .. } => task(at.kind, "SelectCandidates"),
        C::Advance { step: Calculate, at, .. } => task(at.kind, "StartCalculation"),
        C::Advance { step: Aggregate, at, .. } => task(at.kind, "StartAggregation"),
        C::EndRound { at, .. } => task(at.kind, "EndRound"),

        C::UploadCommitments { secret: Seed, at, .. } => task(at.kind, "UploadSeedCommitment"),
        C::UploadCommitments { secret: SecretKey, at, .. } => task(at.kind, "UploadSecretKeyCommitment"),
        C::UploadResult { at, .. } => task(at.kind, "UploadResultCommitment"),
        C::ResultCommitment { at, .. } => task(at.kind, "GetResultCommitment"),
        C::UploadShares { secret: Seed, at, .. } => task(at.kind, "UploadSeed"),
        C::UploadShares { secret: SecretKey, at, .. } => task(at.kind, "UploadSecretKey"),
        C::ShareRecords { at, .. } => task(at.kind, "GetSecretShareDatas"),

        C::WeightCommitment { .. } => task(TaskKind::Hlr, "GetWeightCommitment"),
        C::Verify(_) => task(TaskKind::Hlr, "Verify"),
        C::VerifierState { .. } => task(TaskKind::Hlr, "GetVerifierState"),
        C::Confirm { .. } => task(TaskKind::Hlr, "ConfirmVerification"),
    }
}

/// The path of the subscription, which is no command.
pub(crate) const SUBSCRIBE: &str = "/subscribe.Subscribe/Subscribe";

fn identity(method: &str) -> String {
    format!("/identity.Identity/{method}")
}

fn task(kind: TaskKind, method: &str) -> String {
    match kind {
        TaskKind::Horizontal => format!("/horizontal.Horizontal/{method}"),
        TaskKind::Hlr => format!("/hlr.HLR/{method}"),
    }
}
