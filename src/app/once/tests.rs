//! Every statement comes onto the record once, whatever becomes of requests, answers, blocks, links and processes.

use std::sync::Arc;
use std::time::Duration;

use delta_domain::connector_record::Command;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, encode_hex};
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_memory::{ChainOptions, ChainTrouble, MemoryConnector, PausedClock, Subscriptions, When};
use delta_ports::PortErrorKind;
use delta_ports::connector::{Connector as _, NewTask, RawPublicKeys, RoundKey, ShareKind};
use proptest::prelude::*;

use super::*;

/// What becomes of one try.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    /// The request does not arrive.
    RequestLost,
    /// It takes effect, in its time, and nobody hears of it.
    AnswerLost,
    /// Nobody waits longer than this, in milliseconds.
    GivenUp(u64),
    Trouble(ChainTrouble),
    /// The connector's link to its chain is cut a moment later, for so long.
    LinkCut(u64),
    /// The connector's process is ended a moment later, and started anew.
    Restarted,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::Good),
        2 => Just(Fate::RequestLost),
        3 => Just(Fate::AnswerLost),
        3 => (1..30_000_u64).prop_map(Fate::GivenUp),
        1 => Just(Fate::Trouble(ChainTrouble::Nonce)),
        1 => Just(Fate::Trouble(ChainTrouble::LinkDown)),
        1 => Just(Fate::Trouble(ChainTrouble::EmptyWallet)),
        2 => Just(Fate::Trouble(ChainTrouble::ReceiptUnknown)),
        1 => (1..20_000_u64).prop_map(Fate::LinkCut),
        1 => Just(Fate::Restarted),
    ];
    proptest::collection::vec(fate, 0..40)
}

/// A node on its connector, and what becomes of its tries.
struct Node {
    connector: MemoryConnector,
    clock: Arc<PausedClock>,
    address: Address,
    fates: std::vec::IntoIter<Fate>,
}

impl Node {
    /// Says something as a machine does: again and again while it is uncertain, looking first; and then believes it.
    async fn says(&mut self, call: Call<'_>) {
        let mut again = false;
        loop {
            let fate = self.fates.next().unwrap_or(Fate::Good);
            let patience = self.meet(fate);
            let mut statement = OnRecord {
                connector: &self.connector,
                clock: &*self.clock,
                call,
            };
            let said = tokio::time::timeout(patience, once(&mut statement, again)).await;
            self.connector.faults().clear();
            self.connector.forget_troubles();
            match said {
                Ok(Ok(_)) => {
                    let seen = self.sees(call).await;
                    assert_eq!(seen, Standing::There, "{call:?}");
                    return;
                }
                Ok(Err(e)) => assert!(e.is_transient(), "{call:?}: {e}"),
                Err(_) => {}
            }
            again = true;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// What the record says, asked until it answers.
    async fn sees(&self, call: Call<'_>) -> Standing {
        loop {
            let mut statement = OnRecord {
                connector: &self.connector,
                clock: &*self.clock,
                call,
            };
            match statement.look().await {
                Ok(standing) => return standing,
                Err(e) => assert!(e.is_transient(), "{e}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Prepares what becomes of the next try; for how long anybody waits for it.
    fn meet(&self, fate: Fate) -> Duration {
        let chain = self.connector.clone();
        match fate {
            Fate::Good => {}
            Fate::RequestLost => {
                chain.fail_next("*", When::Before, PortErrorKind::Unavailable);
            }
            Fate::AnswerLost => chain.fail_next("*", When::After, PortErrorKind::Timeout),
            Fate::Trouble(trouble) => chain.trouble_next("*", trouble),
            Fate::GivenUp(after) => return Duration::from_millis(after),
            Fate::LinkCut(length) => drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                chain.cut_link(Subscriptions::FallSilent);
                tokio::time::sleep(Duration::from_millis(length)).await;
                chain.mend_link();
                chain.restart_connector();
            })),
            Fate::Restarted => drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                chain.restart_connector();
            })),
        }
        Duration::from_secs(60)
    }
}

/// What is said in one round of two members, the first of whom leads it.
struct Script {
    key: RoundKey,
    all: [Address; 2],
    keys: [RawPublicKeys; 2],
    digest: Digest,
    commitments: Vec<(Address, Digest)>,
    shares: Vec<(Address, String)>,
}

impl Script {
    fn new(task: TaskId, all: [Address; 2]) -> Self {
        let digest = Digest::of(b"said once");
        let keys = |a: &Address| RawPublicKeys {
            pk1: encode_hex(a.as_str().as_bytes()),
            pk2: encode_hex(&digest.0),
        };
        Self {
            key: RoundKey {
                kind: TaskKind::Horizontal,
                task,
                round: RoundNumber(1),
            },
            keys: all.each_ref().map(keys),
            commitments: all.iter().map(|a| (a.clone(), digest)).collect(),
            shares: all
                .iter()
                .map(|a| (a.clone(), "0x0102".to_owned()))
                .collect(),
            digest,
            all,
        }
    }

    fn lead<'a>(&'a self, lead: Lead<'a>) -> Call<'a> {
        Call::Lead(&self.all[0], &self.key, lead)
    }

