//! A member's masked result: it becomes part of the round only when its length and digest are what was announced.

use super::rejection::{failed, give, invalid, rejected};
use crate::coordinator::Coordinator;
use crate::coordinator::round_machine::RoundMachine;
use crate::coordinator::sum::Sum;
use crate::machine::Handle;
use delta_domain::ids::Address;
use delta_domain::round::coordinator::CoordinatorInput;
use delta_domain::round::message::SignedRequest;
use delta_ports::PortErrorKind;
use delta_ports::blob::{BlobName, ByteStream};
use delta_ports::certificates::MAX_PROOF_BYTES;
use delta_ports::peer::{PeerRejection, RejectionKind};

/// Takes in the result that a request announces, once.
pub(super) async fn take_result(
    coordinator: &Coordinator,
    round: &Handle<RoundMachine>,
    request: &SignedRequest,
    content: ByteStream,
) -> Result<(), PeerRejection> {
    let (digest, len, here) = round
        .state()
        .0
        .authorise_result(request)
        .map_err(rejected)?;
    let member = &request.sender;
    if here {
        return Ok(());
    }
    expect_length(coordinator, round, member, len)?;
    let name = BlobName::masked_result(&request.task, request.round, member);
    // The upload has a name of its own until it is known to be what was announced.
    let incoming = name.incoming(&digest);
    let blobs = &coordinator.context.ports.blobs;
    let info = blobs
        .put(&incoming, content, len)
        .await
        .map_err(|e| match e.kind() {
            PortErrorKind::Rejected => PeerRejection::new(
                RejectionKind::TooLarge,
                format!("the result is longer than {len} bytes"),
            ),
            _ => failed(&e),
        })?;
    if info.digest != digest || info.len != len {
        drop(blobs.remove(&incoming).await);
        return Err(invalid(
            "the result is not what its announcement says: length or digest differ",
        ));
    }
    blobs
        .rename(&incoming, &name)
        .await
        .map_err(|e| failed(&e))?;
    let input = CoordinatorInput::ResultUploaded {
        member: member.clone(),
        digest,
    };
    give(round, input).await?;
    let message = format!(
        "task {} round {} {member} upload result",
        request.task, request.round
    );
    let context = &coordinator.context;
    context.step(&request.task, message, None).await;
    Ok(())
}

/// The one length that the sender's upload can have.
fn expect_length(
    coordinator: &Coordinator,
    round: &Handle<RoundMachine>,
    member: &Address,
    len: u64,
) -> Result<(), PeerRejection> {
    let machine = round.state();
    let context = machine.0.context();
    let announcement = &context.announcement;
    let active = coordinator.active();
    let bundle = &active
        .get(&announcement.task)
        .ok_or_else(|| invalid("task does not exist"))?
        .bundle;
    if bundle.manifest().certified_in(announcement.step).is_some() {
        // How long a proof is hangs on its member's rows; what it is, the verifier says.
        return match len <= MAX_PROOF_BYTES {
            true => Ok(()),
            false => Err(PeerRejection::new(
                RejectionKind::TooLarge,
                format!("a proof has at most {MAX_PROOF_BYTES} bytes, not {len}"),
            )),
        };
    }
    let length = bundle
        .manifest()
        .contribution_len(announcement.step)
        .unwrap_or(0);
    let sum = Sum {
        context: &coordinator.context,
        task: &announcement.task,
        round: announcement.round,
        strategy: &context.strategy,
        numbers: length,
    };
    match sum.header(member).total_bytes() {
        Some(expected) if expected == len => Ok(()),
        expected => Err(invalid(format!(
            "a result of this step has {} bytes, not {len}",
            expected.unwrap_or(0)
        ))),
    }
}
