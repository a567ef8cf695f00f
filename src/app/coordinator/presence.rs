//! Which members of a task are there: each holds a request open at its coordinator, and asks again when it is answered.
//!
//! A request that breaks off says that its member's process has ended; one that does not come again says that its machine, or the way
//! to it, has. A member that works is there however long it takes. The requests are signed under the member's key of the task, which
//! the rounds have shown, so that nobody can hold one in another's name, nor let it break. Who has never asked (a node of another kind)
//! is taken to be there. What follows from it is the round's to say (`domain/round/coordinator/`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use delta_domain::ids::Address;
use delta_domain::round::message::SignedRequest;
use delta_domain::round::{Directory, Members};
use delta_domain::secagg::keys::PublicKey;
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;

/// How long a request is held.
pub(crate) const HOLD: Duration = Duration::from_secs(1);
/// Beyond so many held requests they are answered at once, and asked again after [`PACE`].
const MOST_HELD: usize = 128;
/// And as many of one member: a connection may break unnoticed. So nobody takes the others' places.
const MOST_HELD_EACH: usize = 2;
/// How long a member waits before it asks again where it was answered at once.
pub(crate) const PACE: Duration = Duration::from_secs(2);
/// After a request that broke off: a connection may break without its member.
const BROKEN: Duration = Duration::from_millis(300);
/// After an answer, until the next request is missed. At least; four times what it has taken lately.
const SILENT: Duration = Duration::from_millis(1_500);
/// And at most: together with [`HOLD`] three seconds after the last sign of life.
const SILENT_AT_MOST: Duration = Duration::from_secs(2);
/// For members that are answered at once.
const SILENT_UNHELD: Duration = Duration::from_secs(6);
/// How often whoever follows the presence looks, at least.
const LOOK: Duration = Duration::from_millis(500);

/// One member.
#[derive(Debug, Clone)]
struct Seat {
    key: PublicKey,
    /// The round that has shown it.
    shown: u32,
    /// Requests that are held now.
    held: usize,
    /// When the last one ended; `None` before the first.
    ended: Option<Timestamp>,
    /// How long it may stay away from then on.
    allowed: Duration,
    /// The longest that it has lately taken to ask again.
    slowest: Duration,
}

impl Seat {
    fn lost_at(&self) -> Option<Timestamp> {
        let ended = self.ended.filter(|_| self.held == 0)?;
        Some(ended + self.allowed)
    }
}

#[derive(Debug, Default)]
struct Seats {
    by_member: BTreeMap<Address, Seat>,
    held: usize,
    looked: Option<Timestamp>,
    /// The round whose keys were learnt last.
    learnt: u32,
}

/// Who of one task's members is there.
pub(crate) struct Presence {
    clock: Arc<dyn Clock>,
    seats: Mutex<Seats>,
    news: watch::Sender<()>,
    strangers: Arc<Semaphore>,
}

/// Why somebody is not taken for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// No round has shown its key yet.
    Unknown,
    /// It has signed under another key.
    Forged,
}

