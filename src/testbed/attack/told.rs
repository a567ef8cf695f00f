//! What only words tell: the one place where an attack is judged by what a node says instead of by a typed answer.
//!
//! Three things have no other witness. A member that declines gives its coordinator one sentence. Whom it names in it, other nodes learn
//! from the task's log alone. And a member that cannot reach its coordinator, or must not, tells nobody but its own program's log.

use std::path::PathBuf;

use crate::bootstrap::LogLine;
use delta_domain::ids::{Address, TaskId};

/// The messages of a task's log that tell of members who declined.
pub(super) fn declines(log: &[LogLine]) -> Vec<&str> {
    let messages = log.iter().map(|line| line.message.as_str());
    messages.filter(|text| text.contains("decline")).collect()
}

/// The message in which a member declines and gives `culprit` as the reason.
pub(super) fn blames<'l>(log: &'l [LogLine], culprit: &Address) -> Option<&'l str> {
    declines(log).into_iter().find(|text| {
        let reason = text.split_once(" declines: ").map(|(_, reason)| reason);
        reason.is_some_and(|reason| reason.contains(culprit.as_str()))
    })
}

/// Whether members declined because they had been shown different rounds.
pub(super) fn tells_rounds_apart(reasons: &str) -> bool {
    reasons.contains("signed another round")
}

/// Whether a node declined because of where a coordinator's url leads, and not because nobody answered there.
pub(super) fn forbids_the_url(reason: &str) -> bool {
    ["no place for a node", "forbids", "neither http nor https"]
        .iter()
        .any(|words| reason.contains(words))
}

/// The log that nodes of our own write; of other nodes there is none.
pub(super) struct ProgramLog(pub(super) Option<PathBuf>);

impl ProgramLog {
    /// Why nodes declined a task: one reason for each time that one did.
    pub(super) fn refusals(&self, task: &TaskId) -> Vec<String> {
        let text = self
            .0
            .as_ref()
            .and_then(|f| std::fs::read_to_string(f).ok());
        text.unwrap_or_default()
            .lines()
            .filter(|line| line.contains(task.as_str()))
            .filter_map(|line| line.split_once("is declined: "))
            // Behind the sentence stand the fields of the log record.
            .map(|(_, why)| why.split(" task=").next().unwrap_or(why).to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> LogLine {
        LogLine {
            id: 1,
            created_at: 0,
            message: message.to_owned(),
            tx_hash: None,
        }
    }

    #[test]
    fn only_whom_a_decline_names_is_blamed() {
        let [culprit, other] = ["5a", "6b"].map(|b| format!("0x{}", b.repeat(20)));
        let log = [
            line(&format!("task 1 round 1 {culprit} upload secret shares")),
            line(&format!(
                "task 1 round 1 {other} declines: the share of {culprit} does not open"
            )),
        ];
        let blamed = |a: &str| blames(&log, &a.parse().unwrap()).is_some();
        assert!(blamed(&culprit));
        assert!(!blamed(&other), "who declines is not to blame for it");
        assert_eq!(declines(&log), [log[1].message.as_str()]);
    }

    #[test]
    fn a_refusal_is_its_reason_without_the_records_fields() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let task: TaskId = format!("0x{}", "01".repeat(32)).parse().unwrap();
        let text = format!(
            "INFO task {task} is accepted\nWARN task {task} is declined: not here task={task}\nWARN task 0x2 is declined: x\n"
        );
        std::fs::write(&file, text).unwrap();
        assert_eq!(ProgramLog(Some(file)).refusals(&task), ["not here"]);
        assert!(ProgramLog(None).refusals(&task).is_empty());
    }
}
