//! What was released before: which rows of a dataset, to whom; which numbers, to which cohort. In the database, before anything leaves.
//!
//! Only releases that ran because they are safe by construction are here: what an owner allows by hand is the owner's own affair.

use std::sync::Arc;

use tokio::sync::Mutex as Turn;

use crate::context::Ports;
use delta_domain::ids::{DatasetName, Digest};
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
/// In front of each set: the threshold that it was compared by.
const THRESHOLD_BYTES: usize = size_of::<u64>();

pub(super) struct History {
    storage: Arc<dyn Storage>,
    compute: Arc<dyn Compute>,
    /// Comparing and remembering are one act, for rows and for cohorts.
    rows: Turn<()>,
    cohorts: Turn<()>,
}

impl History {
    pub(super) fn new(ports: &Ports) -> Self {
        Self::over(ports.storage.clone(), ports.compute.clone())
    }

    fn over(storage: Arc<dyn Storage>, compute: Arc<dyn Compute>) -> Self {
        Self {
            storage,
            compute,
            rows: Turn::default(),
            cohorts: Turn::default(),
        }
    }

    pub(super) async fn compare(
        &self,
        author: &Author,
        rows: Vec<ReleasedRows>,
        threshold: u64,
    ) -> Result<(), PortError> {
        let _turn = self.rows.lock().await;
        for rows in rows {
            let (place, others) = places(author, &rows.dataset);
            let mut news = Vec::new();
            for set in &rows.sets {
                let name = format!("{place}{}", set.digest());
                let known = self.storage.setting(&name).await?;
                // Compared when it was new, with the same units by the same threshold or a larger one.
                let compared = rows.unit_of.is_none()
                    && known.is_some_and(|known| threshold_of(&known) >= Some(threshold));
                if !compared {
                    news.push((name, [&threshold.to_le_bytes(), &*set.to_bytes()].concat()));
                }
            }
            if news.is_empty() {
                continue;
            }
            let mut known = Vec::new();
            for others in others {
                known.extend(self.storage.settings(&others).await?);
            }
            let own = known.iter().filter(|(name, _)| name.starts_with(&place));
            let own: Vec<usize> = own.map(|(_, bytes)| bytes.len()).collect();
            let bytes =
                own.iter().sum::<usize>() + news.iter().map(|(_, b)| b.len()).sum::<usize>();
            if own.len() + news.len() > MOST_SETS || bytes > MOST_BYTES {
                let why = format!("{} has more releases than are compared", rows.dataset);
                return Err(broken("records.overlap", &why));
            }
            let compared = move || {
                let told = |Finding { rule, why }| broken(rule.name(), &why);
                rows.overlaps(&[], threshold)
                    .map_or(Ok(()), |f| Err(told(f)))?;
                // One at a time: each may be half a megabyte.
                for (name, bytes) in known {
                    let set = bytes.get(THRESHOLD_BYTES..).unwrap_or_default();
                    let set = RowSet::from_bytes(set).map_err(|e| damaged(&name, e))?;
                    let previous = std::slice::from_ref(&set);
                    rows.overlaps(previous, threshold)
                        .map_or(Ok(()), |f| Err(told(f)))?;
                }
                Ok(())
            };
            self.compute.blocking(OVERLAP, compared).await?;
            for (name, bytes) in news {
                self.storage.set_setting(&name, &bytes).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn release_to(&self, release: &Release, now: bool) -> Result<(), PortError> {
        let _turn = self.cohorts.lock().await;
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

/// Where the sets of an author and a dataset are, and where those are that they are compared with. By digest: names may hold anything.
///
/// Who is on no roster costs nothing to be, so all of those are one author, compared with everybody; so is everybody of one organisation,
/// compared with those as well.
fn places(author: &Author, dataset: &DatasetName) -> (String, Vec<String>) {
    let all = format!("{ROWS}{}/", Digest::of(dataset.as_str().as_bytes()));
    let of = |who: &str| format!("{all}{}/", Digest::of(who.as_bytes()));
    let anybody = of("anybody");
    let who = match &author.organisation {
        _ if author.own => of("own"),
        Some(organisation) => of(&format!("organisation {organisation}")),
        None => return (anybody, vec![all]),
    };
    let others = vec![who.clone(), anybody];
    (who, others)
}

/// By which threshold a kept set was compared.
fn threshold_of(kept: &[u8]) -> Option<u64> {
    kept.first_chunk().copied().map(u64::from_le_bytes)
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