impl Presence {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            seats: Mutex::default(),
            news: watch::Sender::new(()),
            strangers: Arc::new(Semaphore::new(MOST_HELD)),
        })
    }

    /// The members of a round and their keys.
    pub(crate) fn learn(&self, round: u32, directory: &Directory) {
        let mut seats = self.seats();
        if std::mem::replace(&mut seats.learnt, round) == round {
            return;
        }
        for (member, keys) in directory.members() {
            let seat = seats.by_member.get(member);
            if seat.is_none_or(|seat| seat.key != keys.cipher) {
                let seat = Seat {
                    key: keys.cipher.clone(),
                    shown: round,
                    held: 0,
                    ended: None,
                    allowed: SILENT,
                    slowest: Duration::ZERO,
                };
                seats.by_member.insert(member.clone(), seat);
            }
        }
        drop(seats);
        self.news.send_replace(());
    }

    /// As [`Self::enter`]; where no round has shown the sender's key yet, that is waited for as long as a request is held.
    pub(crate) async fn admit(self: &Arc<Self>, request: &SignedRequest) -> Result<Stay, Stranger> {
        let (mut news, until) = (self.subscribe(), self.clock.now() + HOLD);
        let Some(_turn) = self.waiting() else {
            return self.enter(request);
        };
        loop {
            match self.enter(request) {
                Err(Stranger::Unknown) if self.clock.now() < until => {
                    tokio::select! {
                        () = self.clock.sleep(until.remaining(self.clock.now())) => {}
                        _ = news.changed() => {}
                    }
                }
                entered => return entered,
            }
        }
    }

    /// A turn to wait for one's key; few wait at the same time, since anybody can.
    fn waiting(&self) -> Option<OwnedSemaphorePermit> {
        self.strangers.clone().try_acquire_owned().ok()
    }

    /// Takes a member's request in; its end is the end of what is answered.
    pub(crate) fn enter(self: &Arc<Self>, request: &SignedRequest) -> Result<Stay, Stranger> {
        self.verify(request)?;
        let now = self.clock.now();
        let mut seats = self.seats();
        let crowded = seats.held >= MOST_HELD;
        let seat = seats
            .by_member
            .get_mut(&request.sender)
            .ok_or(Stranger::Unknown)?;
        let (crowded, shown) = (crowded || seat.held >= MOST_HELD_EACH, seat.shown);
        if let (0, Some(ended)) = (seat.held, seat.ended) {
            // Forgotten slowly.
            seat.slowest = (now - ended).max(seat.slowest.mul_f64(0.9));
        }
        let was_lost = seat.lost_at().is_some_and(|at| now >= at);
        let first = seat.ended.is_none();
        seat.ended = Some(now);
        seat.held += 1;
        seats.held += usize::from(!crowded);
        drop(seats);
        if was_lost || first {
            self.news.send_replace(());
        }
        Ok(Stay {
            presence: self.clone(),
            member: request.sender.clone(),
            shown,
            hold: if crowded { Duration::ZERO } else { HOLD },
            whole: false,
        })
    }

    /// A member takes no part for now: it is not expected to be there, nor missed.
    pub(crate) fn depart(&self, request: &SignedRequest) -> Result<(), Stranger> {
        self.verify(request)?;
        if let Some(seat) = self.seats().by_member.get_mut(&request.sender) {
            seat.ended = None;
        }
        self.news.send_replace(());
        Ok(())
    }

    fn verify(&self, request: &SignedRequest) -> Result<(), Stranger> {
        let key = {
            let seats = self.seats();
            let seat = seats.by_member.get(&request.sender);
            seat.ok_or(Stranger::Unknown)?.key.clone()
        };
        key.verify(&request.signed_bytes(), &request.signature)
            .map_err(|_| Stranger::Forged)
    }

    /// Who was there and is not any more.
    pub(crate) fn lost(&self) -> Members {
        let now = self.clock.now();
        let mut seats = self.seats();
        // Where nobody has looked for a while this process may have stood still, and heard nothing: nobody is missed for that.
        let late = match seats.looked.replace(now) {
            Some(looked) => (now - looked).saturating_sub(LOOK * 3),
            None => Duration::ZERO,
        };
        let mut lost = Members::new();
        for (member, seat) in &mut seats.by_member {
            if !late.is_zero() {
                seat.ended = seat.ended.map(|ended| (ended + late + LOOK).min(now));
            }
            if seat.lost_at().is_some_and(|at| now >= at) {
                lost.insert(member.clone());
            }
        }
        lost
    }

    /// Who is there for sure.
    pub(crate) fn here(&self) -> Members {
        let now = self.clock.now();
        let seats = self.seats();
        let here = seats
            .by_member
            .iter()
            .filter(|(_, seat)| seat.held > 0 || seat.lost_at().is_some_and(|at| now < at));
        here.map(|(member, _)| member.clone()).collect()
    }

    /// Returns when [`Self::lost`] may have changed, and every now and then.
    pub(crate) async fn changed(&self, news: &mut watch::Receiver<()>) {
        let now = self.clock.now();
        let next = {
            let seats = self.seats();
            let due = seats.by_member.values().filter_map(Seat::lost_at);
            due.filter(|at| *at > now).min()
        };
        let pause = next.map_or(LOOK, |at| at.remaining(now).min(LOOK));
        tokio::select! {
            () = self.clock.sleep(pause) => {}
            _ = news.changed() => {}
        }
    }

    /// For [`Self::changed`].
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn leave(&self, stay: &Stay) {
        let (whole, held) = (stay.whole, !stay.hold.is_zero());
        let now = self.clock.now();
        let mut seats = self.seats();
        seats.held = seats.held.saturating_sub(usize::from(held));
        let seat = seats.by_member.get_mut(&stay.member);
        // One under a key that is not the member's any more says nothing.
        if let Some(seat) = seat.filter(|seat| seat.shown == stay.shown) {
            seat.held = seat.held.saturating_sub(1);
            // Departed meanwhile.
            if seat.ended.is_some() {
                seat.ended = Some(now);
            }
            seat.allowed = match (whole, held) {
                (false, _) => BROKEN,
                (true, true) => (seat.slowest * 4).clamp(SILENT, SILENT_AT_MOST),
                (true, false) => SILENT_UNHELD,
            };
        }
        drop(seats);
        if !whole {
            self.news.send_replace(());
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // Nothing that can panic runs under this lock.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member's request while it is held.
pub(crate) struct Stay {
    presence: Arc<Presence>,
    member: Address,
    /// As its seat's.
    shown: u32,
    hold: Duration,
    whole: bool,
}

impl Stay {
    /// Holds the request for its time. Given up before, it has broken off.
    pub(crate) async fn hold(mut self) {
        self.presence.clock.sleep(self.hold).await;
        self.whole = true;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.presence.leave(self);
    }
}

#[cfg(test)]
mod tests;
