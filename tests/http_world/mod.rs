//! A node without any sense, and any coordinator, behind the real server; and a client that sends bytes as they are.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod board;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use delta_node::adapters::http::{Admission, Doors, HttpOptions, HttpServer, serve};
use delta_node::domain::catalogue::{Listing, SignedCatalogue};
use delta_node::domain::identity::{Card, Document, NodeKey};
use delta_node::domain::ids::{Address, DatasetName, Digest, TaskId};
use delta_node::domain::policy::{
    Approval, ApprovalMode, ApprovalScope, Author, Class, Facts, Kind, OwnerDecision, Policies,
    Question, Reads, TableForm, judge,
};
use delta_node::domain::privacy::accountant::{Budget, Ledger, Renewal};
use delta_node::domain::privacy::cost::Cost;
use delta_node::domain::privacy::rdp::Rdp;
use delta_node::domain::privacy::report::LedgerReport;
use delta_node::domain::round::FailureCode;
use delta_node::domain::round::message::RoundEnd;
use delta_node::domain::secret::Secret;
use delta_node::domain::strategy::Strategy;
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::domain::time::Timestamp;
use delta_node::ports::author_api::{
    AuthorApi, Checkpoint, PhaseSpan, RoundReport, SubmissionLimits, TaskProgress,
};
use delta_node::ports::blob::ByteStream;
use delta_node::ports::board_api::{BoardApi, SelfCheck};
use delta_node::ports::catalogue::{CatalogueApi, Found, NetworkListing, NodeListing, OwnDataset};
use delta_node::ports::connector::{NodePage, NodeRecord};
use delta_node::ports::identity::IdentityApi;
use delta_node::ports::metrics::{Exposition, Vitals};
use delta_node::ports::operator_api::OperatorApi;
use delta_node::ports::owner_api::{
    AskedTask, Decided, DecisionScope, OnHub, OwnerApi, ReadyCheck, RegisteredVersion,
};
use delta_node::ports::peer::CoordinatorApi;
use delta_node::ports::storage::{LocalTaskId, LogLevel, LogRow, NewLog, TaskPage, TaskRow};
use delta_node::ports::{PortError, PortErrorKind, UserError};
use delta_testing::contracts::peer::moves::{MEMBERS, bytes, collect, member, task};
use delta_testing::contracts::peer::recorder::Recorder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

/// A node that answers as it is told, and the coordinator in it.
#[derive(Default)]
pub(crate) struct Fake {
    /// What members talk to; it also keeps the files that users submit.
    pub(crate) recorder: Arc<Recorder>,
    /// What the owner has decided.
    pub(crate) decided: Mutex<Vec<Decided>>,
    /// What the checks say.
    pub(crate) unready: Mutex<bool>,
    /// Whether it publishes nothing.
    pub(crate) unpublished: Mutex<bool>,
    /// As whose tasks were submitted.
    pub(crate) authors: Mutex<Vec<Option<String>>>,
    /// What the log says, where that is not `info`.
    pub(crate) filter: Mutex<Option<String>>,
    /// Tells pages what changes.
    pub(crate) news: board::NewsDesk,
}

impl Deref for Fake {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.recorder
    }
}

/// The recorded task, finished; and a second one that nobody knows on the network yet.
pub(crate) fn row(id: LocalTaskId) -> Option<TaskRow> {
    let finished = TaskRow {
        id: 1,
        created_at: Timestamp(1_795_329_517_000),
        name: "wage_avg".to_owned(),
        kind: TaskKind::Horizontal,
        enable_verify: false,
        author: None,
        creator: Some(member(0)),
        task: Some(task()),
        status: TaskStatus::Finished,
        error: None,
    };
    match id {
        1 => Some(finished),
        2 => Some(TaskRow {
            id: 2,
            creator: None,
            task: None,
            status: TaskStatus::Pending,
            ..finished
        }),
        _ => None,
    }
}

fn found(id: LocalTaskId) -> Result<TaskRow, UserError> {
    row(id).ok_or_else(|| UserError::Invalid(format!("task {id} does not exist")))
}

#[async_trait]
impl AuthorApi for Fake {
    async fn network_datasets(&self) -> Result<NetworkListing, UserError> {
        let node = |i: usize, found| NodeListing {
            address: member(i),
            name: format!("n{}", i + 1),
            url: format!("http://127.0.0.1:1690{i}"),
            organisation: (i == 0).then(|| "Organisation".to_owned()),
            vouched: i == 0,
            own: i == 0,
            found,
        };
        Ok(NetworkListing {
            nodes: vec![
                node(0, Found::Published(Arc::new(catalogue().catalogue))),
                node(1, Found::Nothing),
                node(2, Found::Away("it cannot be reached".to_owned())),
            ],
            unasked: 1,
        })
    }

