//! Clauses about questions to contracts.

use super::Subject;
use crate::contracts::connector::moves::each;

/// A page without a size holds nobody; who has left and joined again is there twice, and once in a list of all.
pub async fn nodes_are_paged_and_may_be_listed_twice(subject: impl Subject) {
    let [a, b, d] = each(&subject).await;
    let c = subject.node(0);
    let page = c.nodes(1, 0).await.unwrap();
    assert_eq!((page.nodes.len(), page.total), (0, 3));
    assert!(c.nodes(0, 2).await.is_err());
    let page = c.nodes(2, 2).await.unwrap();
    assert_eq!((page.nodes.len(), page.total), (1, 3));
    subject.node(1).leave(&b).await.unwrap();
    assert_eq!(c.all_nodes().await.unwrap().len(), 2);
    subject.node(1).join("http://n1", "n1").await.unwrap();
    let page = c.nodes(1, 10).await.unwrap();
    assert_eq!((page.nodes.len(), page.total), (4, 4));
    let all = c.all_nodes().await.unwrap();
    let mut listed: Vec<_> = all.into_iter().map(|node| node.address).collect();
    let mut there = vec![a, b, d];
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}
