//! A wallet before a record that takes a block for every call, in virtual time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::Instant;

use super::*;
use delta_domain::connector_record::{Answer, NewTaskEntry, RoundRef};
use delta_domain::task::TaskKind;
use delta_memory::PausedClock;

const SECOND: Duration = Duration::from_secs(1);

/// Answers reads at once and everything else at the end of the block.
#[derive(Clone)]
struct Chain(Arc<Blocks>);

#[derive(Default)]
struct Blocks {
    block: Duration,
    under_way: AtomicUsize,
    taken: Mutex<Vec<Command>>,
    cut: AtomicBool,
}

#[async_trait]
impl RecordBackend for Chain {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        if self.0.cut.load(Ordering::Relaxed) {
            let trouble = ChainTrouble::LinkDown;
            return Err(PortError::new(trouble.kind(), op, "cut").with_trouble(trouble));
        }
        let answer = match &command {
            Command::CreateTask(_) => Answer::Created(self.0.count().to_string()),
            Command::Nodes { .. } => Answer::Nodes(Vec::new(), 0),
            _ => Answer::Done,
        };
        if !command.is_read() {
            assert_eq!(
                self.0.under_way.fetch_add(1, Ordering::Relaxed),
                0,
                "two at a time"
            );
            tokio::time::sleep(self.0.block).await;
            self.0.under_way.fetch_sub(1, Ordering::Relaxed);
            self.0.taken.lock().unwrap().push(command);
        }
        let tx_hash = String::new();
        Ok(Receipt { tx_hash, answer })
    }

    async fn open(&self, op: &'static str, _listener: &str) -> Result<RecordEvents, PortError> {
        Err(PortError::new(
            PortErrorKind::Unsupported,
            op,
            "no events here",
        ))
    }
}

impl Blocks {
    fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

fn world(block: Duration) -> (Arc<Blocks>, Arc<Wallet<Chain>>) {
    let blocks = Arc::new(Blocks {
        block,
        ..Blocks::default()
    });
    let clock = Arc::new(PausedClock::new(Timestamp(1_000_000)));
    (blocks.clone(), Arc::new(Wallet::new(Chain(blocks), clock)))
}

fn end(round: i32) -> Command {
    Command::EndRound {
        at: RoundRef {
            kind: TaskKind::Horizontal,
            task: "0x1".into(),
            round,
        },
        address: "me".into(),
    }
}

fn task() -> Command {
    Command::CreateTask(NewTaskEntry {
        kind: TaskKind::Horizontal,
        address: "me".into(),
        dataset: "a".into(),
        commitment: "0x1".into(),
        task_type: "horizontal".into(),
        enable_verify: false,
        tolerance: 0,
    })
}

const READ: Command = Command::Nodes {
    page: 1,
    page_size: 1,
};

#[tokio::test(start_paused = true)]
async fn calls_go_one_after_the_other_and_reads_pass_them() {
    let (blocks, wallet) = world(SECOND * 12);
    let begun = Instant::now();
    let calls = (1..=3).map(|round| wallet.execute("connector.end_round", end(round)));
    let all = futures_util::future::join_all(calls);
    let read = async {
        tokio::time::sleep(SECOND).await;
        wallet.execute("connector.nodes", READ).await.unwrap();
        assert_eq!(begun.elapsed(), SECOND);
        assert_eq!(RecordBackend::wallet(&*wallet).waiting, 3);
    };
    let (all, ()) = tokio::join!(all, read);
    assert!(
        all.iter().all(Result::is_ok),
        "none was overdue for having waited"
    );
    assert_eq!(begun.elapsed(), SECOND * 36);
    assert_eq!(*blocks.taken.lock().unwrap(), [end(1), end(2), end(3)]);
    let view = RecordBackend::wallet(&*wallet);
    assert!(
        view.block >= SECOND * 12 && view.block <= SECOND * 24,
        "{view:?}"
    );
    assert_eq!((view.waiting, view.trouble), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_comes_back_gets_the_answer_to_the_call_that_is_under_way() {
    let (blocks, wallet) = world(SECOND * 30);
    let late = wallet
        .execute("connector.end_round", end(1))
        .await
        .unwrap_err();
    assert_eq!(late.kind(), PortErrorKind::Timeout);
    wallet.execute("connector.end_round", end(1)).await.unwrap();
    assert_eq!(*blocks.taken.lock().unwrap(), [end(1)], "once");
    // The deadline has learnt.
    wallet.execute("connector.end_round", end(2)).await.unwrap();
    assert_eq!(blocks.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_creation_was_given_up_is_created_once() {
    let (blocks, wallet) = world(SECOND * 30);
    let first = wallet.execute("connector.create_task", task()).await;
    assert_eq!(first.unwrap_err().kind(), PortErrorKind::Timeout);
    tokio::time::sleep(SECOND * 60).await;
    let again = wallet
        .execute("connector.create_task", task())
        .await
        .unwrap();
    assert_eq!(again.answer, Answer::Created("0".into()));
    assert_eq!(blocks.count(), 1);
    let other = wallet
        .execute("connector.create_task", task())
        .await
        .unwrap();
    assert_eq!(other.answer, Answer::Created("1".into()), "another task");
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_before_it_is_sent_is_not_sent_and_after_it_is() {
    let (blocks, wallet) = world(SECOND * 5);
    let give_up =
        |round| tokio::time::timeout(SECOND, wallet.execute("connector.end_round", end(round)));
    let (first, second) = tokio::join!(give_up(1), give_up(2));
    assert!(first.is_err() && second.is_err());
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(*blocks.taken.lock().unwrap(), [end(1)]);
    assert_eq!(RecordBackend::wallet(&*wallet).waiting, 0);
    wallet.execute("connector.end_round", end(3)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_is_let_go() {
    let (_, wallet) = world(SECOND * 100_000);
    let begun = Instant::now();
    let lost = wallet
        .execute("connector.end_round", end(1))
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), PortErrorKind::Timeout);
    assert_eq!(begun.elapsed(), SECOND * 20);
    // What waits behind it is sent once that one is given up for lost.
    let next = wallet
        .execute("connector.end_round", end(2))
        .await
        .unwrap_err();
    assert_eq!(next.kind(), PortErrorKind::Timeout);
    assert_eq!(
        begun.elapsed(),
        SECOND * (80 + 40),
        "twice as long as the first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_away_is_told_until_it_is_back() {
    let (blocks, wallet) = world(SECOND);
    blocks.cut.store(true, Ordering::Relaxed);
    let cut = wallet.execute("connector.nodes", READ).await.unwrap_err();
    assert_eq!(cut.trouble(), Some(ChainTrouble::LinkDown));
    let trouble = RecordBackend::wallet(&*wallet).trouble;
    assert_eq!(
        trouble,
        Some((ChainTrouble::LinkDown, Timestamp(1_000_000)))
    );
    blocks.cut.store(false, Ordering::Relaxed);
    wallet.execute("connector.nodes", READ).await.unwrap();
    assert_eq!(RecordBackend::wallet(&*wallet).trouble, None);
}
