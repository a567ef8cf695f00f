//! Every call through both ends of the wire: the record hears what was asked, the caller hears what was answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::net::TcpListener;

use crate::signature::tests::Standing;
use crate::{Door, GrpcConnector, GrpcOptions, serve};
use delta_domain::connector_record::{
    Answer, Command, NewTaskEntry, NodeEntry, ProofEntry, RoundEntry, RoundRef, SecretKind,
    ShareEntry, Status, Step, TaskEntry,
};
use delta_domain::task::TaskKind;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents};
use delta_ports::{PortError, PortErrorKind};

/// Remembers the last call, and answers it.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) heard: Mutex<Option<Command>>,
}

#[async_trait]
impl RecordBackend for Echo {
    async fn execute(&self, _op: &'static str, command: Command) -> Result<Receipt, PortError> {
        let receipt = receipt(&command);
        *self.heard.lock().unwrap() = Some(command);
        Ok(receipt)
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        Err(PortError::new(
            PortErrorKind::Unsupported,
            op,
            format!("no events for {listener}"),
        ))
    }
}

#[tokio::test]
async fn every_call_and_its_answer_arrive_as_they_were_sent() {
    let echo = Arc::new(Echo::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let door = Door::new(true, Arc::new(Standing));
    tokio::spawn(serve(echo.clone(), door, listener, std::future::pending()));
    let client = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap();
    let mut names = BTreeSet::new();
    for command in [TaskKind::Horizontal, TaskKind::Hlr]
        .into_iter()
        .flat_map(|kind| commands(kind, "0xa"))
    {
        let answered = client.execute("test", command.clone()).await.unwrap();
        assert_eq!(echo.heard.lock().unwrap().take(), Some(command.clone()));
        assert_eq!(answered, receipt(&command), "{command:?}");
        names.insert(
            format!("{command:?}")
                .split([' ', '('])
                .next()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(names.len(), 26, "a call has no sample: {names:?}");
}

/// What the record says to a call. A new call belongs here, and among the samples below.
fn receipt(command: &Command) -> Receipt {
    let text = str::to_owned;
    let answer = match command {
        Command::Join { .. } | Command::JoinAs { .. } => Answer::Joined(text("0xa")),
        Command::UpdateUrl { .. }
        | Command::UpdateName { .. }
        | Command::Leave { .. }
        | Command::RegisterData { .. }
        | Command::FinishTask { .. }
        | Command::StartRound { .. }
        | Command::JoinRound { .. }
        | Command::Advance { .. }
        | Command::UploadCommitments { .. }
        | Command::UploadResult { .. }
        | Command::UploadShares { .. }
        | Command::EndRound { .. }
        | Command::Confirm { .. } => Answer::Done,
        Command::Node { .. } => Answer::Node(node(1)),
        Command::Nodes { .. } => Answer::Nodes(vec![node(1), node(2)], 7),
        Command::DataCommitment { .. }
        | Command::ResultCommitment { .. }
        | Command::WeightCommitment { .. } => Answer::Commitment(text("0xc")),
        Command::CreateTask(_) => Answer::Created(text("0xb")),
        Command::Task { kind, task } => Answer::Task(TaskEntry {
            address: text("0xa"),
            url: text("http://a"),
            task: task.clone(),
            dataset: text("d"),
            commitment: text("0xc"),
            task_type: text("t"),
            finished: true,
            enable_verify: *kind == TaskKind::Hlr,
            tolerance: if *kind == TaskKind::Hlr { -2 } else { 0 },
        }),
        Command::Round { at } => Answer::Round(RoundEntry {
            round: at.round,
            status: Status::Aggregating,
            joined: vec![text("0x1"), text("0x2")],
            finished: match at.kind {
                TaskKind::Horizontal => Vec::new(),
                TaskKind::Hlr => vec![text("0x2")],
            },
        }),
        Command::PublicKeys { .. } => {
            Answer::Keys(vec![(text("1"), text("2")), (text("3"), text("4"))])
        }
        Command::ShareRecords { .. } => Answer::Shares(vec![
            ShareEntry {
                seed: Some(text("s")),
                seed_commitment: Some(text("sc")),
                secret_key: None,
                secret_key_commitment: Some(String::new()),
            },
            ShareEntry {
                secret_key: Some(text("k")),
                ..ShareEntry::default()
            },
        ]),
        Command::Verify(_) => Answer::Verified(true),
        Command::VerifierState { .. } => Answer::Verifier {
            unfinished: vec![text("0x1")],
            invalid: vec![text("0x2")],
            valid: true,
        },
    };
    let tx_hash = if command.is_read() {
        String::new()
    } else {
        text("0xf")
    };
    Receipt { tx_hash, answer }
}

fn node(number: u8) -> NodeEntry {
    NodeEntry {
        url: format!("http://{number}"),
        name: format!("n{number}"),
        address: format!("0x{number}"),
    }
}

/// At least one sample of every call, for `address` and with another value in every other field.
pub(crate) fn commands(kind: TaskKind, address: &str) -> Vec<Command> {
    let hlr = kind == TaskKind::Hlr;
    let (address, task) = (|| address.to_owned(), || "0xb".to_owned());
    let at = || RoundRef {
        kind,
        task: task(),
        round: 3,
    };
    let list = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    let text = str::to_owned;
    let mut all = vec![
        Command::Join {
            url: text("u"),
            name: text("n"),
        },
        Command::UpdateUrl {
            address: address(),
            url: text("u"),
        },
        Command::UpdateName {
            address: address(),
            name: text("n"),
        },
        Command::Leave { address: address() },
        Command::Node { address: address() },
        Command::Nodes {
            page: 2,
            page_size: -1,
        },
        Command::RegisterData {
            address: address(),
            name: text("n"),
            index: -1,
            commitment: text("c"),
        },
        Command::DataCommitment {
            address: address(),
            name: text("n"),
            index: 5,
        },
        Command::CreateTask(NewTaskEntry {
            kind,
            address: address(),
            dataset: text("d"),
            commitment: text("c"),
            task_type: if hlr { text("hlr") } else { text("whatever") },
            enable_verify: hlr,
            tolerance: if hlr { -6 } else { 0 },
        }),
        Command::FinishTask {
            kind,
            address: address(),
            task: task(),
        },
        Command::Task { kind, task: task() },
        Command::StartRound {
            at: at(),
            address: address(),
            weight_commitment: if hlr { text("w") } else { String::new() },
        },
        Command::JoinRound {
            at: at(),
            address: address(),
            pk1: text("1"),
            pk2: text("2"),
        },
        Command::Round { at: at() },
        Command::PublicKeys {
            at: at(),
            clients: list(["x", "y"]),
        },
        Command::UploadResult {
            at: at(),
            address: address(),
            commitment: text("c"),
        },
        Command::ResultCommitment {
            at: at(),
            client: text("x"),
        },
        Command::ShareRecords {
            at: at(),
            senders: list(["x", "y"]),
            receiver: text("z"),
        },
        Command::EndRound {
            at: at(),
            address: address(),
        },
        Command::WeightCommitment {
            task: task(),
            round: 4,
        },
        Command::Verify(ProofEntry {
            address: address(),
            task: task(),
            weight_size: 3,
            proof: text("p"),
            pub_signals: list(["1", "2"]),
            block_index: 5,
            samples: 6,
            verdict: None,
        }),
        Command::VerifierState { task: task() },
        Command::Confirm {
            address: address(),
            task: task(),
        },
    ];
    for step in [Step::Select, Step::Calculate, Step::Aggregate] {
        let clients = list(["x", "y"]);
        all.push(Command::Advance {
            step,
            at: at(),
            address: address(),
            clients,
        });
    }
    for secret in [SecretKind::Seed, SecretKind::SecretKey] {
        all.push(Command::UploadCommitments {
            secret,
            at: at(),
            address: address(),
            receivers: list(["x", "y"]),
            commitments: list(["c", "d"]),
        });
        all.push(Command::UploadShares {
            secret,
            at: at(),
            address: address(),
            senders: list(["x", "y"]),
            shares: list(["s", "t"]),
        });
    }
    all
}
