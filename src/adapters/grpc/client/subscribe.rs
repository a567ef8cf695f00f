//! One subscription: heartbeats watched and swallowed, events passed on, silence noticed (docs/protocol/connector.md, Events).

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::Channel;

use crate::convert::events::{Incoming, incoming};
use crate::convert::method::SUBSCRIBE;
use crate::error::connector_error;
use crate::pb::subscribe::subscribe_client::SubscribeClient;
use crate::pb::subscribe::{Event, EventReq};
use crate::signature::CallSigner;
use delta_domain::connector_record::RecordEvent;
use delta_ports::connector::RecordEvents;
use delta_ports::{PortError, PortErrorKind};

/// How many events may wait for the caller before reading from the connection stops.
const WAITING: usize = 256;

/// The reference sends response headers only with its first message, ours at once: wait this long for them, no longer.
const GRACE: Duration = Duration::from_secs(1);

/// Opens a subscription that lives in a task of its own and ends when the stream is dropped.
///
/// An error that comes within the grace fails the call; a later one is the last item of the stream.
pub(super) async fn open(
    op: &'static str,
    client: SubscribeClient<Channel>,
    listener: &str,
    signer: Option<CallSigner>,
    heartbeat: Duration,
) -> Result<RecordEvents, PortError> {
    let heartbeat = heartbeat.clamp(Duration::from_secs(1), Duration::from_secs(3600));
    let seconds = i32::try_from(heartbeat.as_secs()).unwrap_or(i32::MAX);
    let request = EventReq {
        address: listener.to_owned(),
        timeout: seconds,
    };
    let silence = Duration::from_secs(heartbeat.as_secs() * 2);
    let (ready, is_ready) = oneshot::channel();
    let (events, stream) = mpsc::channel(WAITING);
    tokio::spawn(pump(op, client, request, signer, silence, ready, events));
    if let Ok(Ok(outcome)) = timeout(GRACE, is_ready).await {
        outcome?;
    }
    Ok(ReceiverStream::new(stream).boxed())
}

async fn pump(
    op: &'static str,
    mut client: SubscribeClient<Channel>,
    request: EventReq,
    signer: Option<CallSigner>,
    silence: Duration,
    ready: oneshot::Sender<Result<(), PortError>>,
    events: mpsc::Sender<Result<RecordEvent, PortError>>,
) {
    let quiet = || {
        PortError::new(
            PortErrorKind::Timeout,
            op,
            format!("the connector was silent for {} s", silence.as_secs()),
        )
    };
    let mut learning = signer.clone();
    let opening = async {
        loop {
            let signed = match &signer {
                Some(signer) => signer.sign(SUBSCRIBE, request.clone())?,
                None => Request::new(request.clone()),
            };
            match (client.subscribe(signed).await, &mut learning) {
                // Refused for the time of its signature: once more by the connector's clock.
                (Err(status), Some(signer)) if signer.learns(&status) => learning = None,
                (outcome, _) => return outcome,
            }
        }
    };
    let opened = tokio::select! {
        opened = timeout(silence, opening) => opened,
        () = events.closed() => return,
    };
    let mut stream = match opened {
        Ok(Ok(response)) => response.into_inner(),
        failed => {
            let error = failed.map_or_else(
                |_| quiet(),
                |status| status.map_or_else(|s| connector_error(op, s), |_| quiet()),
            );
            // Nobody waits for the opening any more once the grace is over: then the stream tells it.
            if let Err(Err(error)) = ready.send(Err(error)) {
                last_word(&events, error).await;
            }
            return;
        }
    };
    // The caller may have stopped waiting; the stream goes on.
    let _nobody_waits = ready.send(Ok(()));
    loop {
        let received = tokio::select! {
            received = timeout(silence, stream.message()) => received,
            () = events.closed() => return,
        };
        let error = match received {
            Ok(Ok(Some(event))) => {
                if forward(event, &events).await {
                    continue;
                }
                return;
            }
            Ok(Ok(None)) => PortError::new(
                PortErrorKind::Unavailable,
                op,
                "the connector ended the subscription",
            ),
            Ok(Err(status)) => connector_error(op, status),
            Err(_) => quiet(),
        };
        return last_word(&events, error).await;
    }
}

/// Whether the caller still listens.
async fn forward(event: Event, events: &mpsc::Sender<Result<RecordEvent, PortError>>) -> bool {
    match incoming(event) {
        Incoming::Heartbeat => true,
        Incoming::Event(event) => events.send(Ok(event)).await.is_ok(),
        Incoming::Unknown => {
            tracing::warn!("an event of an unknown type is skipped");
            true
        }
    }
}

async fn last_word(events: &mpsc::Sender<Result<RecordEvent, PortError>>, error: PortError) {
    let _nobody_listens = events.send(Err(error)).await;
}
