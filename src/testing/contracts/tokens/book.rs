//! Clauses about the list of tokens.

use std::sync::Arc;

use delta_domain::access::{Scope, Token, TokenSecret};
use delta_domain::time::Timestamp;
use delta_ports::PortErrorKind;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::Subject;

const NOW: Timestamp = Timestamp(5);

fn secret(seed: u8) -> TokenSecret {
    TokenSecret::draw(&mut ChaCha20Rng::from_seed([seed; 32]))
}

fn token(name: &str, seed: u8) -> Token {
    Token {
        name: name.parse().unwrap(),
        scopes: [Scope::Read, Scope::Submit].into(),
        digest: secret(seed).digest(),
        created_at: NOW,
        expires_at: Some(Timestamp(u64::MAX)),
    }
}

/// Every handle sees what another one was acknowledged.
pub async fn what_is_acknowledged_is_seen_by_every_handle(subject: impl Subject) {
    let (node, other) = (subject.handle(), subject.handle());
    assert!(node.tokens().await.unwrap().tokens().is_empty());
    other.add(token("a", 1)).await.unwrap();
    other.add(token("b", 2)).await.unwrap();
    let book = node.tokens().await.unwrap();
    assert_eq!(book.tokens(), [token("a", 1), token("b", 2)]);
    assert!(book.judge(&secret(2), Scope::Submit, NOW).is_ok());
    let name = "a".parse().unwrap();
    assert!(other.revoke(&name).await.unwrap());
    assert!(!node.revoke(&name).await.unwrap());
    let book = node.tokens().await.unwrap();
    assert_eq!(book.tokens(), [token("b", 2)]);
}

/// A second token of a name is rejected, and the first stays.
pub async fn a_name_is_given_once(subject: impl Subject) {
    let tokens = subject.handle();
    tokens.add(token("a", 1)).await.unwrap();
    let again = tokens.add(token("a", 2)).await.unwrap_err();
    assert_eq!(again.kind(), PortErrorKind::Rejected);
    assert_eq!(tokens.tokens().await.unwrap().tokens(), [token("a", 1)]);
}

/// Changes that several handles make at once are all there afterwards.
pub async fn changes_at_once_lose_nothing(subject: impl Subject) {
    let mut adding = Vec::new();
    for seed in 0..16 {
        let tokens = subject.handle();
        adding.push(async move { tokens.add(token(&format!("t{seed}"), seed)).await });
    }
    for added in futures_util::future::join_all(adding).await {
        added.unwrap();
    }
    let book: Arc<_> = subject.handle().tokens().await.unwrap();
    assert_eq!(book.tokens().len(), 16);
}
