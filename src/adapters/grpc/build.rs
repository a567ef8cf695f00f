//! Compiles the wire contracts in `proto/` no `protoc`, no network.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    wire()?;
    Ok(())
}

/// Where the contracts are, seen from this crate.
const WIRE: &str = "../../../proto";

/// The messages that `horizontal` and `hlr` have in common, field for field: they are generated once.
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

fn wire() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={WIRE}");
    let files = [
        "identity",
        "datahub",
        "horizontal",
        "hlr",
        "subscribe",
        "zk",
    ]
    .map(|name| format!("{WIRE}/{name}.proto"));
    let descriptors = protox::compile(files, [WIRE])?;
    let builder = SHARED.iter().fold(
        tonic_prost_build::configure().emit_rerun_if_changed(false),
        |builder, name| {
            builder.extern_path(
                format!(".hlr.{name}"),
                format!("crate::pb::horizontal::{name}"),
            )
        },
    );
    builder
        .include_file("connector_wire.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
