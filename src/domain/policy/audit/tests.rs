//! Every change to a journal is found, and at its line.

use proptest::prelude::*;

use super::*;
use crate::policy::{ApprovalScope, OwnerDecision};
use crate::secret::Secret;

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

fn task() -> TaskId {
    format!("0x{}", "ab".repeat(32)).parse().unwrap()
}

fn approval() -> Approval {
    Approval {
        author: Author {
            node: Some(key(2).fingerprint()),
            name: Some("anna \"}\n".to_owned()),
            ..Author::default()
        },
        question: Digest([1; 32]),
        scope: ApprovalScope::Once(task()),
        decision: OwnerDecision::Allow,
        decided_at: Timestamp(5),
        decided_with: "owner".to_owned(),
    }
}

fn events() -> Vec<AuditEvent> {
    vec![
        AuditEvent::Policy {
            digest: Digest([3; 32]),
            datasets: vec!["a.csv".parse().unwrap()],
        },
        AuditEvent::Judged {
            task: task(),
            author: Author::default(),
            question: Digest([1; 32]),
            decision: Decision::Asks,
            by: vec![Rule::Asks],
        },
        AuditEvent::Decided(approval()),
        AuditEvent::Released {
            task: task(),
            round: 4,
            datasets: vec!["a.csv".parse().unwrap()],
            outputs: 12,
            epsilon: Some(0.25),
        },
        AuditEvent::Revoked {
            approval: approval().id(),
            with: "owner".to_owned(),
        },
    ]
}

fn journal(key: &NodeKey) -> (Vec<String>, Head) {
    let mut head = Head::EMPTY;
    let mut lines = Vec::new();
    for (i, event) in events().into_iter().enumerate() {
        let (line, next) = append(head, Timestamp(i as u64), event, key).unwrap();
        assert!(!line.contains('\n'));
        lines.push(line);
        head = next;
    }
    (lines, head)
}

fn checked(lines: &[String]) -> Result<Head, AuditFault> {
    verify(lines.iter().map(String::as_str), key(1).public())
}

#[test]
fn a_journal_is_read_as_it_was_written() {
    let (lines, head) = journal(&key(1));
    assert_eq!(checked(&lines), Ok(head));
    assert_eq!(checked(&[]), Ok(Head::EMPTY));
    let mut at = Head::EMPTY;
    let mut book = ApprovalBook::default();
    for (line, event) in lines.iter().zip(events()) {
        let (entry, next) = follow(at, line, key(1).public()).unwrap();
        assert_eq!(entry.event, event);
        book.replay(&entry);
        at = next;
    }
    let all: Vec<_> = book.approvals().collect();
    assert_eq!(all, [(&approval(), Some(Timestamp(4)))]);
}

#[test]
fn lines_cannot_be_left_out_added_or_moved() {
    let (lines, head) = journal(&key(1));
    let why = |lines: &[String]| checked(lines).unwrap_err();
    for i in 0..lines.len() - 1 {
        let mut cut = lines.clone();
        cut.remove(i);
        let line = i as u64 + 1;
        let number = AuditWhy::Number;
        assert_eq!(why(&cut), AuditFault { line, why: number });
        let mut swapped = lines.clone();
        swapped.swap(i, i + 1);
        assert_eq!(why(&swapped).line, line);
        let mut twice = lines.clone();
        twice.insert(i, lines[i].clone());
        assert_eq!(why(&twice).line, line + 1);
    }
    // At the end only the head tells.
    let shorter = checked(&lines[..4]).unwrap();
    assert_ne!(shorter, head);
}

#[test]
fn a_line_of_another_chain_does_not_follow() {
    let (mut lines, _) = journal(&key(1));
    let event = events().remove(0);
    let (first, _) = append(Head::EMPTY, Timestamp(99), event, &key(1)).unwrap();
    lines[0] = first;
    let fault = checked(&lines).unwrap_err();
    assert_eq!((fault.line, fault.why), (2, AuditWhy::Chain));
}

#[test]
fn every_byte_counts() {
    let (lines, _) = journal(&key(1));
    for (i, line) in lines.iter().enumerate() {
        for at in (0..line.len()).step_by(3) {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let mut changed = lines.clone();
            changed[i] = text;
            assert_eq!(checked(&changed).unwrap_err().line, i as u64 + 1);
        }
    }
    for addition in [" ", "\n", "}", ",\"x\":1}"] {
        let mut changed = lines.clone();
        changed[0].push_str(addition);
        assert_eq!(checked(&changed).unwrap_err().why, AuditWhy::Form);
    }
}

#[test]
fn another_node_cannot_write_in_it() {
    let (lines, _) = journal(&key(2));
    assert_eq!(checked(&lines).unwrap_err().why, AuditWhy::Node);
    let name = |byte: u8| key(byte).fingerprint().to_string();
    let posing = lines[0].replace(&name(2), &name(1));
    let fault = checked(&[posing]).unwrap_err();
    assert_eq!(fault.why, AuditWhy::Signature);
}

#[test]
fn hostile_lines_are_damaged_not_fatal() {
    let long = "x".repeat(MAX_LINE_BYTES + 1);
    let tail = format!("{SIGNATURE_KEY}0x{}{END}", "00".repeat(64));
    for bad in ["", "{}", "é", &long, &tail, &format!("é{tail}")] {
        let fault = verify([bad], key(1).public()).unwrap_err();
        assert_eq!((fault.line, fault.why), (1, AuditWhy::Form));
    }
}

#[test]
fn what_is_no_number_is_not_written() {
    let event = AuditEvent::Released {
        task: task(),
        round: 1,
        datasets: vec![],
        outputs: 1,
        epsilon: Some(f64::NAN),
    };
    assert!(append(Head::EMPTY, Timestamp(0), event, &key(1)).is_err());
}

proptest! {
    /// Every epsilon that a ledger may say can be written down: a release that cannot be does not leave.
    #[test]
    fn every_epsilon_is_written_and_read_back(epsilon in 0.0..100.0_f64) {
        let key = key(1);
        let event = AuditEvent::Released {
            task: task(),
            round: 1,
            datasets: Vec::new(),
            outputs: 1,
            epsilon: Some(epsilon),
        };
        let (line, _) = append(Head::EMPTY, Timestamp(1), event.clone(), &key).unwrap();
        let (entry, _) = follow(Head::EMPTY, &line, key.public()).unwrap();
        prop_assert_eq!(entry.event, event);
    }
}