    async fn submit_task(
        &self,
        bundle: ByteStream,
        author: Option<String>,
    ) -> Result<LocalTaskId, UserError> {
        self.authors.lock().unwrap().push(author);
        let content = collect(bundle).await?;
        match content.as_slice() {
            b"nonsense" => Err(UserError::Invalid("unknown task type nonsense".to_owned())),
            b"broken disk" => {
                Err(PortError::new(PortErrorKind::Corrupt, "fake", "a secret detail").into())
            }
            b"full disk" => {
                Err(PortError::new(PortErrorKind::Exhausted, "fake", "a secret detail").into())
            }
            _ => {
                self.files.lock().unwrap().push(content);
                Ok(1)
            }
        }
    }

    async fn limits(&self) -> Result<SubmissionLimits, UserError> {
        Ok(SubmissionLimits {
            bundle_bytes: 1 << 30,
            by_disk: false,
        })
    }

    async fn task(&self, id: LocalTaskId) -> Result<TaskRow, UserError> {
        found(id)
    }

    async fn tasks(&self, ids: &[LocalTaskId]) -> Result<Vec<TaskRow>, UserError> {
        Ok(ids.iter().filter_map(|id| row(*id)).collect())
    }

    async fn cancel_task(&self, id: LocalTaskId) -> Result<TaskRow, UserError> {
        let row = found(id)?;
        if row.status.is_terminal() {
            return Err(UserError::Invalid(format!("task {id} is over")));
        }
        Ok(TaskRow {
            status: TaskStatus::Error,
            ..row
        })
    }

    async fn task_page(&self, page: u32, _: u32, ascending: bool) -> Result<TaskPage, UserError> {
        let mut tasks: Vec<_> = [1, 2].into_iter().filter_map(row).collect();
        if !ascending {
            tasks.reverse();
        }
        if page > 1 {
            tasks.clear();
        }
        Ok(TaskPage { tasks, total: 2 })
    }

    async fn task_logs(
        &self,
        id: LocalTaskId,
        start: i64,
        _: u32,
    ) -> Result<Vec<LogRow>, UserError> {
        found(id)?;
        let log = |message: &str, tx_hash: Option<&str>| NewLog {
            created_at: Timestamp(1_795_329_518_000),
            task: task(),
            level: LogLevel::Info,
            message: message.to_owned(),
            tx_hash: tx_hash.map(|h| h.parse().unwrap()),
        };
        let rows = vec![
            LogRow {
                id: 1,
                log: log("start run task 0x55", None),
            },
            LogRow {
                id: 2,
                log: log("[Create Task] create task 0x55", Some("0x66a74772")),
            },
        ];
        Ok(rows.into_iter().filter(|row| row.id >= start).collect())
    }

    async fn task_result(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        match found(id)?.status {
            TaskStatus::Finished => Ok((6, bytes(b"PK\x03\x04.."))),
            _ => Err(UserError::Invalid(format!("task {id} is not finished"))),
        }
    }

    async fn task_progress(
        &self,
        id: LocalTaskId,
    ) -> Result<(TaskRow, Option<TaskProgress>), UserError> {
        let report = |step, end, metrics: &[(&str, f64)]| RoundReport {
            round: step + 1,
            step,
            reason: (end != RoundEnd::Finished).then(|| "too few members".to_owned()),
            failed: u32::from(end == RoundEnd::Finished),
            end,
            seconds: 0.5,
            clients: vec![MEMBERS[0].parse().unwrap(), MEMBERS[1].parse().unwrap()],
            dropped: vec![MEMBERS[2].parse().unwrap()],
            metrics: metrics.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
            phases: vec![PhaseSpan {
                phase: "AdvertiseKeys".to_owned(),
                seconds: 0.25,
                last: vec![MEMBERS[1].parse().unwrap()],
            }],
        };
        let progress = TaskProgress {
            step: 1,
            total: 4,
            round: 3,
            phase: "MaskedInput".to_owned(),
            waiting_for: vec![MEMBERS[1].parse().unwrap()],
            asking: Vec::new(),
            deadline: Timestamp(0),
            connector_away: None,
            phases: Vec::new(),
            phase_since: Timestamp(7),
            rounds: vec![
                report(0, RoundEnd::Finished, &[("loss", 0.25), ("gap", f64::NAN)]),
                report(1, RoundEnd::Failed(FailureCode::TooFewMembers), &[]),
            ],
        };
        let row = found(id)?;
        let progress = row.task.is_some().then_some(progress);
        Ok((row, progress))
    }

