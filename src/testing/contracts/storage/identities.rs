//! Clauses about who was seen where.

use std::collections::BTreeSet;

use delta_domain::ids::Address;
use delta_domain::time::Timestamp;
use delta_ports::storage::KnownIdentity;

use super::Subject;

fn known(byte: &str, document: &[u8]) -> KnownIdentity {
    KnownIdentity {
        address: address(byte),
        document: document.to_vec(),
        changed: None,
        first_seen: Timestamp(1),
        last_seen: Timestamp(2),
    }
}

fn address(byte: &str) -> Address {
    format!("0x{}", byte.repeat(20)).parse().unwrap()
}

/// An identity reads as it was kept, the last write counts, and the list comes in the order of addresses.
pub async fn identities_are_kept_by_address(subject: impl Subject) {
    let s = subject.open().await;
    assert_eq!(s.identity(&address("aa")).await.unwrap(), None);
    let first = known("bb", b"one");
    assert!(s.keep_identity(&first, 10).await.unwrap());
    assert!(s.keep_identity(&known("aa", b"two"), 10).await.unwrap());
    let changed = KnownIdentity {
        changed: Some(b"\0three".to_vec()),
        last_seen: Timestamp(9),
        ..first.clone()
    };
    assert!(s.keep_identity(&changed, 10).await.unwrap());
    let s = subject.restart().await;
    assert_eq!(
        s.identity(&address("bb")).await.unwrap(),
        Some(changed.clone())
    );
    let list = s.identities(10).await.unwrap();
    assert_eq!(list, [known("aa", b"two"), changed]);
    assert_eq!(s.identities(1).await.unwrap().len(), 1);
    assert!(s.keep_identity(&first, 10).await.unwrap());
    assert_eq!(s.identity(&address("bb")).await.unwrap(), Some(first));
}

/// Where as many are kept as may be, no other one is, and those that are there still change.
pub async fn no_more_identities_than_the_limit_are_kept(subject: impl Subject) {
    let s = subject.open().await;
    for byte in ["aa", "bb"] {
        assert!(s.keep_identity(&known(byte, b"x"), 2).await.unwrap());
    }
    assert!(!s.keep_identity(&known("cc", b"x"), 2).await.unwrap());
    assert_eq!(s.identity(&address("cc")).await.unwrap(), None);
    assert!(s.keep_identity(&known("aa", b"y"), 2).await.unwrap());
    assert!(s.keep_identity(&known("cc", b"x"), 3).await.unwrap());
    assert_eq!(s.identities(10).await.unwrap().len(), 3);
}

/// Room is made by who was not seen for the longest time; of equals by the first address, and by nobody who is spared.
pub async fn who_was_not_seen_for_the_longest_time_is_let_go_and_nobody_who_is_spared(
    subject: impl Subject,
) {
    let s = subject.open().await;
    for (byte, last_seen) in [("aa", 5), ("bb", 3), ("cc", 3), ("dd", 1)] {
        let one = KnownIdentity {
            last_seen: Timestamp(last_seen),
            ..known(byte, b"x")
        };
        assert!(s.keep_identity(&one, 4).await.unwrap());
    }
    let spared = BTreeSet::from([address("dd"), address("ee")]);
    for byte in ["bb", "cc", "aa"] {
        let gone = s.let_identity_go(&spared).await.unwrap();
        assert_eq!(gone, Some(address(byte)));
        assert_eq!(s.identity(&address(byte)).await.unwrap(), None);
    }
    assert_eq!(s.let_identity_go(&spared).await.unwrap(), None);
    let nobody = BTreeSet::new();
    let gone = s.let_identity_go(&nobody).await.unwrap();
    assert_eq!(gone, Some(address("dd")));
    assert_eq!(s.let_identity_go(&nobody).await.unwrap(), None);
}
