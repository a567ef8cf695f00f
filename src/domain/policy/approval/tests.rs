//! Which decision counts for which question, and when.

use super::*;
use crate::identity::NodeKey;
use crate::policy::judge::tests::question;
use crate::secret::Secret;

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);

fn task(byte: u8) -> TaskId {
    format!("0x{}", format!("{byte:02x}").repeat(32))
        .parse()
        .unwrap()
}

fn anna() -> Author {
    let key = NodeKey::new(&Secret::new([7; 32])).unwrap();
    Author {
        node: Some(key.fingerprint()),
        organisation: Some("A".to_owned()),
        name: Some("anna".to_owned()),
        own: false,
    }
}

fn asked() -> Question {
    Question {
        author: anna(),
        ..question()
    }
}

fn said(scope: ApprovalScope, decision: OwnerDecision) -> Approval {
    Approval {
        author: anna(),
        question: asked().digest,
        scope,
        decision,
        decided_at: NOW,
        decided_with: "owner".to_owned(),
    }
}

fn book(all: impl IntoIterator<Item = Approval>) -> ApprovalBook {
    let mut book = ApprovalBook::default();
    all.into_iter().for_each(|a| book.decide(a));
    book
}

use ApprovalScope::{Always, Once, Until};
use OwnerDecision::{Allow, Deny};

#[test]
fn once_is_for_one_task() {
    let book = book([said(Once(task(1)), Allow)]);
    assert_eq!(book.standing(&asked(), &task(1), NOW), Standing::Allowed);
    assert_eq!(book.standing(&asked(), &task(2), NOW), Standing::Open);
}

#[test]
fn always_is_for_this_author_and_this_question() {
    let book = book([said(Always, Allow)]);
    assert_eq!(book.standing(&asked(), &task(9), LATER), Standing::Allowed);
    let mut other = asked();
    other.digest = Digest([9; 32]);
    assert_eq!(book.standing(&other, &task(9), LATER), Standing::Open);
    for change in [
        |a: &mut Author| a.name = Some("bert".to_owned()),
        |a: &mut Author| a.name = None,
        |a: &mut Author| a.node = None,
        |a: &mut Author| {
            a.node = Some(NodeKey::new(&Secret::new([8; 32])).unwrap().fingerprint());
        },
    ] {
        let mut other = asked();
        change(&mut other.author);
        assert_eq!(book.standing(&other, &task(9), LATER), Standing::Open);
    }
}

#[test]
fn who_proves_no_key_is_nobody_twice() {
    let nobody = Author {
        node: None,
        ..anna()
    };
    let mut question = asked();
    question.author = nobody.clone();
    let said = |scope| Approval {
        author: nobody.clone(),
        ..said(scope, Allow)
    };
    let all = book([said(Always)]);
    assert_eq!(all.standing(&question, &task(1), NOW), Standing::Open);
    let one = book([said(Once(task(1)))]);
    assert_eq!(one.standing(&question, &task(1), NOW), Standing::Allowed);
}

#[test]
fn an_end_is_an_end() {
    let book = book([said(Always, Allow), said(Until(LATER), Allow)]);
    let at = |now| book.standing(&asked(), &task(1), now);
    assert_eq!(at(Timestamp(LATER.0 - 1)), Standing::Allowed);
    // The wider word was replaced by the narrower one.
    assert_eq!(at(LATER), Standing::Open);
}

#[test]
fn the_last_word_counts_and_revoking_brings_nothing_back() {
    let mut book = book([said(Always, Deny), said(Until(LATER), Allow)]);
    assert_eq!(book.standing(&asked(), &task(1), NOW), Standing::Allowed);
    let id = said(Until(LATER), Allow).id();
    assert!(book.revoke(&id, NOW));
    assert!(!book.revoke(&id, NOW) && !book.revoke(&Digest([0; 32]), NOW));
    assert_eq!(book.standing(&asked(), &task(1), NOW), Standing::Open);
    book.decide(said(Always, Deny));
    assert_eq!(book.standing(&asked(), &task(1), NOW), Standing::Denied);
}

#[test]
fn ids_tell_decisions_apart() {
    let mut ids = std::collections::BTreeSet::new();
    for scope in [
        Once(task(1)),
        Once(task(2)),
        Always,
        Until(NOW),
        Until(LATER),
    ] {
        for decision in [Allow, Deny] {
            ids.insert(said(scope.clone(), decision).id());
        }
    }
    let mut other = said(Always, Allow);
    other.author.name = None;
    ids.insert(other.id());
    assert_eq!(ids.len(), 11);
}

#[test]
fn a_book_survives_json() {
    let mut all = book([said(Once(task(1)), Allow), said(Until(LATER), Deny)]);
    all.revoke(&said(Until(LATER), Deny).id(), NOW);
    let text = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<ApprovalBook>(&text).unwrap(), all);
}

#[test]
fn a_certified_task_is_allowed_once_whatever_stands_in_the_book() {
    let certified = Question {
        certified: Some(serde_json::from_str(r#"[["age", [0, 120]]]"#).unwrap()),
        ..asked()
    };
    let of = |scope, decision| {
        let book = book([said(scope, decision)]);
        book.standing(&certified, &task(1), NOW)
    };
    assert_eq!(of(Once(task(1)), Allow), Standing::Allowed);
    assert_eq!(of(Always, Allow), Standing::Open);
    assert_eq!(of(Until(LATER), Allow), Standing::Open);
    assert_eq!(of(Always, Deny), Standing::Denied);
}