    async fn task_certificate(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        found(id)?;
        Err(UserError::Invalid(format!(
            "task {id} has no certificate: it asks for none"
        )))
    }

    async fn task_checkpoint(&self, id: LocalTaskId) -> Result<Checkpoint, UserError> {
        if found(id)?.task.is_none() {
            return Err(UserError::Invalid(format!(
                "task {id} has finished no round"
            )));
        }
        Ok(Checkpoint {
            steps: 3,
            variables: bytes(b"PK\x03\x04.."),
        })
    }

    async fn task_bundle(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        found(id)?;
        Ok((6, bytes(b"PK\x03\x04..")))
    }
}

/// The recorded task as its owner is asked about it.
pub(crate) fn asked() -> AskedTask {
    let question = Question {
        author: Author::default(),
        kind: Kind::Statistics,
        strategy: Strategy::default(),
        rounds: 1,
        outputs: 1,
        reads: BTreeMap::from([(
            "wages.csv".parse().unwrap(),
            Reads::of(["wage".to_owned()].into(), TableForm::Names),
        )]),
        certified: None,
        class: Class::Free,
        digest: Digest([1; 32]),
    };
    let now = Timestamp(1_795_329_517_000);
    AskedTask {
        task: task(),
        name: "wage_avg".to_owned(),
        verdict: judge(&Policies::default(), &question, &Facts::default(), now),
        question,
        unproven: Vec::new(),
        disclosure: vec!["Task wage_avg (horizontal).".to_owned()],
        waits: true,
        asked_at: now,
        until: now + Duration::from_secs(86_400),
    }
}

/// An account from which one release has left, and another is set aside.
pub(crate) fn account() -> LedgerReport {
    let now = Timestamp(1_795_329_517_000);
    let budget = Budget::new(3.0, 1e-6, Renewal::Yearly).unwrap();
    let mut ledger = Ledger::new(now, budget);
    let cost = Cost::same(Rdp::gaussian(16.0).unwrap());
    let first = ledger.reserve(now, "task 0x55 round 1", cost.clone());
    ledger.charge(now, first.unwrap()).unwrap();
    ledger.reserve(now, "task 0x55 round 2", cost).unwrap();
    LedgerReport::of("wages.csv".parse().unwrap(), &ledger, true)
}

/// The key that the fake is known by.
pub(crate) fn key() -> NodeKey {
    NodeKey::new(&Secret::new([5; 32])).unwrap()
}

/// What the fake publishes.
pub(crate) fn catalogue() -> SignedCatalogue {
    let wages = Listing {
        description: Some("Wages".to_owned()),
        ..Listing::named("wages.csv".parse().unwrap())
    };
    SignedCatalogue::issue(&key(), vec![wages], Timestamp(1_795_329_517_000)).unwrap()
}

impl CatalogueApi for Fake {
    fn catalogue(&self) -> Option<Arc<SignedCatalogue>> {
        (!*self.unpublished.lock().unwrap()).then(|| Arc::new(catalogue()))
    }
}

impl IdentityApi for Fake {
    fn document(&self) -> Option<Document> {
        let (key, now) = (key(), Timestamp(1_795_329_517_000));
        let card = Card::new("Organisation", "n1", "http://a", key.public(), None, now).ok()?;
        Document::issue(&key, card, Some(&member(0)))
    }

    fn seen(&self, address: &Address) -> Option<bool> {
        (*address == member(1)).then_some(true)
    }
}

#[async_trait]
impl OperatorApi for Fake {
    async fn vitals(&self) -> Vitals {
        Vitals {
            tasks_running: 3,
            ..Vitals::default()
        }
    }

    async fn measurements(&self, form: Exposition) -> Result<String, UserError> {
        let running = self.vitals().await.tasks_running;
        Ok(format!("{form:?} {running}"))
    }

    async fn log_filter(&self) -> Result<String, UserError> {
        let filter = self.filter.lock().unwrap().clone();
        Ok(filter.unwrap_or_else(|| "info".to_owned()))
    }

    async fn set_log_filter(&self, filter: &str) -> Result<(), UserError> {
        if filter == "loud" {
            return Err(UserError::Invalid("\"loud\" is no filter".to_owned()));
        }
        *self.filter.lock().unwrap() = Some(filter.to_owned());
        Ok(())
    }
}

