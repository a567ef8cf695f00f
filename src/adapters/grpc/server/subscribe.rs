//! `subscribe.Subscribe`: headers at once, every event, heartbeats on time (docs/protocol/connector.md, Events).

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{Stream, unfold};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::per_peer::{Place, SUBSCRIPTIONS};
use super::services::Services;
use crate::convert::events::outgoing;
use crate::convert::method::SUBSCRIBE;
use crate::error::status_of;
use crate::pb::subscribe::subscribe_server::Subscribe;
use crate::pb::subscribe::{Event, EventReq, HeartBeatEvent, event};
use crate::signature;
use delta_ports::connector::RecordEvents;

/// The reference's timer overflows beyond about 25 days; a day is as good as never.
const MAX_PERIOD: Duration = Duration::from_secs(24 * 3600);

struct Live {
    events: RecordEvents,
    heartbeat: Option<Interval>,
    stop: CancellationToken,
    /// Counted as long as the subscription lives.
    _place: Place,
}

#[tonic::async_trait]
impl Subscribe for Services {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<EventReq>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let place = self.peers.enter(request.remote_addr()).ok_or_else(|| {
            Status::resource_exhausted(format!(
                "this address has {SUBSCRIPTIONS} subscriptions, the most that one may have"
            ))
        })?;
        let signed = signature::read(request.metadata())?;
        let message = request.into_inner();
        let body = signature::body_of(&message);
        // Where the door is open anybody may listen, as at the reference: the address need not be one.
        let EventReq { address, timeout } = message;
        let address = self.door.listener(address, signed, SUBSCRIBE, &body)?;
        let events = self
            .record
            .open("connector.subscribe", &address)
            .await
            .map_err(|e| status_of(&e))?;
        let live = Live {
            events,
            heartbeat: heartbeat(timeout),
            stop: self.stop.clone(),
            _place: place,
        };
        Ok(Response::new(Box::pin(unfold(Some(live), next))))
    }
}

fn heartbeat(seconds: i32) -> Option<Interval> {
    let seconds = u64::try_from(seconds).ok().filter(|s| *s > 0)?;
    let period = Duration::from_secs(seconds).min(MAX_PERIOD);
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(interval)
}

async fn next(live: Option<Live>) -> Option<(Result<Event, Status>, Option<Live>)> {
    let mut live = live?;
    let tick = async {
        match &mut live.heartbeat {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    };
    let next = tokio::select! {
        biased;
        next = live.events.next() => next,
        () = live.stop.cancelled() => None,
        () = tick => {
            let beat = Event { event: Some(event::Event::Heartbeat(HeartBeatEvent {})) };
            return Some((Ok(beat), Some(live)));
        }
    };
    match next {
        Some(Ok(event)) => Some((Ok(outgoing(event)), Some(live))),
        Some(Err(error)) => Some((Err(status_of(&error)), None)),
        None => Some((
            Err(Status::unavailable("the connector is shutting down")),
            None,
        )),
    }
}
