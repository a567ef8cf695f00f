//! The owners' side: the signed journal, the ledger, the list of questions, and what the node's log tells of a release that was refused.

use std::path::Path;

use anyhow::Context as _;

use super::places::Place;
use delta_domain::ids::TaskId;
use delta_domain::policy::audit::{AuditEvent, Head, follow};
use delta_domain::policy::{Decision, Rule};
use delta_domain::privacy::report::LedgerReport;
use delta_domain::records::RecordsRule;
use delta_ports::owner_api::{AskedTask, OwnerApi as _};

/// Lines of a journal that are read at once.
const PAGE: usize = 100;

/// A hospital's journal, as far as it was read. Every line is checked: its signature, and that it hangs on the one before.
pub(super) struct Journal<'p> {
    place: &'p Place,
    head: Head,
}

impl<'p> Journal<'p> {
    pub(super) fn of(place: &'p Place) -> Self {
        Self {
            place,
            head: Head::EMPTY,
        }
    }

    /// What was written since the last call.
    pub(super) async fn news(&mut self) -> anyhow::Result<Vec<AuditEvent>> {
        let mut events = Vec::new();
        loop {
            let page = self.place.node.journal(self.head.lines, PAGE).await?;
            if page.is_empty() {
                return Ok(events);
            }
            for line in page {
                let (entry, head) = follow(self.head, &line, &self.place.key)
                    .with_context(|| format!("the journal of {}", self.place.name))?;
                self.head = head;
                events.push(entry.event);
            }
        }
    }
}

/// What a node has said to a task, and by which rules; each verdict that was another than the one before.
pub(super) fn verdicts(events: &[AuditEvent], of: &TaskId) -> Vec<(Decision, Vec<Rule>)> {
    let judged = events.iter().filter_map(|event| match event {
        AuditEvent::Judged {
            task, decision, by, ..
        } if task == of => Some((*decision, by.clone())),
        _ => None,
    });
    judged.collect()
}

/// The names of rules in one line.
pub(super) fn named(rules: &[Rule]) -> String {
    let names: Vec<&str> = rules.iter().map(|rule| rule.name()).collect();
    names.join(", ")
}

/// The account of a dataset at a hospital.
pub(super) async fn account(place: &Place, dataset: &str) -> anyhow::Result<LedgerReport> {
    let mut accounts = place.node.privacy().await?.into_iter();
    accounts
        .find(|a| a.dataset.as_str() == dataset)
        .with_context(|| format!("{} keeps no account of {dataset}", place.name))
}

/// A task on a hospital's list of questions, if it is there.
pub(super) async fn asked(place: &Place, task: &TaskId) -> Option<AskedTask> {
    let mut list = place.node.asked_tasks().await.into_iter();
    list.find(|asked| asked.task == *task)
}

/// What the nodes' log says of contributions to a task that were not made: one text for each. All nodes of the demonstration write into
/// one file; a real node's has its own lines only.
pub(super) fn withheld(log: &Path, task: &TaskId) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(log).context("the log cannot be read")?;
    let of_task = text.lines().filter(|line| line.contains(task.as_str()));
    let whys = of_task.filter_map(|line| line.split_once("contributes zeros: "));
    // Behind the sentence stand the fields of the log record.
    let sentences = whys.map(|(_, why)| why.split(" task=").next().unwrap_or(why).to_owned());
    Ok(sentences.collect())
}

/// The rules of controlled releases that a text of [`withheld`] names.
pub(super) fn rules_in(why: &str) -> Vec<RecordsRule> {
    let named = |rule: &&RecordsRule| why.contains(&format!("{}: ", rule.name()));
    RecordsRule::ALL.iter().filter(named).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::ids::Digest;
    use delta_domain::policy::Author;

    #[test]
    fn what_was_withheld_is_told_without_the_records_fields() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let task: TaskId = format!("0x{}", "01".repeat(32)).parse().unwrap();
        let text = format!(
            "INFO task {task} is accepted\nERROR this node contributes zeros: records.cells: 4 units task={task} round=1\n\
             ERROR this node contributes zeros: x task=0x02 round=1\n"
        );
        std::fs::write(&file, text).unwrap();
        let told = withheld(&file, &task).unwrap();
        assert_eq!(told, ["records.cells: 4 units"]);
        assert_eq!(rules_in(&told[0]), [RecordsRule::Cells]);
    }

    #[test]
    fn verdicts_are_those_of_one_task_in_their_order() {
        let [task, other] = ["01", "02"].map(|b| format!("0x{}", b.repeat(32)).parse().unwrap());
        let judged = |task: &TaskId, decision, by: Rule| AuditEvent::Judged {
            task: task.clone(),
            author: Author::default(),
            question: Digest::default(),
            decision,
            by: vec![by],
        };
        let events = [
            judged(&task, Decision::Asks, Rule::Asks),
            judged(&other, Decision::Refused, Rule::Who),
            judged(&task, Decision::Refused, Rule::Denied),
        ];
        let expected = [
            (Decision::Asks, vec![Rule::Asks]),
            (Decision::Refused, vec![Rule::Denied]),
        ];
        assert_eq!(verdicts(&events, &task), expected);
    }
}
