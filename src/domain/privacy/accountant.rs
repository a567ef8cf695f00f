//! The ledger of a dataset: what was spent of its budget, and what may still be.
//!
//! A release is reserved before it can leave and charged when it leaves: the reservation is persisted before data are read, the charge
//! before the masked vector can be uploaded. **A reservation counts in full until it is released**, and it is released only by who
//! knows that the vector will never leave; so a node that is killed between any two steps has charged too much at worst, never too little.
//!
//! A value: time is an argument, storing is the caller's. One ledger holds one budget; a dataset whose authors have budgets of their
//! own keeps one for each and one for all, and reserves in both.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::cost::{Cost, Epsilons};
use crate::identity::day_of;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Reservations that may be open at once.
pub const MAX_OPEN: usize = 1000;
/// Charges that are listed one by one; what is older is in the sums only.
pub const MAX_LISTED: usize = 1000;
/// The longest description of a release, in bytes; longer ones are cut.
pub const MAX_PURPOSE: usize = 200;

/// When a budget is whole again, by the calendar in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Renewal {
    /// Never.
    Never,
    /// On the first of each month.
    Monthly,
    /// On January 1.
    Yearly,
    /// At midnight.
    Daily,
}

/// How much privacy a dataset may lose from one renewal to the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Terms", into = "Terms")]
pub struct Budget {
    epsilon: f64,
    delta: f64,
    renewal: Renewal,
}

/// A budget as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    epsilon: f64,
    delta: f64,
    renew: Renewal,
}

/// A budget without meaning.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// Epsilon is not a finite number above 0.
    #[error("epsilon must be a finite number above 0, not {0}")]
    Epsilon(f64),
    /// Delta is not between 0 and 1.
    #[error("delta must be above 0 and below 1, not {0}")]
    Delta(f64),
}

impl Budget {
    /// # Errors
    /// [`BudgetError`] for numbers that promise nothing.
    pub fn new(epsilon: f64, delta: f64, renewal: Renewal) -> Result<Self, BudgetError> {
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(BudgetError::Epsilon(epsilon));
        }
        if !(delta > 0.0 && delta < 1.0) {
            return Err(BudgetError::Delta(delta));
        }
        Ok(Self {
            epsilon,
            delta,
            renewal,
        })
    }

    /// The largest epsilon of everything together.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The delta at which it counts.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// When it is whole again.
    #[must_use]
    pub fn renewal(&self) -> Renewal {
        self.renewal
    }

    /// How many releases of this cost it pays for from the beginning, at most [`u32::MAX`].
    #[must_use]
    pub fn affords(&self, cost: &Cost) -> u32 {
        let pays = |times: u32| cost.colluding.repeated(times).epsilon(self.delta) <= self.epsilon;
        let (mut enough, mut much) = (0, u32::MAX);
        if pays(much) {
            return much;
        }
        while much - enough > 1 {
            let middle = enough + (much - enough) / 2;
            if pays(middle) {
                enough = middle;
            } else {
                much = middle;
            }
        }
        enough
    }
}

impl TryFrom<Terms> for Budget {
    type Error = BudgetError;
    fn try_from(terms: Terms) -> Result<Self, BudgetError> {
        Self::new(terms.epsilon, terms.delta, terms.renew)
    }
}

impl From<Budget> for Terms {
    fn from(budget: Budget) -> Self {
        Self {
            epsilon: budget.epsilon,
            delta: budget.delta,
            renew: budget.renewal,
        }
    }
}

/// A release's number in its ledger; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(u64);

/// A release that may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// When it was reserved.
    pub at: Timestamp,
    /// What it is for, in the owner's words: task and round.
    pub purpose: String,
    /// What it costs.
    pub cost: Cost,
}

/// A release that left, or may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// Its number.
    pub id: EntryId,
    /// When it was charged.
    pub at: Timestamp,
    /// What it was for.
    pub purpose: String,
    /// What it alone would mean, at the delta of then.
    pub epsilons: Epsilons,
}

/// Why nothing was reserved. For the owner: it says how much is left.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ReserveError {
    /// The budget would be exceeded.
    #[error("the budget's epsilon is {budget}, with this release it would be {needed}")]
    OverBudget {
        /// Epsilon of everything with this release; infinite when none can be proven.
        needed: f64,
        /// Epsilon of the budget.
        budget: f64,
    },
    /// [`MAX_OPEN`] reservations are open.
    #[error("{MAX_OPEN} releases are reserved and neither charged nor released")]
    TooManyOpen,
}

/// Why a reservation cannot be charged or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// It was charged; that is not taken back.
    #[error("this release was charged")]
    Charged,
    /// There is none of this number: it never was, it was released, or it was charged long ago.
    #[error("no reservation has this number")]
    Unknown,
}

/// The account of one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    budget: Budget,
    /// The year, month or day that `spent` is about, as far as the renewal names one.
    period: String,
    spent: Cost,
    /// Everything ever charged, across renewals.
    lifetime: Cost,
    open: BTreeMap<EntryId, Reservation>,
    charged: VecDeque<Charge>,
    next: EntryId,
}

impl Ledger {
    /// An account with nothing spent.
    #[must_use]
    pub fn new(now: Timestamp, budget: Budget) -> Self {
        Self {
            period: period(now, budget.renewal),
            budget,
            spent: Cost::zero(),
            lifetime: Cost::zero(),
            open: BTreeMap::new(),
            charged: VecDeque::new(),
            next: EntryId(1),
        }
    }

