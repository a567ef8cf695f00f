//! The end of a task: its result on disk, and its end on the record.

use crate::arrays::{Packed, npz_stream};
use crate::backoff::Backoff;
use crate::context::Context;
use crate::coordinator::state::RunState;
use crate::once::{Call, OnRecord, Put, once};
use delta_domain::bundle::Bundle;
use delta_domain::ids::TaskId;
use delta_domain::tensor::element_count;
use delta_ports::blob::BlobName;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, report};

/// Puts the outputs on disk, as the file that authors download: each goes from its own file into that one, piece by piece.
pub(super) async fn write_result(
    context: &Context,
    state: &RunState,
    bundle: &Bundle,
) -> Result<(), PortError> {
    let blobs = &context.ports.blobs;
    let manifest = bundle.manifest();
    let mut outputs = Vec::new();
    for name in &manifest.outputs {
        let bytes = manifest.variables.get(name).and_then(|spec| {
            let elements = element_count(&spec.shape)?;
            elements.checked_mul(spec.dtype.size())
        });
        let limit = bytes.unwrap_or(usize::MAX) as u64;
        let kept = Packed::Kept(state.blob_of(name)?, limit);
        outputs.push((name.to_string(), kept));
    }
    let (limit, content) = npz_stream(blobs.clone(), outputs);
    let result = BlobName::task_result(&state.task);
    blobs.put(&result, content, limit).await.map(drop)
}

/// Finishes the task on the record, where that has not been done yet; whether it `has_result` is for its log.
pub(in crate::coordinator) async fn publish_end(
    context: &Context,
    state: &RunState,
    has_result: bool,
) -> Result<(), PortError> {
    let task = &state.task;
    let put = persistently(context, task, || async {
        let mut finishing = OnRecord {
            connector: &*context.ports.connector,
            clock: &*context.ports.clock,
            call: Call::Finish(&state.owner, state.kind, task),
        };
        once(&mut finishing, true).await
    });
    let Put::Now(tx) = put.await? else {
        return Ok(());
    };
    let text = match has_result {
        true => format!("[Finish Task] task {task} finished"),
        false => format!("[Finish Task] task {task} is over for its members, without a result"),
    };
    context.log(LogLevel::Info, task, text, Some(tx)).await;
    Ok(())
}

/// Tries again while the connector cannot be reached or has forgotten this node: the result is safe, only the announcement waits.
async fn persistently<T, F: Future<Output = Result<T, PortError>>>(
    context: &Context,
    task: &TaskId,
    call: impl Fn() -> F,
) -> Result<T, PortError> {
    let (mut backoff, clock) = (Backoff::STEPS, &context.ports.clock);
    loop {
        match call().await {
            Err(e) if context.contact.is_to_blame(&e, clock.now()) || e.is_transient() => {
                tracing::debug!(%task, "waiting for the connector: {}", report(&e));
                context.contact.here().await;
                clock.sleep(backoff.pause()).await;
            }
            other => return other,
        }
    }
}
