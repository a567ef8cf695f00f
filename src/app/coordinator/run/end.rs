//! The end of a task: its result on disk, and its end on the record.

use crate::backoff::Backoff;
use crate::context::Context;
use crate::coordinator::internal;
use crate::coordinator::state::RunState;
use delta_domain::bundle::Bundle;
use delta_domain::ids::TaskId;
use delta_domain::npy::encode_npz;
use delta_domain::tensor::Tensor;
use delta_ports::blob::{BlobName, pieces};
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, report};

/// Puts the outputs on disk, as the file that authors download.
pub(super) async fn write_result(
    context: &Context,
    state: &RunState,
    bundle: &Bundle,
) -> Result<(), PortError> {
    let mut outputs = Vec::new();
    for name in &bundle.manifest().outputs {
        outputs.push((name, state.read(context, name).await?));
    }
    let arrays: Vec<(&str, &Tensor)> = outputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let bytes = encode_npz(&arrays).map_err(|e| internal("coordinator.result", e.to_string()))?;
    let len = bytes.len() as u64;
    context
        .ports
        .blobs
        .put(&BlobName::task_result(&state.task), pieces(bytes), len)
        .await
        .map(drop)
}

/// Finishes the task on the record, where that has not been done yet.
pub(in crate::coordinator) async fn publish_end(
    context: &Context,
    state: &RunState,
) -> Result<(), PortError> {
    let connector = &context.ports.connector;
    let task = &state.task;
    if connector
        .task(state.kind, task)
        .await
        .is_ok_and(|record| record.finished)
    {
        return Ok(());
    }
    let tx = persistently(context, task, || {
        connector.finish_task(state.kind, &state.owner, task)
    })
    .await?;
    context
        .log(
            LogLevel::Info,
            task,
            format!("[Finish Task] task {task} finished"),
            Some(tx),
        )
        .await;
    Ok(())
}

/// Tries again while the connector cannot be reached: the result is safe, only the announcement waits.
async fn persistently<T, F: Future<Output = Result<T, PortError>>>(
    context: &Context,
    task: &TaskId,
    call: impl Fn() -> F,
) -> Result<T, PortError> {
    let mut backoff = Backoff::STEPS;
    loop {
        match call().await {
            Err(e) if e.is_transient() => {
                tracing::warn!(%task, "waiting for the connector: {}", report(&e));
                context.ports.clock.sleep(backoff.pause()).await;
            }
            other => return other,
        }
    }
}
