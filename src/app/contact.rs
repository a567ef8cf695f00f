//! Whether somebody whom rounds depend on can be reached: the connector, and for a member the task's coordinator.
//!
//! An outage is nobody's failure. While one lasts the deadlines of rounds stand still and effects wait; when it is over, rounds go on
//! with as much time as they had left (`machine/host.rs`). What counts as one is told here by whoever notices; the connector is back
//! once this node is registered *and* subscribed again (`monitor.rs`): before that the network takes it for dead.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;

use delta_domain::connector_record::RejectionReason;
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;
use delta_ports::metrics::WaitCause;
use delta_ports::{PortError, PortErrorKind};

/// How long the others may take to notice that the connector is back: the longest pause between two of their tries, and a little.
const OTHERS_NOTICE: Duration = Duration::from_secs(3);
/// Outages shorter than this are no reason to wait for others.
const NOTICED: Duration = Duration::from_secs(1);

/// What is known of one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Line {
    /// It answers, and knows this node.
    known: bool,
    /// What it tells arrives. Always, where nothing is told unasked.
    heard: bool,
    /// Since when one of both is not so.
    away: Option<Timestamp>,
    /// When the last outage ended, and how long it was.
    back: Option<(Timestamp, Duration)>,
}

impl Line {
    fn turned(mut self, now: Timestamp) -> Self {
        match (self.known && self.heard, self.away) {
            (true, Some(since)) => {
                self.away = None;
                self.back = Some((now, now - since));
            }
            (false, None) => self.away = Some(now),
            _ => {}
        }
        self
    }
}

/// Contact with one party.
#[derive(Debug)]
pub(crate) struct Contact(watch::Sender<Line>);

impl Contact {
    /// With somebody who has not been reached yet, from `now` on.
    pub(crate) fn sought(now: Timestamp) -> Arc<Self> {
        let line = Line {
            away: Some(now),
            ..Line::default()
        };
        Arc::new(Self(watch::Sender::new(line)))
    }

    /// With somebody who is taken to be there, and tells nothing unasked.
    pub(crate) fn presumed() -> Arc<Self> {
        let line = Line {
            known: true,
            heard: true,
            ..Line::default()
        };
        Arc::new(Self(watch::Sender::new(line)))
    }

    fn change(&self, now: Timestamp, change: impl Fn(&mut Line)) {
        self.0.send_if_modified(|line| {
            let mut next = *line;
            change(&mut next);
            let next = next.turned(now);
            let news = next != *line;
            *line = next;
            news
        });
    }

    /// It does not answer, or does not know this node any more.
    pub(crate) fn lost(&self, now: Timestamp) {
        self.change(now, |line| line.known = false);
    }

    /// It has answered, and knows this node.
    pub(crate) fn known(&self, now: Timestamp) {
        self.change(now, |line| line.known = true);
    }

    /// Whether what it tells arrives.
    pub(crate) fn heard(&self, now: Timestamp, heard: bool) {
        self.change(now, |line| line.heard = heard);
    }

    /// Whether what it tells arrives, as far as is known.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.borrow().heard
    }

    /// Since when it is away; `None` while it is there.
    pub(crate) fn away(&self) -> Option<Timestamp> {
        self.0.borrow().away
    }

    /// Returns once it is there.
    pub(crate) async fn here(&self) {
        // An error means that the contact is gone, which nobody can be who holds it.
        drop(
            self.0
                .subscribe()
                .wait_for(|line| line.away.is_none())
                .await,
        );
    }

    /// Returns once this node should make itself known again.
    pub(crate) async fn forgotten(&self) {
        drop(self.0.subscribe().wait_for(|line| !line.known).await);
    }

    /// Whether a call failed because the connector is away or has forgotten this node; then that is known from here on.
    pub(crate) fn is_to_blame(&self, error: &PortError, now: Timestamp) -> bool {
        let forgotten = error.reason() == Some(RejectionReason::NodeNotAlive);
        // Too many calls of this node's own are nothing that the connector has done.
        let away = error.is_transient() && error.kind() != PortErrorKind::Exhausted;
        let to_blame = error.op().starts_with("connector.") && (away || forgotten);
        if to_blame {
            self.lost(now);
        }
        to_blame
    }

    /// Returns once it is there, and the others have had the time to notice it, too.
    pub(crate) async fn settled(&self, clock: &dyn Clock) {
        self.here().await;
        clock.sleep(self.unsettled(clock.now())).await;
    }

    /// How long to wait yet until the others have noticed, too, that an outage is over.
    fn unsettled(&self, now: Timestamp) -> Duration {
        match self.0.borrow().back {
            Some((at, length)) if length >= NOTICED => (at + OTHERS_NOTICE).remaining(now),
            _ => Duration::ZERO,
        }
    }
}

