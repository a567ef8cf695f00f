//! The way to a coordinator: [`PeerTransport`] over HTTP.
//!
//! Nothing is retried here, no redirect is followed, no proxy is used, and no answer is read beyond its limit. Sentences that a peer
//! sends back are cut to a length that fits in a log record.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::tls;
use super::url_policy::{CheckedResolver, Lookup, SystemLookup, UrlPolicy};
use crate::wire::compact::{self, Compact};
use crate::wire::headers::{self, ConfirmBody, NoticeBody};
use delta_domain::ids::{RoundNumber, TaskId, encode_hex};
use delta_domain::round::message::{
    RequestBody, RoundView, SealedShares, ShareDelivery, SignedRequest, TranscriptSignature,
};
use delta_ports::blob::ByteStream;
use delta_ports::peer::PeerTransport;
use delta_ports::{PortError, PortErrorKind};

/// How the client behaves.
#[derive(Clone)]
pub struct PeerOptions {
    /// Where it may go.
    pub policy: UrlPolicy,
    /// How names are resolved.
    pub lookup: Arc<dyn Lookup>,
    /// Longest time to connect, names and TLS included.
    pub connect_within: Duration,
    /// Longest pause within an answer, and within an upload.
    pub idle: Duration,
    /// Longest time for a call with a small answer.
    pub call_within: Duration,
}

impl PeerOptions {
    /// The usual times under `policy`.
    #[must_use]
    pub fn new(policy: UrlPolicy) -> Self {
        Self {
            policy,
            lookup: Arc::new(SystemLookup),
            connect_within: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            call_within: Duration::from_secs(30),
        }
    }
}

/// [`PeerTransport`] over HTTP. Connections are kept and reused.
pub struct HttpPeers {
    /// For answers: a silent coordinator is given up after `idle`.
    download: Client,
    /// For uploads: silence is normal while we are the ones who talk. [`upload`] watches the progress.
    upload: Client,
    options: PeerOptions,
}

impl HttpPeers {
    /// A client.
    ///
    /// # Errors
    /// `Internal` when TLS or the client cannot be set up.
    pub fn new(options: PeerOptions) -> Result<Self, PortError> {
        let tls = tls::config()?;
        let resolver = Arc::new(CheckedResolver::new(
            options.policy.clone(),
            options.lookup.clone(),
        ));
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(resolver.clone())
                .redirect(redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .user_agent(concat!("delta-node/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_within)
                // Shorter than the server's patience with idle connections, so that it rarely closes one that we are about to use.
                .pool_idle_timeout(Duration::from_secs(20))
        };
        let failed = |error: reqwest::Error| {
            PortError::new(
                PortErrorKind::Internal,
                "peer.new",
                "the HTTP client cannot be set up",
            )
            .with_source(error)
        };
        let download = builder()
            .read_timeout(options.idle)
            .build()
            .map_err(failed)?;
        let upload = builder().build().map_err(failed)?;
        Ok(Self {
            download,
            upload,
            options,
        })
    }

    fn url(&self, base: &str, call: &str, query: &[(&str, &str)]) -> Result<Url, PortError> {
        let base = self.options.policy.base(base)?;
        let mut url = base.join(&format!("v1/coord/{call}")).map_err(|error| {
            PortError::new(
                PortErrorKind::Denied,
                "peer.url",
                "the url cannot be extended",
            )
            .with_source(error)
        })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// The url of a call whose query says who asks, and about which round.
    fn url_of(&self, base: &str, call: &str, request: &SignedRequest) -> Result<Url, PortError> {
        let query = [
            ("address", request.sender.as_str()),
            ("task_id", request.task.as_str()),
            ("round", &request.round.to_string()),
        ];
        self.url(base, call, &query)
    }

    async fn get_compact(
        &self,
        op: &'static str,
        url: Url,
        request: &SignedRequest,
    ) -> Result<Compact, PortError> {
        let get = signed(self.download.get(url), request)
            .header(ACCEPT, compact::TYPE)
            .timeout(self.options.call_within);
        let response = good(op, get.send().await).await?;
        let body = whole(op, response, headers::MAX_SHARES).await?;
        compact::decode(&body).ok_or_else(|| {
            PortError::new(
                PortErrorKind::Corrupt,
                op,
                "the coordinator's answer is not in the compact form",
            )
        })
    }

    async fn post_json<T: Serialize>(
        &self,
        op: &'static str,
        url: Url,
        request: &SignedRequest,
        body: &T,
    ) -> Result<(), PortError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            PortError::new(
                PortErrorKind::Internal,
                op,
                "the request cannot be written as JSON",
            )
            .with_source(error)
        })?;
        self.post(op, url, request, "application/json", body).await
    }