    /// Another budget from now on. What was spent stays spent, also when that is more than the new budget.
    pub fn set_budget(&mut self, now: Timestamp, budget: Budget) {
        self.renew(now);
        self.budget = budget;
        self.period = period(now, budget.renewal).max(self.period.clone());
    }

    /// Begins the next period if the calendar says so. Reservations stay and count in the new one. A clock that goes back renews
    /// nothing.
    pub fn renew(&mut self, now: Timestamp) {
        let current = period(now, self.budget.renewal);
        if self.budget.renewal != Renewal::Never && current > self.period {
            self.period = current;
            self.spent = Cost::zero();
            self.charged.clear();
        }
    }

    /// Sets the cost of a release aside.
    ///
    /// # Errors
    /// [`ReserveError`]; the ledger is unchanged then, but for a renewal that was due.
    pub fn reserve(
        &mut self,
        now: Timestamp,
        purpose: &str,
        cost: Cost,
    ) -> Result<EntryId, ReserveError> {
        self.renew(now);
        if self.open.len() >= MAX_OPEN {
            return Err(ReserveError::TooManyOpen);
        }
        let needed = self.with(&cost);
        if needed.is_nan() || needed > self.budget.epsilon {
            return Err(ReserveError::OverBudget {
                needed,
                budget: self.budget.epsilon,
            });
        }
        let id = self.next;
        self.next = EntryId(id.0.saturating_add(1));
        let end = purpose.floor_char_boundary(MAX_PURPOSE);
        let reservation = Reservation {
            at: now,
            purpose: purpose[..end].to_owned(),
            cost,
        };
        self.open.insert(id, reservation);
        Ok(id)
    }

    /// Epsilon, at the budget's delta, of everything that is spent and reserved together with one more release of this cost; infinite when
    /// none can be proven.
    #[must_use]
    pub fn with(&self, cost: &Cost) -> f64 {
        let mut all = self.committed();
        all += cost;
        all.colluding.epsilon(self.budget.delta)
    }

    /// Whether a release for this purpose is reserved, or among the charges that are listed.
    #[must_use]
    pub fn is_known(&self, purpose: &str) -> bool {
        let end = purpose.floor_char_boundary(MAX_PURPOSE);
        let purpose = &purpose[..end];
        self.open.values().any(|r| r.purpose == purpose)
            || self.charged.iter().any(|c| c.purpose == purpose)
    }

    /// The release leaves. Charging twice charges once.
    ///
    /// # Errors
    /// [`SettleError::Unknown`]: then it must not leave.
    pub fn charge(&mut self, now: Timestamp, id: EntryId) -> Result<(), SettleError> {
        if self.charged.iter().any(|charge| charge.id == id) {
            return Ok(());
        }
        let reservation = self.open.remove(&id).ok_or(SettleError::Unknown)?;
        self.renew(now);
        self.spent += &reservation.cost;
        self.lifetime += &reservation.cost;
        if self.charged.len() >= MAX_LISTED {
            self.charged.pop_front();
        }
        self.charged.push_back(Charge {
            id,
            at: now,
            purpose: reservation.purpose,
            epsilons: reservation.cost.epsilons(self.budget.delta),
        });
        Ok(())
    }

    /// The release will never leave: its masked vector was deleted before any upload began.
    ///
    /// # Errors
    /// [`SettleError`]: nothing is given back.
    pub fn release(&mut self, id: EntryId) -> Result<(), SettleError> {
        if self.charged.iter().any(|charge| charge.id == id) {
            return Err(SettleError::Charged);
        }
        self.open.remove(&id).map(drop).ok_or(SettleError::Unknown)
    }

    /// The budget.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What was charged since the last renewal.
    #[must_use]
    pub fn spent(&self) -> Epsilons {
        self.spent.epsilons(self.budget.delta)
    }

    /// What was charged since the last renewal, and what is reserved.
    #[must_use]
    pub fn committed_epsilons(&self) -> Epsilons {
        self.committed().epsilons(self.budget.delta)
    }

    /// What was ever charged. Renewals are the owner's decision, not a fact about the data: this is what outputs reveal together.
    #[must_use]
    pub fn lifetime(&self) -> Epsilons {
        self.lifetime.epsilons(self.budget.delta)
    }

    /// Reservations, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (EntryId, &Reservation)> {
        self.open.iter().map(|(id, reservation)| (*id, reservation))
    }

    /// The last charges since the renewal, oldest first.
    pub fn charged(&self) -> impl Iterator<Item = &Charge> {
        self.charged.iter()
    }

    fn committed(&self) -> Cost {
        let mut all = self.spent.clone();
        for reservation in self.open.values() {
            all += &reservation.cost;
        }
        all
    }
}

/// The year, month or day of a moment, as text that sorts like time; empty when nothing is renewed.
fn period(now: Timestamp, renewal: Renewal) -> String {
    let day = day_of(now);
    let months = match renewal {
        Renewal::Never => "",
        Renewal::Monthly => day.get(..7).unwrap_or_default(),
        Renewal::Yearly => day.get(..4).unwrap_or_default(),
        Renewal::Daily => &day,
    };
    months.to_owned()
}
