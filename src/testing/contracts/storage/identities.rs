//! Clauses about who was seen where.

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
