//! A node and a coordinator without any sense, behind the real server; and a client that sends bytes as they are.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use delta_node::adapters::http::{Doors, HttpOptions, HttpServer, serve};
use delta_node::domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use delta_node::domain::round::message::{
    Announcement, RequestBody, RoundEnd, RoundView, SealedShares, ShareDelivery, SignedRequest,
    TranscriptSignature,
};
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::domain::time::Timestamp;
use delta_node::ports::author_api::{AuthorApi, RoundReport, TaskProgress};
use delta_node::ports::blob::ByteStream;
use delta_node::ports::connector::{NodePage, NodeRecord};
use delta_node::ports::owner_api::{OwnerApi, ReadyCheck};
use delta_node::ports::peer::{
    CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, RejectionKind,
};
use delta_node::ports::storage::{LocalTaskId, LogLevel, LogRow, NewLog, TaskPage, TaskRow};
use delta_node::ports::{PortError, PortErrorKind, UserError};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The recorded task's id on the network.
pub(crate) const TASK: &str = "0x55c4c50e63b1cfec90669c0cfd76df334296f9c986f5b7d70d8c635a98d4f9bb";
/// The recorded addresses.
pub(crate) const MEMBERS: [&str; 3] = [
    "0x277adef31ac745db719e1ac9d5fc7c0c1bb3c07f",
    "0xb1e0ca7e1bd48d7e3cd69aaa3de23cb943338f23",
    "0xcbc8fe19e145df3a9b111a2d5d4232dda235e355",
];

/// The recorded task.
pub(crate) fn task() -> TaskId {
    TASK.parse().unwrap()
}

/// One of the recorded members.
pub(crate) fn member(index: usize) -> Address {
    MEMBERS[index].parse().unwrap()
}

/// A request of member 1 in round 1, signed so to speak.
pub(crate) fn request(body: RequestBody) -> SignedRequest {
    SignedRequest {
        task: task(),
        round: RoundNumber(1),
        sender: member(1),
        view: Digest([0x5a; 32]),
        body,
        signature: vec![0, 1, 2, 0xff],
    }
}

/// Shares of member 1 for everybody.
pub(crate) fn shares() -> Vec<SealedShares> {
    (0..3)
        .map(|i| SealedShares {
            sender: member(1),
            receiver: member(i),
            seed_share: vec![0, i as u8, 3],
            sk_share: vec![0xff; 48],
        })
        .collect()
}

/// What the fake delivers.
pub(crate) fn delivery() -> ShareDelivery {
    ShareDelivery {
        shares: (0..3)
            .map(|i| SealedShares {
                sender: member(i),
                receiver: member(1),
                seed_share: vec![i as u8; 5],
                sk_share: vec![7, i as u8],
            })
            .collect(),
        transcripts: vec![TranscriptSignature {
            signer: member(0),
            signature: vec![9; 64],
        }],
    }
}

/// What the fake says of a round.
pub(crate) fn view(round: RoundNumber) -> RoundView {
    let name: Name = "weights".parse().unwrap();
    RoundView {
        announcement: Announcement {
            task: task(),
            round,
            step: 3,
            variables: [(name, Digest([3; 32]))].into(),
        },
        kind: TaskKind::Horizontal,
        u1: Some((0..3).map(member).collect()),
        u2: None,
        u3: None,
        ended: None,
    }
}

/// `len` bytes that are easy to tell from others, in pieces of 64 KiB.
pub(crate) fn pattern(len: u64) -> ByteStream {
    let pieces = (0..len.div_ceil(1 << 16)).map(move |i| {
        let size = (len - (i << 16)).min(1 << 16) as usize;
        let piece: Vec<u8> = (0..size).map(|j| (i as usize * 31 + j * 7) as u8).collect();
        Ok(Bytes::from(piece))
    });
    Box::pin(stream::iter(pieces.collect::<Vec<_>>()))
}

/// A short stream.
pub(crate) fn bytes(content: &'static [u8]) -> ByteStream {
    Box::pin(stream::iter([Ok(Bytes::from_static(content))]))
}

/// Everything in a stream.
pub(crate) async fn collect(mut content: ByteStream) -> Result<Vec<u8>, PortError> {
    let mut out = Vec::new();
    while let Some(piece) = content.next().await {
        out.extend_from_slice(&piece?);
    }
    Ok(out)
}

/// Remembers what it is asked and answers as it is told.
#[derive(Default)]
pub(crate) struct Fake {
    /// Requests of members, in order.
    pub(crate) requests: Mutex<Vec<SignedRequest>>,
    /// Files received whole.
    pub(crate) files: Mutex<Vec<Vec<u8>>>,
    /// The answer to the next request of a member.
    pub(crate) refuse: Mutex<Option<PeerRejection>>,
    /// Length of bundles and variables.
    pub(crate) len: Mutex<u64>,
    /// What the checks say.
    pub(crate) unready: Mutex<bool>,
}

