//! What tasks under noise have cost: one ledger a dataset, in the database. Reserved before data are read, charged before the masked
//! vector can leave; a node that is killed in between has charged too much at worst.

use std::collections::BTreeSet;
use std::sync::Arc;

use delta_domain::ids::DatasetName;
use delta_domain::policy::{Policies, Policy, Privacy, Renewal as Renews};
use delta_domain::privacy::accountant::{Budget, Ledger, Renewal, ReserveError};
use delta_domain::privacy::cost::Cost;
use delta_domain::privacy::report::LedgerReport;
use delta_domain::time::Timestamp;
use delta_ports::storage::Storage;
use delta_ports::{PortError, PortErrorKind, report};

const OP: &str = "owner.ledger";
/// Ledgers lie in the database under this and the dataset's name.
const PREFIX: &str = "privacy/";
/// The budget of a dataset whose owner set none and allowed a task under noise by hand: everything is counted and nothing stopped.
const UNBOUNDED: f64 = 1e9;
const UNBOUNDED_DELTA: f64 = 1e-6;

/// What tasks under noise have cost each dataset, read from a node's database, whether the node runs or not. By name: every dataset that
/// has an account or a budget.
///
/// # Errors
/// The database's; `Corrupt` for a ledger that cannot be read.
pub async fn privacy_report(
    storage: Arc<dyn Storage>,
    policies: &Policies,
    now: Timestamp,
) -> Result<Vec<LedgerReport>, PortError> {
    Ledgers::new(storage).report(policies, now).await
}

pub(super) struct Ledgers {
    storage: Arc<dyn Storage>,
}

impl Ledgers {
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// The ledger of a dataset as of `now`, under the budget that its rules have now.
    pub(super) async fn of(
        &self,
        dataset: &DatasetName,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Ledger, PortError> {
        let budget = budget(policy.privacy.as_ref())?;
        let stored = self.storage.setting(&name(dataset)).await?;
        let Some(stored) = stored else {
            return Ok(Ledger::new(now, budget));
        };
        let mut ledger: Ledger = serde_json::from_slice(&stored).map_err(|e| {
            let text = format!("the privacy ledger of {dataset} cannot be read");
            PortError::new(PortErrorKind::Corrupt, OP, text).with_source(e)
        })?;
        if ledger.budget() == budget {
            ledger.renew(now);
        } else {
            ledger.set_budget(now, budget);
        }
        Ok(ledger)
    }

    /// Every account, and every budget that has none yet.
    pub(super) async fn report(
        &self,
        policies: &Policies,
        now: Timestamp,
    ) -> Result<Vec<LedgerReport>, PortError> {
        let written = policies.written().iter();
        let budgets = written.filter(|(_, policy)| policy.privacy.is_some());
        let mut names: BTreeSet<DatasetName> = budgets.map(|(name, _)| name.clone()).collect();
        for (setting, _) in self.storage.settings(PREFIX).await? {
            let name = setting.strip_prefix(PREFIX).unwrap_or_default();
            names.insert(name.parse::<DatasetName>().map_err(|e| {
                let text = format!("the setting {setting:?} is of no dataset");
                PortError::new(PortErrorKind::Corrupt, OP, text).with_source(e)
            })?);
        }
        let mut reports = Vec::with_capacity(names.len());
        for name in names {
            let policy = policies.of(&name);
            let ledger = self.of(&name, policy, now).await?;
            let limited = policy.privacy.is_some();
            reports.push(LedgerReport::of(name, &ledger, limited));
        }
        Ok(reports)
    }

    async fn keep(&self, dataset: &DatasetName, ledger: &Ledger) -> Result<(), PortError> {
        let bytes = serde_json::to_vec(ledger).map_err(|e| {
            PortError::new(PortErrorKind::Internal, OP, "a ledger cannot be written").with_source(e)
        })?;
        self.storage.set_setting(&name(dataset), &bytes).await
    }

    /// Charges whatever is still set aside for this: its round is over, and nobody will charge it any more.
    pub(super) async fn settle(
        &self,
        policies: &Policies,
        purpose: &str,
        now: Timestamp,
    ) -> Result<(), PortError> {
        for (setting, _) in self.storage.settings(PREFIX).await? {
            let name = setting.strip_prefix(PREFIX).unwrap_or_default();
            let Ok(dataset) = name.parse::<DatasetName>() else {
                continue;
            };
            let policy = policies.of(&dataset);
            let ledger = match self.of(&dataset, policy, now).await {
                Ok(ledger) => ledger,
                // One that cannot be read must not keep the others from being settled.
                Err(e) if e.kind() == PortErrorKind::Corrupt => {
                    tracing::error!("{}", report(&e));
                    continue;
                }
                Err(e) => return Err(e),
            };
            if ledger.open().any(|(_, r)| r.purpose == purpose) {
                self.charge(&dataset, policy, purpose, now).await?;
            }
        }
        Ok(())
    }

    /// Sets a round's cost aside, once, however often it is computed. `Denied` when the budget does not suffice.
    pub(super) async fn reserve(
        &self,
        dataset: &DatasetName,
        policy: &Policy,
        purpose: &str,
        cost: &Cost,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let mut ledger = self.of(dataset, policy, now).await?;
        if ledger.is_known(purpose) {
            return Ok(());
        }
        ledger
            .reserve(now, purpose, cost.clone())
            .map_err(|e| match e {
                ReserveError::OverBudget { .. } | ReserveError::TooManyOpen => {
                    let text = format!("the privacy budget of {}: {e}", dataset);
                    // Not for want of a moment: it is not tried again.
                    PortError::new(PortErrorKind::Denied, OP, text)
                }
            })?;
        self.keep(dataset, &ledger).await
    }

    /// The release may leave from now on. Answers with the epsilon of this period.
    pub(super) async fn charge(
        &self,
        dataset: &DatasetName,
        policy: &Policy,
        purpose: &str,
        now: Timestamp,
    ) -> Result<Option<f64>, PortError> {
        let mut ledger = self.of(dataset, policy, now).await?;
        let open = ledger.open().find(|(_, r)| r.purpose == purpose);
        if let Some(id) = open.map(|(id, _)| id) {
            ledger.charge(now, id).map_err(|e| {
                PortError::new(PortErrorKind::Internal, OP, format!("{purpose}: {e}"))
            })?;
            self.keep(dataset, &ledger).await?;
        } else if !ledger.is_known(purpose) {
            let text = format!("{purpose} is not reserved: it must not leave");
            return Err(PortError::new(PortErrorKind::Internal, OP, text));
        }
        Ok(ledger.spent().colluding)
    }
}

fn name(dataset: &DatasetName) -> String {
    format!("{PREFIX}{dataset}")
}

fn budget(privacy: Option<&Privacy>) -> Result<Budget, PortError> {
    let (epsilon, delta, renew) = match privacy {
        None => (UNBOUNDED, UNBOUNDED_DELTA, Renewal::Never),
        Some(privacy) => {
            let renew = match privacy.renew {
                Renews::Never => Renewal::Never,
                Renews::Yearly => Renewal::Yearly,
                Renews::Monthly => Renewal::Monthly,
                Renews::Daily => Renewal::Daily,
            };
            (privacy.epsilon, privacy.delta, renew)
        }
    };
    Budget::new(epsilon, delta, renew)
        .map_err(|e| PortError::new(PortErrorKind::Internal, OP, e.to_string()))
}

#[cfg(test)]
mod tests;