fn registered(on_hub: OnHub) -> RegisteredVersion {
    RegisteredVersion {
        dataset: "wages.csv".parse().unwrap(),
        index: 2,
        version: Digest([3; 32]),
        commitment: Digest([4; 32]),
        at: Timestamp(1_795_329_517_000),
        confirmed: true,
        current: None,
        on_hub: Some(on_hub),
    }
}

#[async_trait]
impl OwnerApi for Fake {
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, UserError> {
        let nodes = MEMBERS.iter().enumerate().map(|(i, address)| NodeRecord {
            address: address.parse().unwrap(),
            url: format!("http://127.0.0.1:1690{i}"),
            name: format!("n{}", i + 1),
        });
        let start = (page.saturating_sub(1) as usize).saturating_mul(page_size as usize);
        Ok(NodePage {
            nodes: nodes.skip(start).take(page_size as usize).collect(),
            total: 3,
        })
    }

    async fn leave_task(&self, left: &TaskId) -> Result<(), UserError> {
        if *left == task() {
            return Ok(());
        }
        Err(UserError::Invalid(format!(
            "this node follows no task {left}, or it is over"
        )))
    }

    async fn asked_tasks(&self) -> Vec<AskedTask> {
        vec![asked()]
    }

    async fn decisions(&self) -> Vec<Decided> {
        self.decided.lock().unwrap().clone()
    }

    async fn decide(
        &self,
        asked: &TaskId,
        decision: OwnerDecision,
        scope: DecisionScope,
        with: String,
    ) -> Result<Decided, UserError> {
        if *asked != task() {
            return Err(UserError::Invalid(format!(
                "this node follows no task {asked}"
            )));
        }
        let approval = Approval {
            author: Author::default(),
            question: Digest([1; 32]),
            scope: match scope {
                DecisionScope::Once => ApprovalScope::Once(task()),
                DecisionScope::Always => ApprovalScope::Always,
                DecisionScope::Until(end) => ApprovalScope::Until(end),
            },
            decision,
            decided_at: Timestamp(1_795_329_517_000),
            decided_with: with,
        };
        let decided = Decided {
            id: approval.id(),
            approval,
            revoked: None,
        };
        self.decided.lock().unwrap().push(decided.clone());
        Ok(decided)
    }

    async fn revoke(&self, id: &Digest, _: String) -> Result<(), UserError> {
        let mut decided = self.decided.lock().unwrap();
        let before = decided.len();
        decided.retain(|d| d.id != *id);
        if decided.len() < before {
            return Ok(());
        }
        Err(UserError::Invalid(format!(
            "there is no decision {id} that still stands"
        )))
    }

    async fn journal(&self, skip: u64, most: usize) -> Result<Vec<String>, UserError> {
        let lines = ["{\"number\":1}", "{\"number\":2}", "{\"number\":3}"];
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let lines = lines.iter().skip(skip).take(most);
        Ok(lines.map(|line| (*line).to_owned()).collect())
    }

    async fn privacy(&self) -> Result<Vec<LedgerReport>, UserError> {
        Ok(vec![account()])
    }

    async fn datasets(&self) -> Result<Vec<OwnDataset>, UserError> {
        Ok(vec![OwnDataset {
            name: "wages.csv".parse().unwrap(),
            description: "table, 3 rows, 2 columns".to_owned(),
            usable: true,
            ruled: true,
            approval: ApprovalMode::Controlled,
            published: true,
        }])
    }

    async fn register_dataset(&self, name: &DatasetName) -> Result<RegisteredVersion, UserError> {
        match name.as_str() {
            "wages.csv" => Ok(registered(OnHub::Same)),
            _ => Err(UserError::Invalid(format!("there is no dataset {name}"))),
        }
    }

    async fn registered_datasets(&self) -> Result<Vec<RegisteredVersion>, UserError> {
        let version = RegisteredVersion {
            current: Some(false),
            on_hub: None,
            ..registered(OnHub::Same)
        };
        Ok(vec![version])
    }

    async fn dataset_history(&self, _: &DatasetName) -> Result<Vec<RegisteredVersion>, UserError> {
        Ok(vec![registered(OnHub::Nothing), registered(OnHub::Another)])
    }

    async fn ready(&self) -> Vec<ReadyCheck> {
        let ok = !*self.unready.lock().unwrap();
        let detail = if ok { "it answers" } else { "it is silent" };
        vec![ReadyCheck {
            name: "connector",
            ok,
            detail: detail.to_owned(),
        }]
    }
}

/// The fake behind the real server.
pub(crate) struct World {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Who answers.
    pub(crate) fake: Arc<Fake>,
    /// Ends it.
    pub(crate) stop: CancellationToken,
    /// The server.
    pub(crate) server: HttpServer,
}