    async fn post(
        &self,
        op: &'static str,
        url: Url,
        request: &SignedRequest,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<(), PortError> {
        let post = signed(self.download.post(url), request)
            .header(CONTENT_TYPE, content_type)
            .body(body);
        let response = good(op, post.timeout(self.options.call_within).send().await).await?;
        done(op, response).await
    }
}

#[async_trait]
impl PeerTransport for HttpPeers {
    async fn bundle(&self, url: &str, task: &TaskId, limit: u64) -> Result<ByteStream, PortError> {
        const OP: &str = "peer.bundle";
        let url = self.url(url, "config", &[("task_id", task.as_str())])?;
        let response = good(OP, self.download.get(url).send().await).await?;
        bounded(OP, response, limit)
    }

    async fn round_view(
        &self,
        url: &str,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PortError> {
        const OP: &str = "peer.round_view";
        let url = self.url(
            url,
            "round",
            &[("task_id", task.as_str()), ("round", &round.to_string())],
        )?;
        let get = self.download.get(url).timeout(self.options.call_within);
        let response = good(OP, get.send().await).await?;
        let view: RoundView = parsed(OP, response, 1 << 20).await?;
        if view.announcement.task != *task || view.announcement.round != round {
            return Err(PortError::new(
                PortErrorKind::Corrupt,
                OP,
                "the coordinator answers for another round",
            ));
        }
        Ok(view)
    }

    async fn variable(
        &self,
        url: &str,
        request: &SignedRequest,
        limit: u64,
    ) -> Result<ByteStream, PortError> {
        const OP: &str = "peer.variable";
        let RequestBody::Variable { name } = &request.body else {
            return Err(misused(OP, request));
        };
        let query = [
            ("task_id", request.task.as_str()),
            ("name", name.as_str()),
            ("round", &request.round.to_string()),
            ("address", request.sender.as_str()),
        ];
        let url = self.url(url, "context", &query)?;
        let response = good(OP, signed(self.download.get(url), request).send().await).await?;
        bounded(OP, response, limit)
    }

    async fn submit(&self, url: &str, request: &SignedRequest) -> Result<(), PortError> {
        const OP: &str = "peer.submit";
        let (call, reason) = match &request.body {
            RequestBody::Shares { shares, transcript } => {
                let own = TranscriptSignature {
                    signer: request.sender.clone(),
                    signature: transcript.clone(),
                };
                let body = compact::encode(shares, |s| &s.receiver, &[own]);
                let url = self.url_of(url, "secret_shares", request)?;
                return self.post(OP, url, request, compact::TYPE, body).await;
            }
            RequestBody::Confirm { signature } => {
                let url = self.url(url, "confirm", &[])?;
                return self
                    .post_json(OP, url, request, &ConfirmBody::new(request, signature))
                    .await;
            }
            RequestBody::Joined => ("joined", None),
            RequestBody::Revealed => ("revealed", None),
            RequestBody::Decline { reason } => ("decline", Some(reason.as_str())),
            RequestBody::Variable { .. }
            | RequestBody::FetchShares
            | RequestBody::FetchConfirmations
            | RequestBody::Result { .. } => return Err(misused(OP, request)),
        };
        let url = self.url(url, call, &[])?;
        self.post_json(OP, url, request, &NoticeBody::new(request, reason))
            .await
    }

    async fn fetch_shares(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<ShareDelivery, PortError> {
        const OP: &str = "peer.fetch_shares";
        if !matches!(request.body, RequestBody::FetchShares) {
            return Err(misused(OP, request));
        }
        let url = self.url_of(url, "secret_shares", request)?;
        let Compact { shares, signatures } = self.get_compact(OP, url, request).await?;
        let sealed = |(sender, [seed_share, sk_share]): (_, [_; 2])| SealedShares {
            sender,
            receiver: request.sender.clone(),
            seed_share,
            sk_share,
        };
        Ok(ShareDelivery {
            shares: shares.into_iter().map(sealed).collect(),
            transcripts: signatures,
        })
    }

    async fn confirmations(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PortError> {
        const OP: &str = "peer.confirmations";
        if !matches!(request.body, RequestBody::FetchConfirmations) {
            return Err(misused(OP, request));
        }
        let url = self.url_of(url, "confirmations", request)?;
        Ok(self.get_compact(OP, url, request).await?.signatures)
    }

    async fn result(
        &self,
        url: &str,
        request: &SignedRequest,
        len: u64,
        content: ByteStream,
    ) -> Result<(), PortError> {
        const OP: &str = "peer.result";
        let RequestBody::Result {
            digest,
            len: announced,
        } = &request.body
        else {
            return Err(misused(OP, request));
        };
        if *announced != len {
            return Err(PortError::new(
                PortErrorKind::Internal,
                OP,
                "the signed length is not the length of the content",
            ));
        }
        let url = self.url(url, "result", &[])?;
        // The content cannot contain its own digest, so no line of it can be the boundary.
        let boundary = format!("delta{}", encode_hex(&digest.0).trim_start_matches("0x"));
        let text = |name: &str, value: &str| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let head = [
            text("address", request.sender.as_str()),
            text("task_id", request.task.as_str()),
            text("round", &request.round.to_string()),
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}.result\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                request.sender
            ),
        ]
        .concat();
        let tail = format!("\r\n--{boundary}--\r\n");
        let total = len + (head.len() + tail.len()) as u64;
        let sent = Arc::new(AtomicU64::new(0));
        let body = stream::once(async { Ok(Bytes::from(head)) })
            .chain(exactly(len, content))
            .chain(stream::once(async { Ok(Bytes::from(tail)) }));
        let counter = sent.clone();
        let body = body.inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let post = signed(self.upload.post(url), request)
            .header(headers::DIGEST, digest.to_string())
            .header(headers::LENGTH, len)
            .header(CONTENT_LENGTH, total)
            .header(
                CONTENT_TYPE,
                format!("multipart/form-data; boundary={boundary}"),
            )
            .body(Body::wrap_stream(body));
        let response = upload(OP, post, &sent, self.options.idle).await?;
        done(OP, response).await
    }
}

fn signed(builder: RequestBuilder, request: &SignedRequest) -> RequestBuilder {
    builder
        .header(headers::VIEW, request.view.to_string())
        .header(headers::SIGNATURE, encode_hex(&request.signature))
}

/// Sends an upload and gives up when nothing moves for between one and two times `idle`.
async fn upload(
    op: &'static str,
    post: RequestBuilder,
    sent: &AtomicU64,
    idle: Duration,
) -> Result<Response, PortError> {
    let sending = async { good(op, post.send().await).await };
    let mut sending = std::pin::pin!(sending);
    let mut before = 0;
    loop {
        if let Ok(response) = tokio::time::timeout(idle, sending.as_mut()).await {
            return response;
        }
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            return Err(PortError::new(
                PortErrorKind::Timeout,
                op,
                "the coordinator takes no more of the upload, or does not answer it",
            ));
        }
        before = now;
    }
}

/// The content, if it has exactly `len` bytes; an error at the end, or at the first byte too many, if not.
fn exactly(len: u64, content: ByteStream) -> ByteStream {
    let wrong = move |got: u64| {
        PortError::new(
            PortErrorKind::Internal,
            "peer.result",
            format!("the content has {got} bytes where {len} were signed"),
        )
    };
    Box::pin(stream::unfold(
        Some((content, 0_u64)),
        move |state| async move {
            let (mut content, seen) = state?;
            match content.next().await {
                Some(Ok(piece)) => {
                    let seen = seen + piece.len() as u64;
                    if seen > len {
                        Some((Err(wrong(seen)), None))
                    } else {
                        Some((Ok(piece), Some((content, seen))))
                    }
                }
                Some(Err(error)) => Some((Err(error), None)),
                None if seen < len => Some((Err(wrong(seen)), None)),
                None => None,
            }
        },
    ))
}

/// An answer with status 2xx, or what the coordinator says instead.
async fn good(
    op: &'static str,
    answer: Result<Response, reqwest::Error>,
) -> Result<Response, PortError> {
    let response = answer.map_err(|error| transport(op, error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = match status {
        _ if status.is_redirection() => {
            return Err(PortError::new(
                PortErrorKind::Denied,
                op,
                "the coordinator redirects, which is not followed",
            ));
        }
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY => PortErrorKind::Unavailable,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => PortErrorKind::Timeout,
        _ => PortErrorKind::Refused,
    };
    let detail = detail(op, response)
        .await
        .unwrap_or_else(|| format!("the coordinator answers with status {}", status.as_u16()));
    Err(PortError::new(kind, op, detail))
}

/// The sentence in an answer `{"detail": ...}`, cut to 1 KiB and cleaned of control characters.
async fn detail(op: &'static str, response: Response) -> Option<String> {
    let body = whole(op, response, 64 << 10).await.ok()?;
    let Value::Object(mut fields) = serde_json::from_slice(&body).ok()? else {
        return None;
    };
    let text = match fields.remove("detail")? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.truncate(text.floor_char_boundary(1024));
    Some(text)
}

/// The answer to a POST: `{"success":true}`.
async fn done(op: &'static str, response: Response) -> Result<(), PortError> {
    #[derive(serde::Deserialize)]
    struct Success {
        success: bool,
    }
    let answer: Success = parsed(op, response, 4 << 10).await?;
    if answer.success {
        Ok(())
    } else {
        Err(PortError::new(
            PortErrorKind::Refused,
            op,
            "the coordinator answers that it did not succeed",
        ))
    }
}

async fn parsed<T: DeserializeOwned>(
    op: &'static str,
    response: Response,
    limit: usize,
) -> Result<T, PortError> {
    let body = whole(op, response, limit).await?;
    serde_json::from_slice(&body).map_err(|error| {
        PortError::new(
            PortErrorKind::Corrupt,
            op,
            "the coordinator's answer cannot be read",
        )
        .with_source(error)
    })
}

async fn whole(op: &'static str, response: Response, limit: usize) -> Result<Vec<u8>, PortError> {
    let mut content = bounded(op, response, limit as u64)?;
    let mut out = Vec::new();
    while let Some(piece) = content.next().await {
        out.extend_from_slice(&piece?);
    }
    Ok(out)
}

/// The body of an answer, cut with an error at the first byte beyond `limit`.
fn bounded(op: &'static str, response: Response, limit: u64) -> Result<ByteStream, PortError> {
    let too_long = move || {
        PortError::new(
            PortErrorKind::Corrupt,
            op,
            format!("the answer is longer than {limit} bytes"),
        )
    };
    let said = response
        .headers()
        .get(headers::LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .or(response.content_length());
    if said.is_some_and(|len: u64| len > limit) {
        return Err(too_long());
    }
    let content = Box::pin(response.bytes_stream());
    Ok(Box::pin(stream::unfold(
        Some((content, 0_u64)),
        move |state| async move {
            let (mut content, seen) = state?;
            match content.next().await? {
                Ok(piece) => {
                    let seen = seen + piece.len() as u64;
                    if seen > limit {
                        Some((Err(too_long()), None))
                    } else {
                        Some((Ok(piece), Some((content, seen))))
                    }
                }
                Err(error) => Some((Err(transport(op, error)), None)),
            }
        },
    )))
}

/// What a failure of reqwest means. An error of our own inside it (the policy's, the content's) keeps its kind.
fn transport(op: &'static str, error: reqwest::Error) -> PortError {
    let error = error.without_url();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(own) = inner.downcast_ref::<PortError>() {
            return PortError::new(own.kind(), op, own.message().to_owned()).with_source(error);
        }
        cause = inner.source();
    }
    let (kind, message) = if error.is_timeout() {
        (
            PortErrorKind::Timeout,
            "the coordinator does not answer in time",
        )
    } else if error.is_connect() {
        (
            PortErrorKind::Unavailable,
            "the coordinator cannot be reached",
        )
    } else if error.is_builder() {
        (PortErrorKind::Internal, "the request cannot be made")
    } else {
        (
            PortErrorKind::Unavailable,
            "the connection to the coordinator broke",
        )
    };
    PortError::new(kind, op, message).with_source(error)
}

fn misused(op: &'static str, request: &SignedRequest) -> PortError {
    PortError::new(
        PortErrorKind::Internal,
        op,
        format!("{} is not sent this way", request.body.name()),
    )
}
