//! `subscribe.Subscribe`: headers at once, every event, heartbeats on time (CONNECTOR.md section 8).

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::Services;
use crate::broadcast::{Next, Subscription};
use delta_grpc::events::outgoing;
use delta_grpc::pb::subscribe::subscribe_server::Subscribe;
use delta_grpc::pb::subscribe::{Event, EventReq, HeartBeatEvent, event};

/// The reference's timer overflows beyond about 25 days; a day is as good as never.
const MAX_PERIOD: Duration = Duration::from_secs(24 * 3600);

struct Live {
    subscription: Subscription,
    heartbeat: Option<Interval>,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl Subscribe for Services {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<EventReq>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        // The address is not looked at: anybody may listen, as at the reference.
        let EventReq { timeout, .. } = request.into_inner();
        let subscription = self
            .connector
            .subscription("connector.subscribe")
            .map_err(|e| super::status_of(&e))?;
        let live = Live {
            subscription,
            heartbeat: heartbeat(timeout),
            stop: self.stop.clone(),
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
        next = live.subscription.next() => next,
        () = live.stop.cancelled() => Next::Closed,
        () = tick => {
            let beat = Event { event: Some(event::Event::Heartbeat(HeartBeatEvent {})) };
            return Some((Ok(beat), Some(live)));
        }
    };
    match next {
        Next::Event(event) => Some((Ok(outgoing(event)), Some(live))),
        Next::TooSlow => Some((
            Err(Status::unavailable(
                "events were lost because they were not taken in time",
            )),
            None,
        )),
        Next::Closed => Some((
            Err(Status::unavailable("the connector is shutting down")),
            None,
        )),
    }
}