impl World {
    /// With the usual limits.
    pub(crate) async fn start() -> Self {
        Self::with(HttpOptions::default()).await
    }

    /// With these limits.
    pub(crate) async fn with(options: HttpOptions) -> Self {
        Self::behind(options, Admission::default(), true, None).await
    }

    /// Which lets in whom it is told.
    pub(crate) async fn admitting(admission: Admission) -> Self {
        Self::behind(HttpOptions::default(), admission, true, None).await
    }

    /// With nobody behind the doors of authors and owner.
    pub(crate) async fn for_members() -> Self {
        Self::behind(HttpOptions::default(), Admission::default(), false, None).await
    }

    /// With another coordinator.
    pub(crate) async fn of(coordinator: Arc<dyn CoordinatorApi>) -> Self {
        let (options, admission) = (HttpOptions::default(), Admission::default());
        Self::behind(options, admission, true, Some(coordinator)).await
    }

    async fn behind(
        options: HttpOptions,
        admission: Admission,
        users: bool,
        coordinator: Option<Arc<dyn CoordinatorApi>>,
    ) -> Self {
        let fake = Arc::new(Fake::default());
        let stop = CancellationToken::new();
        let server = serve(
            "127.0.0.1:0".parse().unwrap(),
            Doors {
                authors: users.then(|| fake.clone() as Arc<dyn AuthorApi>),
                owner: users.then(|| fake.clone() as Arc<dyn OwnerApi>),
                operator: users.then(|| fake.clone() as Arc<dyn OperatorApi>),
                members: coordinator.unwrap_or_else(|| fake.recorder.clone()),
                identity: users.then(|| fake.clone() as Arc<dyn IdentityApi>),
                catalogue: users.then(|| fake.clone() as Arc<dyn CatalogueApi>),
                board: users.then(|| fake.clone() as Arc<dyn BoardApi>),
                check: users.then(|| fake.clone() as Arc<dyn SelfCheck>),
            },
            admission,
            options,
            stop.clone().cancelled_owned(),
        )
        .await
        .unwrap();
        Self {
            address: server.address(),
            fake,
            stop,
            server,
        }
    }

    /// Its url.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// GET.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(
            format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await
    }

    /// POST of a whole body; `head` is further header lines.
    pub(crate) async fn post(
        &self,
        target: &str,
        content_type: &str,
        head: &str,
        body: &[u8],
    ) -> Answer {
        let mut request = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{head}\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(&request).await
    }

    /// Sends bytes on a connection of their own and reads until it is closed. A server that hangs fails the test.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        self.exchange(request, false, None).await
    }

    /// As [`World::send`], from another address of this machine.
    pub(crate) async fn send_from(&self, from: IpAddr, request: &[u8]) -> Answer {
        self.exchange(request, false, Some(from)).await
    }

    /// As [`World::send`], but hangs up after the last byte.
    pub(crate) async fn send_and_hang_up(&self, request: &[u8]) -> Answer {
        self.exchange(request, true, None).await
    }

    async fn exchange(&self, request: &[u8], hang_up: bool, from: Option<IpAddr>) -> Answer {
        let exchange = async {
            let socket = TcpSocket::new_v4().unwrap();
            if let Some(from) = from {
                socket.bind(SocketAddr::new(from, 0)).unwrap();
            }
            let stream = socket.connect(self.address).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let writing = async {
                // The server may answer and close before it has seen everything.
                let _closed_early = write.write_all(request).await;
                if hang_up {
                    let _closed_already = write.shutdown().await;
                }
                write
            };
            let reading = async {
                let mut answer = Vec::new();
                let _reset = read.read_to_end(&mut answer).await;
                answer
            };
            let (_write, answer) = tokio::join!(writing, reading);
            answer
        };
        let answer = tokio::time::timeout(Duration::from_secs(30), exchange)
            .await
            .expect("the server hangs");
        Answer::parse(&answer)
    }
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 0 when there was none.
    pub(crate) status: u16,
    /// Header lines, lower case names.
    pub(crate) head: String,
    /// The body, unchunked.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(answer: &[u8]) -> Self {
        let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
            return Self {
                status: 0,
                head: String::new(),
                body: answer.to_vec(),
            };
        };
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.get(9..12).unwrap().parse().unwrap();
        let rest = &answer[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") {
            unchunked(rest)
        } else {
            rest.to_vec()
        };
        Self { status, head, body }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        out.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 4 + size..];
        if size == 0 {
            break;
        }
    }
    out
}
