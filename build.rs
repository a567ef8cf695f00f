//! Compiles the wire contracts in `proto/` when a feature needs them; no `protoc`, no network.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "adapter-grpc")]
    wire()?;
    Ok(())
}

/// The messages that `horizontal` and `hlr` have in common, field for field: they are generated once.
#[cfg(feature = "adapter-grpc")]
const SHARED: [&str; 21] = [
    "CreateTaskResp",
    "FinishTaskReq",
    "TaskReq",
    "JoinRoundReq",
    "TaskRoundReq",
    "RoundStatus",
    "CandidatesReq",
    "CalculationReq",
    "AggregationReq",
    "ShareCommitment",
    "PublicKeyReq",
    "PublicKeys",
    "PublicKeyResp",
    "ResultCommitment",
    "ResultCommitmentReq",
    "ResultCommitmentResp",
    "Share",
    "SecretShareReq",
    "SecretShareData",
    "SecretShareResp",
    "EndRoundReq",
];

#[cfg(feature = "adapter-grpc")]
fn wire() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = [
        "identity",
        "datahub",
        "horizontal",
        "hlr",
        "subscribe",
        "zk",
    ]
    .map(|name| format!("proto/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let builder = SHARED.iter().fold(
        tonic_prost_build::configure().emit_rerun_if_changed(false),
        |builder, name| {
            builder.extern_path(
                format!(".hlr.{name}"),
                format!("crate::adapters::grpc::pb::horizontal::{name}"),
            )
        },
    );
    builder
        .include_file("connector_wire.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
