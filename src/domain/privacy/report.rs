//! A ledger as its owner reads it: the same in the API, in `delta-node privacy --json`, and behind its words.

use serde::Serialize;

use super::accountant::{Budget, Charge, EntryId, Ledger};
use super::cost::Epsilons;
use crate::ids::DatasetName;
use crate::time::Timestamp;

/// Reservations and charges that are shown one by one: the last ones of each.
pub const MAX_SHOWN: usize = 20;

/// The account of one dataset. All epsilons at `delta`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerReport {
    /// Whose account.
    pub dataset: DatasetName,
    /// What the owner's rules allow; `None` where they set no budget, so that everything is counted and nothing stopped.
    pub budget: Option<Budget>,
    /// The delta at which the epsilons are stated, above 0 and below 1.
    pub delta: f64,
    /// Charged since the last renewal.
    pub spent: Epsilons,
    /// The same together with what is reserved: what a further release is judged by.
    pub committed: Epsilons,
    /// Ever charged, across renewals.
    pub lifetime: Epsilons,
    /// Releases that are reserved and not charged, all of them.
    pub open: usize,
    /// The last [`MAX_SHOWN`] of these, oldest first.
    pub reserved: Vec<Reserved>,
    /// The last [`MAX_SHOWN`] charges since the renewal, oldest first.
    pub charges: Vec<Charge>,
}

/// A release that is reserved and not charged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reserved {
    /// Its number.
    pub id: EntryId,
    /// Since when; unix ms.
    pub at: Timestamp,
    /// What for.
    pub purpose: String,
    /// What it alone would mean.
    pub epsilons: Epsilons,
}

impl LedgerReport {
    /// What `ledger` says of `dataset`. `limited`: whether its budget is one of the owner's rules.
    #[must_use]
    pub fn of(dataset: DatasetName, ledger: &Ledger, limited: bool) -> Self {
        let delta = ledger.budget().delta();
        let open = ledger.open().count();
        let last = ledger.open().skip(open.saturating_sub(MAX_SHOWN));
        let reserved = last.map(|(id, reservation)| Reserved {
            id,
            at: reservation.at,
            purpose: reservation.purpose.clone(),
            epsilons: reservation.cost.epsilons(delta),
        });
        let charged = ledger.charged().count();
        let charges = ledger.charged().skip(charged.saturating_sub(MAX_SHOWN));
        Self {
            dataset,
            budget: limited.then(|| ledger.budget()),
            delta,
            spent: ledger.spent(),
            committed: ledger.committed_epsilons(),
            lifetime: ledger.lifetime(),
            open,
            reserved: reserved.collect(),
            charges: charges.cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::accountant::Renewal;
    use crate::privacy::cost::Cost;
    use crate::privacy::rdp::Rdp;

    fn ledger(releases: usize) -> Ledger {
        let budget = Budget::new(1e6, 1e-6, Renewal::Never).unwrap();
        let mut ledger = Ledger::new(Timestamp(0), budget);
        let cost = Cost::same(Rdp::gaussian(8.0).unwrap());
        for n in 0..releases {
            let purpose = format!("task {n}");
            ledger
                .reserve(Timestamp(0), &purpose, cost.clone())
                .unwrap();
        }
        ledger
    }

    #[test]
    fn what_is_reserved_is_in_the_sum_and_not_yet_spent() {
        let report = LedgerReport::of("a.csv".parse().unwrap(), &ledger(1), true);
        assert_eq!(report.spent.colluding, Some(0.0));
        assert_eq!(
            report.committed.colluding,
            report.reserved[0].epsilons.colluding
        );
        assert_eq!((report.open, report.charges.len()), (1, 0));
        assert_eq!(report.budget.unwrap().delta(), report.delta);
    }

    #[test]
    fn the_last_ones_are_shown_and_all_are_counted() {
        let mut ledger = ledger(50);
        let report = LedgerReport::of("a.csv".parse().unwrap(), &ledger, false);
        assert_eq!((report.open, report.reserved.len()), (50, MAX_SHOWN));
        assert_eq!(report.reserved[MAX_SHOWN - 1].purpose, "task 49");
        assert_eq!(report.budget, None, "nothing is stopped");
        let all: Vec<EntryId> = ledger.open().map(|(id, _)| id).collect();
        for id in all {
            ledger.charge(Timestamp(1), id).unwrap();
        }
        let report = LedgerReport::of("a.csv".parse().unwrap(), &ledger, false);
        assert_eq!((report.open, report.charges.len()), (0, MAX_SHOWN));
        assert_eq!(report.charges[0].purpose, "task 30");
        assert_eq!(report.spent, report.committed);
        assert_eq!(report.spent, report.lifetime);
    }
}
