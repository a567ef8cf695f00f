//! A coordinator without any sense.

use std::sync::Mutex;

use async_trait::async_trait;
use delta_domain::ids::RoundNumber;
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_ports::blob::{ByteStream, pieces};
use delta_ports::peer::{CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, RejectionKind};

use super::moves::{author, collect, confirmations, delivery, pattern, task, view};

/// Remembers what it is asked and answers as it is told.
pub struct Recorder {
    /// Requests of members, in order.
    pub requests: Mutex<Vec<SignedRequest>>,
    /// Files received whole.
    pub files: Mutex<Vec<Vec<u8>>>,
    /// The answer to the next request of a member.
    pub refuse: Mutex<Option<PeerRejection>>,
    /// Length of bundles and variables.
    pub len: Mutex<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Has been asked nothing; its files are 3541 bytes long.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: Mutex::default(),
            files: Mutex::default(),
            refuse: Mutex::default(),
            len: Mutex::new(3541),
        }
    }

    /// Requests so far; forgets them.
    pub fn taken(&self) -> Vec<SignedRequest> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Makes the next request of a member fail.
    pub fn refuse_next(&self, kind: RejectionKind, detail: &str) {
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

fn no(text: impl Into<String>) -> PeerRejection {
    PeerRejection::new(RejectionKind::Invalid, text)
}

#[async_trait]
impl CoordinatorApi for Recorder {
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
            PeerRequest::Author { task: id } if id == task() => {
                let bytes = author().to_bytes();
                return Ok(PeerAnswer::file((bytes.len() as u64, pieces(bytes))));
            }
            PeerRequest::Certificate { .. } => return Err(no("the task has no certificate")),
            PeerRequest::Author { .. } => return Err(no("the task names no author")),
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
            RequestBody::FetchConfirmations => PeerAnswer::Confirmations(confirmations()),
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