impl Fake {
    /// Requests so far; forgets them.
    pub(crate) fn taken(&self) -> Vec<SignedRequest> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Makes the next request of a member fail.
    pub(crate) fn refuse_next(&self, kind: RejectionKind, detail: &str) {
        *self.refuse.lock().unwrap() = Some(PeerRejection::new(kind, detail));
    }

    fn note(&self, request: SignedRequest) -> Result<(), PeerRejection> {
        self.requests.lock().unwrap().push(request);
        self.refuse.lock().unwrap().take().map_or(Ok(()), Err)
    }

    fn file(&self) -> (u64, ByteStream) {
        let len = *self.len.lock().unwrap();
        (len, pattern(len))
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
    async fn submit_task(&self, bundle: ByteStream) -> Result<LocalTaskId, UserError> {
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

    async fn task(&self, id: LocalTaskId) -> Result<TaskRow, UserError> {
        found(id)
    }

    async fn tasks(&self, ids: &[LocalTaskId]) -> Result<Vec<TaskRow>, UserError> {
        Ok(ids.iter().filter_map(|id| row(*id)).collect())
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
            end,
            seconds: 0.5,
            clients: vec![MEMBERS[0].parse().unwrap(), MEMBERS[1].parse().unwrap()],
            dropped: vec![MEMBERS[2].parse().unwrap()],
            metrics: metrics.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
        };
        let progress = TaskProgress {
            step: 1,
            total: 4,
            round: 3,
            phase: "MaskedInput".to_owned(),
            waiting_for: vec![MEMBERS[1].parse().unwrap()],
            deadline: Timestamp(0),
            rounds: vec![
                report(0, RoundEnd::Finished, &[("loss", 0.25), ("gap", f64::NAN)]),
                report(1, RoundEnd::Failed("too few members".to_owned()), &[]),
            ],
        };
        let row = found(id)?;
        let progress = row.task.is_some().then_some(progress);
        Ok((row, progress))
    }

    async fn task_bundle(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        found(id)?;
        Ok((6, bytes(b"PK\x03\x04..")))
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

fn no(text: impl Into<String>) -> PeerRejection {
    PeerRejection::new(RejectionKind::Invalid, text)
}

#[async_trait]
impl CoordinatorApi for Fake {
    async fn call(
        &self,
        request: PeerRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection> {
        let request = match request {
            PeerRequest::Bundle { task: id } if id == task() => {
                return Ok(PeerAnswer::file(self.file()));
            }
            PeerRequest::Bundle { task: id } => {
                return Err(no(format!("task {id} does not exist")));
            }
            PeerRequest::RoundView { round, .. } if round == RoundNumber(1) => {
                return Ok(PeerAnswer::RoundView(view(round)));
            }
            PeerRequest::RoundView { .. } => return Err(no("task round does not exist")),
            PeerRequest::UnsignedShares { .. } => {
                return Err(PeerRejection::new(
                    RejectionKind::Forbidden,
                    "shares are for their receiver: sign the request",
                ));
            }
            PeerRequest::Signed(request) => request,
        };
        let body = request.body.clone();
        self.note(request)?;
        Ok(match body {
            RequestBody::Variable { .. } => PeerAnswer::file(self.file()),
            RequestBody::FetchShares => PeerAnswer::Shares(delivery()),
            RequestBody::FetchConfirmations => PeerAnswer::Confirmations(delivery().transcripts),
            RequestBody::Result { .. } => {
                let content = collect(content.unwrap())
                    .await
                    .map_err(|e| PeerRejection::new(RejectionKind::Internal, e.to_string()))?;
                self.files.lock().unwrap().push(content);
                PeerAnswer::Done
            }
            _ => PeerAnswer::Done,
        })
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
        Self::behind(options, true).await
    }

    /// With nobody behind the doors of authors and owner.
    pub(crate) async fn for_members() -> Self {
        Self::behind(HttpOptions::default(), false).await
    }

    async fn behind(options: HttpOptions, users: bool) -> Self {
        let fake = Arc::new(Fake {
            len: Mutex::new(3541),
            ..Fake::default()
        });
        let stop = CancellationToken::new();
        let server = serve(
            "127.0.0.1:0".parse().unwrap(),
            Doors {
                authors: users.then(|| fake.clone() as Arc<dyn AuthorApi>),
                owner: users.then(|| fake.clone() as Arc<dyn OwnerApi>),
                members: fake.clone(),
            },
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
            format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
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
            "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{head}\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(&request).await
    }

    /// Sends bytes on a connection of their own and reads until it is closed. A server that hangs fails the test.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        self.exchange(request, false).await
    }

    /// As [`World::send`], but hangs up after the last byte.
    pub(crate) async fn send_and_hang_up(&self, request: &[u8]) -> Answer {
        self.exchange(request, true).await
    }

    async fn exchange(&self, request: &[u8], hang_up: bool) -> Answer {
        let exchange = async {
            let (mut read, mut write) =
                TcpStream::connect(self.address).await.unwrap().into_split();
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
