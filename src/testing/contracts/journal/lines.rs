//! Lines of a journal.

use super::Subject;

/// What is added is read, in order, from any line on, as many lines as asked for.
///
/// # Panics
/// The adapter breaks it.
pub async fn lines_come_back_in_order(subject: impl Subject) {
    let journal = subject.open().await;
    assert_eq!(journal.read(0, 10).await.unwrap(), Vec::<String>::new());
    for number in 0..5 {
        journal.append(format!("line {number}")).await.unwrap();
    }
    assert_eq!(journal.read(0, 2).await.unwrap(), ["line 0", "line 1"]);
    assert_eq!(journal.read(2, 2).await.unwrap(), ["line 2", "line 3"]);
    assert_eq!(journal.read(4, 10).await.unwrap(), ["line 4"]);
    assert_eq!(journal.read(1, 1).await.unwrap(), ["line 1"]);
    assert_eq!(journal.read(5, 10).await.unwrap(), Vec::<String>::new());
    journal.append("line 5".to_owned()).await.unwrap();
    assert_eq!(journal.read(5, 10).await.unwrap(), ["line 5"]);
}

/// What was acknowledged is there after a restart, and what comes then follows it.
///
/// # Panics
/// The adapter breaks it.
pub async fn a_restart_keeps_every_line(subject: impl Subject) {
    let before = subject.open().await;
    let long = "ä".repeat(20_000);
    before.append(long.clone()).await.unwrap();
    drop(before);
    let after = subject.open().await;
    after.append("more".to_owned()).await.unwrap();
    assert_eq!(after.read(0, 10).await.unwrap(), [long, "more".to_owned()]);
}
