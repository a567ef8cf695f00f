//! The broadcast of events to all subscribers (docs/protocol/connector.md, Events).
//!
//! One ring for everybody: memory is bounded by its length, a dead subscriber costs nothing, and one that falls behind loses its
//! subscription, so that it reads again what it missed, instead of holding the others back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use delta_domain::connector_record::RecordEvent;
use delta_domain::connector_record::limits::ID_BYTES;
use delta_ports::connector::RecordEvents;
use delta_ports::{PortError, PortErrorKind};

#[derive(Debug)]
pub(super) struct Broadcast {
    ring: broadcast::Sender<Arc<RecordEvent>>,
    /// What was published a moment ago, oldest first. Locked while something is published or somebody subscribes.
    recent: Mutex<VecDeque<(Instant, Arc<RecordEvent>)>>,
    /// For how long they count as that.
    hindsight: Duration,
    slots: Arc<Semaphore>,
    listeners: Listeners,
    closed: CancellationToken,
}

/// The most events that are kept for those who subscribe a moment later.
const RECENT: usize = 256;

/// Subscriptions of one listener: one in use, and those that its end has not been noticed of.
const PER_LISTENER: usize = 16;

/// How many subscriptions each listener has.
type Listeners = Arc<Mutex<BTreeMap<String, usize>>>;

/// One subscription of a listener, counted until it is dropped.
#[derive(Debug)]
struct Counted {
    listeners: Listeners,
    name: String,
}

impl Counted {
    /// With whether it is the listener's only one.
    fn new(listeners: &Listeners, name: &str) -> Option<(Self, bool)> {
        // Names are bounded before they are kept.
        let name: String = name.chars().take(ID_BYTES).collect();
        let mut counts = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.clone()).or_default();
        if *count >= PER_LISTENER {
            return None;
        }
        *count += 1;
        let only = *count == 1;
        let counted = Self {
            listeners: Arc::clone(listeners),
            name,
        };
        Some((counted, only))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.name);
            }
        }
    }
}

/// One subscriber's place in the ring. Dropping it ends the subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Published a moment before it began.
    before: VecDeque<Arc<RecordEvent>>,
    events: broadcast::Receiver<Arc<RecordEvent>>,
    closed: CancellationToken,
    _slot: OwnedSemaphorePermit,
    _counted: Counted,
}

/// What a subscriber is told next.
pub(super) enum Next {
    Event(RecordEvent),
    TooSlow,
    Closed,
}

impl Broadcast {
    pub(super) fn new(max_subscribers: usize, max_lag: usize, hindsight: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(max_subscribers.min(Semaphore::MAX_PERMITS)));
        Self {
            ring: broadcast::Sender::new(max_lag.clamp(1, 1 << 20)),
            recent: Mutex::default(),
            hindsight,
            slots,
            listeners: Listeners::default(),
            closed: CancellationToken::new(),
        }
    }

    /// A new subscription, if there is room for this listener and the broadcast is open.
    pub(super) fn subscribe(&self, listener: &str) -> Option<Subscription> {
        if self.closed.is_cancelled() {
            return None;
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let (counted, only) = Counted::new(&self.listeners, listener)?;
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // Another subscription of this listener has had them.
        let fresh = recent
            .iter()
            .filter(|(at, _)| only && at.elapsed() < self.hindsight);
        Some(Subscription {
            _counted: counted,
            before: fresh.map(|(_, event)| event.clone()).collect(),
            events: self.ring.subscribe(),
            closed: self.closed.clone(),
            _slot: slot,
        })
    }

    pub(super) fn publish(&self, event: RecordEvent) {
        let event = Arc::new(event);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.len() >= RECENT
            || recent
                .front()
                .is_some_and(|(at, _)| at.elapsed() >= self.hindsight)
        {
            recent.pop_front();
        }
        recent.push_back((Instant::now(), event.clone()));
        // An error only says that nobody listens.
        let _nobody_listens = self.ring.send(event);
    }

    /// Ends all subscriptions once they have taken what was published.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

impl Subscription {
    /// Cancellation safe.
    pub(super) async fn next(&mut self) -> Next {
        if let Some(event) = self.before.pop_front() {
            return Next::Event(Arc::unwrap_or_clone(event));
        }
        let received = tokio::select! {
            biased;
            received = self.events.recv() => received,
            () = self.closed.cancelled() => return Next::Closed,
        };
        match received {
            Ok(event) => Next::Event(Arc::unwrap_or_clone(event)),
            Err(RecvError::Lagged(_)) => Next::TooSlow,
            Err(RecvError::Closed) => Next::Closed,
        }
    }

    /// The events as the port gives them; `op` names the subscription in the error that ends it.
    pub(super) fn events(self, op: &'static str) -> RecordEvents {
        let events = futures_util::stream::unfold(Some(self), move |live| async move {
            let mut subscription = live?;
            let why = match subscription.next().await {
                Next::Event(event) => return Some((Ok(event), Some(subscription))),
                Next::TooSlow => "events were lost because they were not taken in time",
                Next::Closed => "the connector is shutting down",
            };
            Some((
                Err(PortError::new(PortErrorKind::Unavailable, op, why)),
                None,
            ))
        });
        events.boxed()
    }
}
