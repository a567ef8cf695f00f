//! The author's side: a task is submitted to the university's node and followed to its end, and what the author is told on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;

use super::places::Places;
use delta_domain::ids::TaskId;
use delta_domain::npy::{NpzLimits, decode_npz};
use delta_domain::round::message::RoundEnd;
use delta_domain::round::{DeclineCode, FailureCode};
use delta_domain::task::TaskStatus;
use delta_domain::tensor::TensorData;
use delta_ports::author_api::{AuthorApi as _, RoundReport, TaskProgress};

/// The longest that one task may take.
const AT_MOST: Duration = Duration::from_secs(120);
/// Pause between two looks. A refused task is on its owners' lists for a moment only.
const LOOK: Duration = Duration::from_millis(10);
/// The largest result that is taken, in bytes.
const MAX_RESULT: usize = 1 << 20;

/// A task that is followed, as its author's node shows it.
pub(super) struct Standing {
    /// Its id on the network.
    pub(super) task: TaskId,
    pub(super) progress: TaskProgress,
}

/// Names of hospitals by the word with which they declined.
pub(super) type Declined = BTreeMap<DeclineCode, BTreeSet<String>>;

/// A task that is over.
pub(super) struct Ended {
    /// The author's node's own number for it.
    id: u64,
    pub(super) task: TaskId,
    /// Why it failed; `None` when it has a result.
    pub(super) error: Option<String>,
    pub(super) rounds: Vec<RoundReport>,
    /// With which words hospitals have declined, and which.
    pub(super) declined: Declined,
}

/// Submits `bundle` to the university's node, and calls `watch` again and again until the task is over, and once more then.
pub(super) async fn ask(
    places: &Places,
    bundle: &[u8],
    mut watch: impl AsyncFnMut(&Standing) -> anyhow::Result<()>,
) -> anyhow::Result<Ended> {
    let university = &places.university;
    let id = university.client.submit(bundle).await;
    let id = id.context("the task was not accepted")?;
    let begun = Instant::now();
    loop {
        let (row, progress) = university.node.task_progress(id).await?;
        let error = match row.status {
            TaskStatus::Error => Some(row.error.unwrap_or_default()),
            _ => None,
        };
        let over = error.is_some() || row.status == TaskStatus::Finished;
        if let (Some(task), Some(progress)) = (row.task, progress) {
            let standing = Standing { task, progress };
            watch(&standing).await?;
            if over {
                let id = u64::try_from(id)?;
                let mut declined = declined(places, id).await?;
                also_in(error.as_deref().unwrap_or_default(), places, &mut declined);
                return Ok(Ended {
                    id,
                    task: standing.task,
                    error,
                    rounds: standing.progress.rounds,
                    declined,
                });
            }
        } else if over {
            let why = error.unwrap_or_default();
            bail!("{} is over before it has begun: {why}", row.name);
        }
        if begun.elapsed() > AT_MOST {
            bail!("{} was not over after {AT_MOST:?}", row.name);
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Ended {
    /// Why the last round failed, if it did.
    pub(super) fn failure(&self) -> Option<FailureCode> {
        match self.rounds.last()?.end {
            RoundEnd::Failed(code) => Some(code),
            RoundEnd::Finished => None,
        }
    }

    /// The result, by the names of its parts.
    pub(super) async fn result(
        &self,
        places: &Places,
    ) -> anyhow::Result<BTreeMap<String, Vec<f64>>> {
        if let Some(why) = &self.error {
            bail!("there is no result: {why}");
        }
        let mut content = Box::pin(places.university.client.result(self.id).await?);
        let mut file = Vec::new();
        while let Some(piece) = content.next().await {
            let piece = piece?;
            if file.len() + piece.len() > MAX_RESULT {
                bail!("the result has more than {MAX_RESULT} bytes");
            }
            file.extend_from_slice(&piece);
        }
        let arrays = decode_npz(&file, &NpzLimits::default())?;
        let numbers = arrays.into_iter().filter_map(|(name, t)| match t.data() {
            TensorData::F64(values) => Some((name, values.clone())),
            _ => None,
        });
        Ok(numbers.collect())
    }
}

/// Who has declined, as the lines of the task's log tell it: one for each member that does.
async fn declined(places: &Places, id: u64) -> anyhow::Result<Declined> {
    let mut found = Declined::new();
    let mut start = 0;
    loop {
        let page = places.university.client.logs(id, start).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        start = last.id + 1;
        for line in &page {
            let senders = places.hospitals.iter();
            let mut senders = senders.filter(|h| line.message.contains(h.address.as_str()));
            if let (Some(code), Some(hospital)) = (declines(&line.message), senders.next()) {
                found.entry(code).or_default().insert(hospital.name.clone());
            }
        }
    }
}

/// Who declined last, as the reason of a failed round lists it.
fn also_in(reason: &str, places: &Places, declined: &mut Declined) {
    for hospital in &places.hospitals {
        for code in DeclineCode::ALL {
            if reason.contains(&format!("{}: {code}", hospital.address)) {
                let names = declined.entry(code).or_default();
                names.insert(hospital.name.clone());
            }
        }
    }
}

/// The word with which somebody declines in a line of a task's log.
fn declines(message: &str) -> Option<DeclineCode> {
    let (_, told) = message.split_once(" declines")?;
    let (_, meaning) = told.split_once(": it ")?;
    DeclineCode::ALL
        .into_iter()
        .find(|code| code.meaning() == meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_is_read_by_its_meaning() {
        for code in DeclineCode::ALL {
            for claimed in ["", ", unproven"] {
                let line = format!("task 0x1 round 2 0xab declines{claimed}: it {code}");
                assert_eq!(declines(&line), Some(code));
            }
        }
        for other in ["task 0x1 round 2 finished", "0xab declines: it is tired"] {
            assert_eq!(declines(other), None);
        }
    }
}