    /// What each member says in a phase, and what the coordinator says before it.
    fn phases(&self) -> Vec<(Call<'_>, [Vec<Call<'_>>; 2])> {
        let Self { key, all, .. } = self;
        let joins = [0, 1].map(|i| vec![Call::Join(&all[i], key, &self.keys[i])]);
        let commits = all.each_ref().map(|me| {
            let kinds = [ShareKind::SelfMaskSeed, ShareKind::MaskKey];
            let commit = |kind| Call::Commit(me, key, kind, &self.commitments);
            kinds.map(commit).to_vec()
        });
        let results = all
            .each_ref()
            .map(|me| vec![Call::Result(me, key, &self.digest)]);
        let reveals = all
            .each_ref()
            .map(|me| vec![Call::Reveal(me, key, ShareKind::SelfMaskSeed, &self.shares)]);
        vec![
            (self.lead(Lead::Start(None)), joins),
            (self.lead(Lead::Select(all)), commits),
            (self.lead(Lead::Calculate(all)), results),
            (self.lead(Lead::Aggregate(all)), reveals),
            (self.lead(Lead::End), [Vec::new(), Vec::new()]),
        ]
    }
}

async fn play(record: MemoryConnector, clock: Arc<PausedClock>, fates: [Vec<Fate>; 2]) {
    let connectors = [record.handle(), record.handle()];
    let urls = ["http://a", "http://b"];
    let first = connectors[0].join(urls[0], "n").await.unwrap().address;
    let second = connectors[1].join(urls[1], "n").await.unwrap().address;
    let new = NewTask {
        owner: first.clone(),
        dataset: "d".to_owned(),
        commitment: Digest::of(b"bundle"),
        kind: TaskKind::Horizontal,
        enable_verify: false,
        tolerance: 0,
    };
    let task = connectors[0].create_task(&new).await.unwrap().task;
    let script = Script::new(task, [first, second]);
    let mut fates = fates.into_iter();
    let mut nodes = connectors
        .into_iter()
        .zip(&script.all)
        .map(|(connector, me)| Node {
            connector,
            clock: clock.clone(),
            address: me.clone(),
            fates: fates.next().unwrap_or_default().into_iter(),
        });
    let (mut a, mut b) = (nodes.next().unwrap(), nodes.next().unwrap());
    let text = script.digest.to_string();
    let registered = |me| Call::Register(me, "card", 0, &text);
    tokio::join!(
        a.says(registered(&script.all[0])),
        b.says(registered(&script.all[1]))
    );
    for (lead, [of_a, of_b]) in script.phases() {
        a.says(lead).await;
        tokio::join!(
            async {
                for call in of_a {
                    a.says(call).await;
                }
            },
            async {
                for call in of_b {
                    b.says(call).await;
                }
            }
        );
    }
    let finish = Call::Finish(&script.all[0], TaskKind::Horizontal, &script.key.task);
    a.says(finish).await;
    // Whatever is still on its way changes nothing.
    tokio::time::sleep(Duration::from_secs(600)).await;
    // A record may show no task whose owner has lapsed.
    for (node, url) in [(&a, urls[0]), (&b, urls[1])] {
        node.connector.join(url, "n").await.unwrap();
    }
    assert_eq!(a.sees(finish).await, Standing::There);
    assert_eq!(a.sees(script.lead(Lead::End)).await, Standing::There);
    for (node, member) in [(&a, 0), (&b, 1)] {
        for (_, calls) in script.phases() {
            for call in &calls[member] {
                assert_eq!(node.sees(*call).await, Standing::There, "{call:?}");
            }
        }
        assert_eq!(node.sees(registered(&node.address)).await, Standing::There);
    }
    once_each(&record);
}

/// No member's statement was taken twice.
fn once_each(record: &MemoryConnector) {
    let accepted = record.writes(0).into_iter().filter(|write| write.accepted);
    let mut said: Vec<String> = accepted
        .map(|write| write.command)
        .filter(|command| {
            matches!(
                command,
                Command::StartRound { .. }
                    | Command::JoinRound { .. }
                    | Command::UploadCommitments { .. }
                    | Command::UploadResult { .. }
                    | Command::UploadShares { .. }
            )
        })
        .map(|command| format!("{command:?}"))
        .collect();
    // The record takes an identical repeat for the call that it repeats.
    if !record.is_on_chain() {
        said.sort();
        said.dedup();
    }
    // The start, and five statements of each member.
    assert_eq!(said.len(), 11, "{said:#?}");
}

fn run(blocks: Option<u64>, fates: [Vec<Fate>; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = Arc::new(PausedClock::new(Timestamp(1_700_000_000_000)));
        let record = match blocks {
            None => MemoryConnector::new(clock.clone(), 3),
            Some(seconds) => {
                MemoryConnector::on_chain(clock.clone(), 3, ChainOptions::every(seconds))
            }
        };
        let hours = Duration::from_secs(24 * 3600);
        let played = tokio::time::timeout(hours, play(record, clock, fates));
        assert!(played.await.is_ok(), "it does not come to an end");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_statement_stands_once_and_is_believed(
        blocks in prop_oneof![
            Just(None), Just(Some(0)), Just(Some(1)), Just(Some(5)), Just(Some(12))
        ],
        first in fates(),
        second in fates(),
    ) {
        run(blocks, [first, second]);
    }
}