/// Whom one machine depends on, and for how long it stands still for them.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    connector: Arc<Contact>,
    coordinator: Option<Arc<Contact>>,
    changes: Vec<watch::Receiver<Line>>,
    patience: Duration,
}

impl Reach {
    /// Of a round that is coordinated here, or, with `coordinator`, of a member's.
    pub(crate) fn new(
        connector: Arc<Contact>,
        coordinator: Option<Arc<Contact>>,
        patience: Duration,
    ) -> Self {
        let all = [Some(&connector), coordinator.as_ref()];
        let changes = all.iter().flatten().map(|c| c.0.subscribe()).collect();
        Self {
            connector,
            coordinator,
            changes,
            patience,
        }
    }

    /// Since when somebody is away.
    pub(crate) fn away(&self) -> Option<Timestamp> {
        let of = |contact: &Arc<Contact>| contact.away();
        let coordinator = self.coordinator.as_ref().and_then(of);
        [of(&self.connector), coordinator]
            .into_iter()
            .flatten()
            .min()
    }

    /// Who is away, or was last.
    pub(crate) fn cause(&self) -> WaitCause {
        let coordinator = self.coordinator.as_ref();
        let since = |contact: &Contact| {
            let line = *contact.0.borrow();
            // Whoever is away counts as away longer than whoever is back.
            (
                line.away.is_some(),
                line.away.or(line.back.map(|(at, _)| at)),
            )
        };
        let connector = since(&self.connector);
        match coordinator.map(|contact| since(contact)) {
            Some((true, _)) if !connector.0 => WaitCause::Coordinator,
            Some((false, at)) if !connector.0 && at > connector.1 => WaitCause::Coordinator,
            _ => WaitCause::Connector,
        }
    }

    /// For how long a machine stands still.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Returns when somebody has gone away or come back.
    pub(crate) async fn changed(&mut self) {
        let all = self.changes.iter_mut().map(|c| Box::pin(c.changed()));
        // Its sender lives as long as this.
        drop(select_all(all).await);
    }

    /// Contact with the connector.
    pub(crate) fn connector(&self) -> &Contact {
        &self.connector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn the_connector_is_back_when_it_knows_this_node_and_is_heard() {
        let contact = Contact::sought(at(0));
        contact.known(at(1));
        assert_eq!(contact.away(), Some(at(0)), "nothing is heard");
        contact.heard(at(2), true);
        assert_eq!(contact.away(), None);
        contact.heard(at(10), false);
        contact.lost(at(11));
        assert_eq!(contact.away(), Some(at(10)));
        contact.heard(at(80), true);
        assert_eq!(contact.away(), Some(at(10)), "it has forgotten this node");
        contact.known(at(85));
        assert_eq!(contact.away(), None);
        assert_eq!(contact.unsettled(at(86)), SECOND * 2);
        assert_eq!(contact.unsettled(at(90)), Duration::ZERO);
    }

    #[test]
    fn a_moment_is_nothing_that_others_must_notice() {
        let contact = Contact::presumed();
        contact.lost(at(5));
        contact.known(at(5));
        assert_eq!(contact.unsettled(at(5)), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_machine_depends_on_all_of_them() {
        let (connector, coordinator) = (Contact::presumed(), Contact::presumed());
        let mut reach = Reach::new(connector.clone(), Some(coordinator.clone()), SECOND);
        assert_eq!(reach.away(), None);
        coordinator.lost(at(3));
        connector.lost(at(4));
        reach.changed().await;
        assert_eq!(reach.away(), Some(at(3)));
        assert_eq!(reach.patience(), SECOND);
        coordinator.known(at(9));
        assert_eq!(reach.away(), Some(at(4)));
    }

    #[test]
    fn only_the_connector_is_blamed_for_what_it_did() {
        use delta_ports::PortErrorKind as K;
        let contact = Contact::presumed();
        let error = |kind, op| PortError::new(kind, op, "no");
        for (kind, op) in [
            (K::Unavailable, "peer.submit"),
            (K::Rejected, "connector.join_round"),
            (K::Exhausted, "storage.commit"),
        ] {
            assert!(!contact.is_to_blame(&error(kind, op), at(1)));
        }
        assert_eq!(contact.away(), None);
        let forgotten = error(K::Rejected, "connector.join_round");
        let forgotten = forgotten.with_reason(RejectionReason::NodeNotAlive);
        assert!(contact.is_to_blame(&forgotten, at(2)));
        assert_eq!(contact.away(), Some(at(2)));
    }
}
