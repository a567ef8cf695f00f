//! What operators see: how the node is, what it has measured, how much its log says.

use async_trait::async_trait;

use super::Node;
use delta_domain::privacy::report::LedgerReport;
use delta_ports::metrics::{BudgetView, Exposition, Vitals};
use delta_ports::operator_api::OperatorApi;
use delta_ports::owner_api::ReadyCheck;
use delta_ports::{PortErrorKind, UserError, report};

impl Node {
    /// What must hold before the node can work, but for the executor, which takes its time at the first look.
    pub(super) async fn quick_checks(&self) -> (Vec<ReadyCheck>, Option<u64>) {
        let database = self.context.ports.storage.task(1).await;
        let address = self.address();
        let contact = &self.context.contact;
        let (subscribed, away) = (contact.is_heard(), contact.away());
        let trouble = self.context.ports.connector.wallet().trouble;
        let free = self.context.ports.blobs.room().await;
        let bytes = free.as_ref().ok().copied().flatten();
        let checks = vec![
            self.context.home.check(free),
            self.context.home.check_url(),
            ReadyCheck {
                name: "database",
                ok: database.is_ok(),
                detail: database.map_or_else(|e| e.message().to_owned(), |_| "can be read".into()),
            },
            ReadyCheck {
                name: "connector",
                ok: address.is_some() && away.is_none() && trouble.is_none(),
                detail: match (address, away) {
                    _ if trouble.is_some() => trouble.map_or_else(String::new, |(what, since)| {
                        format!("since {} UTC: {}", since.time_of_day(), what.told())
                    }),
                    (Some(address), None) => format!("registered as {address}, events arrive"),
                    (Some(_), Some(_)) if !subscribed => {
                        "registered, waiting for the subscription to events".into()
                    }
                    _ => "waiting for the registration".into(),
                },
            },
        ];
        (checks, bytes)
    }
}

/// What a ledger says of its budget; `None` where there is none.
fn budget_view(ledger: LedgerReport) -> Option<BudgetView> {
    Some(BudgetView {
        epsilon: ledger.budget?.epsilon(),
        committed: ledger.committed.colluding.unwrap_or(f64::INFINITY),
        dataset: ledger.dataset,
    })
}

#[async_trait]
impl OperatorApi for Node {
    async fn vitals(&self) -> Vitals {
        let ports = &self.context.ports;
        let (checks, disk_free) = self.quick_checks().await;
        let now = ports.clock.now();
        let (tasks_followed, approvals_waiting) = self.context.owner.counts();
        let ledgers = match self.context.owner.privacy().await {
            Ok(ledgers) => ledgers,
            Err(e) => {
                tracing::warn!("privacy budgets cannot be measured: {}", report(&e));
                Vec::new()
            }
        };
        Vitals {
            tasks_running: self.running_tasks(),
            tasks_most: self.context.settings.max_tasks,
            tasks_followed,
            approvals_waiting,
            checks: checks.iter().map(|check| (check.name, check.ok)).collect(),
            connector_away: self.context.contact.away().map(|since| now - since),
            connector_calls: ports.connector.wallet().waiting,
            log_lines: self.context.lines.count(),
            workers: ports.executor.load(),
            disk_free,
            memory: ports.metrics.memory(),
            budgets: ledgers.into_iter().filter_map(budget_view).collect(),
        }
    }

    async fn measurements(&self, form: Exposition) -> Result<String, UserError> {
        let vitals = self.vitals().await;
        Ok(self.context.ports.metrics.exposition(form, &vitals)?)
    }

    async fn log_filter(&self) -> Result<String, UserError> {
        self.context.ports.log.filter().map_err(told)
    }

    async fn set_log_filter(&self, filter: &str) -> Result<(), UserError> {
        self.context.ports.log.set_filter(filter).map_err(told)?;
        tracing::info!("the log says what this filter lets through from now on: {filter}");
        Ok(())
    }
}

fn told(error: delta_ports::PortError) -> UserError {
    match error.kind() {
        PortErrorKind::Rejected => UserError::Invalid(error.message().to_owned()),
        _ => UserError::Port(error),
    }
}
