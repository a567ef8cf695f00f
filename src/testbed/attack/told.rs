//! What only words tell: the one place where an attack is judged by what a node says instead of by a typed answer.
//!
//! Two things have no other witness. With which word a member declines, other nodes learn from the task's log alone. And a member that
//! cannot reach its coordinator, or must not, tells nobody but its own program's log.

use std::path::PathBuf;

use crate::bootstrap::LogLine;
use delta_domain::ids::{Address, TaskId};
use delta_domain::round::DeclineCode;

/// The messages of a task's log that tell of members who declined.
pub(super) fn declines(log: &[LogLine]) -> Vec<&str> {
    let messages = log.iter().map(|line| line.message.as_str());
    messages.filter(|text| text.contains("decline")).collect()
}

/// The message in which a member other than `culprit` declines because the protocol was broken.
pub(super) fn notices<'l>(log: &'l [LogLine], culprit: &Address) -> Option<&'l str> {
    // Signed, or it would be anybody's word.
    let broken = format!(" declines: it {}", DeclineCode::Protocol);
    let noticed = |text: &&str| text.ends_with(&broken) && !text.contains(culprit.as_str());
    declines(log).into_iter().find(noticed)
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
            .filter_map(|line| line.split_once("is declined as "))
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
    fn a_broken_protocol_is_noticed_by_others_than_who_broke_it() {
        let [culprit, other] = ["5a", "6b"].map(|b| format!("0x{}", b.repeat(20)));
        let log = [
            line(&format!("task 1 round 1 {culprit} upload secret shares")),
            line(&format!(
                "task 1 round 1 {other} declines: it {}",
                DeclineCode::Protocol
            )),
        ];
        let noticed = |a: &str| notices(&log, &a.parse().unwrap()).is_some();
        assert!(noticed(&culprit));
        assert!(!noticed(&other), "its own word counts for nothing");
        assert_eq!(declines(&log), [log[1].message.as_str()]);
    }

    #[test]
    fn a_refusal_is_its_reason_without_the_records_fields() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let task: TaskId = format!("0x{}", "01".repeat(32)).parse().unwrap();
        let text = format!(
            "INFO task {task} is accepted\nWARN the task is declined as not_allowed: not here task={task}\nWARN the task is declined as busy: x task=0x2\n"
        );
        std::fs::write(&file, text).unwrap();
        assert_eq!(
            ProgramLog(Some(file)).refusals(&task),
            ["not_allowed: not here"]
        );
        assert!(ProgramLog(None).refusals(&task).is_empty());
    }
}
