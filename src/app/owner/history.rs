//! What was released before: which rows of a dataset, to whom; which numbers, to which cohort. In the database, before anything leaves.
//!
//! Only releases that ran because they are safe by construction are here: what an owner allows by hand is the owner's own affair.

use std::sync::Arc;

use tokio::sync::Mutex as Turn;

use crate::context::Ports;
use delta_domain::ids::{DatasetName, Digest};
use delta_domain::manifest::Part;
use delta_domain::policy::Author;
use delta_domain::records::{Finding, ReleasedRows, RowSet, same_cohort};
use delta_domain::round::runner::Release;
use delta_ports::compute::Compute;
use delta_ports::storage::Storage;
use delta_ports::{PortError, PortErrorKind};

/// The operation that fails when two releases differ by too few rows.
pub(crate) const OVERLAP: &str = "owner.overlap";
const COHORT: &str = "owner.cohort";
/// Sets of rows lie in the database under this, whose they are, and their digest.
const ROWS: &str = "rows/";
/// Cohorts lie in the database under this and what was released to them.
const COHORTS: &str = "cohort/";
/// Most sets of one dataset that are remembered for one author, and most bytes of them.
const MOST_SETS: usize = 4096;
const MOST_BYTES: usize = 64 << 20;

pub(super) struct History {
    storage: Arc<dyn Storage>,
    compute: Arc<dyn Compute>,
    /// Comparing and remembering are one act.
    turn: Turn<()>,
}

impl History {
    pub(super) fn new(ports: &Ports) -> Self {
        Self::over(ports.storage.clone(), ports.compute.clone())
    }

    fn over(storage: Arc<dyn Storage>, compute: Arc<dyn Compute>) -> Self {
        Self {
            storage,
            compute,
            turn: Turn::default(),
        }
    }

    pub(super) async fn compare(
        &self,
        author: &Author,
        rows: Vec<ReleasedRows>,
        threshold: u64,
    ) -> Result<(), PortError> {
        let _turn = self.turn.lock().await;
        for rows in rows {
            let place = place(author, &rows.dataset, rows.part);
            let mut news = Vec::new();
            for set in &rows.sets {
                let name = format!("{place}{}", set.digest());
                if self.storage.setting(&name).await?.is_none() {
                    news.push((name, set.to_bytes()));
                }
            }
            // Those that are known were compared with each other when they were new.
            if news.is_empty() {
                continue;
            }
            let known = self.storage.settings(&place).await?;
            let sets = known.len() + news.len();
            let bytes = known.iter().chain(&news).map(|(_, bytes)| bytes.len());
            if sets > MOST_SETS || bytes.sum::<usize>() > MOST_BYTES {
                let why = format!("{} has more releases than are compared", rows.dataset);
                return Err(broken("records.overlap", &why));
            }
            let compared = move || {
                let previous = known
                    .iter()
                    .map(|(name, bytes)| RowSet::from_bytes(bytes).map_err(|e| damaged(name, e)));
                let previous = previous.collect::<Result<Vec<_>, _>>()?;
                let finding = rows.overlaps(&previous, threshold);
                finding.map_or(Ok(()), |Finding { rule, why }| {
                    Err(broken(rule.name(), &why))
                })
            };
            self.compute.blocking(OVERLAP, compared).await?;
            for (name, bytes) in news {
                self.storage.set_setting(&name, &bytes).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn release_to(&self, release: &Release, now: bool) -> Result<(), PortError> {
        let _turn = self.turn.lock().await;
        let name = format!("{COHORTS}{}", release.point);
        let first = self.storage.setting(&name).await?;
        let first = first.map(|bytes| {
            let bytes = bytes
                .try_into()
                .map_err(|_| damaged(&name, "another length"));
            bytes.map(Digest)
        });
        let first = first.transpose()?;
        same_cohort(first, release.cohort).map_err(|Finding { rule, why }| {
            let text = format!("{}: {why}", rule.name());
            PortError::new(PortErrorKind::Denied, COHORT, text)
        })?;
        if now && first.is_none() {
            self.storage.set_setting(&name, &release.cohort.0).await?;
        }
        Ok(())
    }
}

/// Where the sets of an author and a dataset are. By digest: names may hold anything.
///
/// Who is on no roster costs nothing to be, so all of those are one author; so is everybody of one organisation, whatever their nodes call
/// them.
fn place(author: &Author, dataset: &DatasetName, part: Option<Part>) -> String {
    let who = match &author.organisation {
        _ if author.own => "own".to_owned(),
        Some(organisation) => format!("organisation {organisation}"),
        None => "anybody".to_owned(),
    };
    let part = match part {
        None => "",
        Some(Part::Train) => "train",
        Some(Part::Val) => "val",
    };
    let text = format!("delta released rows 1\n{who}\n{part}\n{dataset}");
    format!("{ROWS}{}/", Digest::of(text.as_bytes()))
}

fn broken(rule: &str, why: &str) -> PortError {
    PortError::new(PortErrorKind::Corrupt, OVERLAP, format!("{rule}: {why}"))
}

fn damaged(name: &str, why: impl std::fmt::Display) -> PortError {
    let text = format!("the setting {name:?} cannot be read: {why}");
    PortError::new(PortErrorKind::Corrupt, "owner.history", text)
}

#[cfg(test)]
mod tests;
