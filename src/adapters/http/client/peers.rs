//! The way to a coordinator: [`PeerTransport`] over HTTP.
//!
//! Each request becomes one call below `v1/coord` of the coordinator's url. Nothing is retried here, no redirect is followed, no proxy is
//! used. How answers are read is in `answer.rs`, how results are sent in `upload.rs`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url, redirect};
use rustls::ClientConfig;
use serde::Serialize;

use super::answer::{bounded, done, good, parsed, whole};
use super::card_keys::CardKeys;
use super::tls::{self, Trust};
use super::upload::Upload;
use super::url_policy::{CheckedResolver, Lookup, SystemLookup, UrlPolicy};
use crate::wire::compact::{self, Compact};
use crate::wire::headers::{self, NoticeBody};
use delta_domain::ids::{Address, RoundNumber, TaskId, encode_hex};
use delta_domain::round::message::{
    Confirmation, RequestBody, RoundView, SealedShares, ShareDelivery, SignedRequest,
};
use delta_ports::blob::ByteStream;
use delta_ports::peer::{PeerAnswer, PeerRequest, PeerTransport};
use delta_ports::{PortError, PortErrorKind};

/// Longest view of a round.
const MAX_VIEW: usize = 1 << 20;

/// How the client behaves.
#[derive(Clone)]
pub struct PeerOptions {
    /// Where it may go.
    pub policy: UrlPolicy,
    /// Whose certificates it trusts.
    pub trust: Trust,
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
            trust: Trust::System,
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
    /// For uploads: silence is normal while we are the ones who talk. [`Upload`] watches the progress.
    upload: Client,
    /// For identity documents, which prove themselves.
    documents: Client,
    /// TLS keys that cards name.
    pub(super) keys: CardKeys,
    options: PeerOptions,
}

impl HttpPeers {
    /// A client.
    ///
    /// # Errors
    /// `Internal` when TLS or the client cannot be set up.
    pub fn new(options: PeerOptions) -> Result<Self, PortError> {
        let keys = CardKeys::default();
        let tls = tls::config(&options.trust, &keys)?;
        let unchecked = tls::unchecked()?;
        let resolver = Arc::new(CheckedResolver::new(
            options.policy.clone(),
            options.lookup.clone(),
        ));
        let builder = |tls: &ClientConfig| {
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
        let patient = |tls| builder(tls).read_timeout(options.idle);
        let download = patient(&tls).build().map_err(failed)?;
        let documents = patient(&unchecked).build().map_err(failed)?;
        let upload = builder(&tls).build().map_err(failed)?;
        Ok(Self {
            download,
            upload,
            documents,
            keys,
            options,
        })
    }
}

impl HttpPeers {
    /// A GET of `path` below a node's url, for what proves itself: the server's certificate is not looked at.
    pub(super) fn get_document(&self, url: &str, path: &str) -> Result<RequestBuilder, PortError> {
        let base = self.options.policy.base(url)?;
        let url = base.join(path).map_err(|error| {
            PortError::new(
                PortErrorKind::Denied,
                "peer.url",
                "the url cannot be extended",
            )
            .with_source(error)
        })?;
        Ok(self.documents.get(url).timeout(self.options.call_within))
    }
}

#[async_trait]
impl PeerTransport for HttpPeers {
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        let content = request.with_content(content)?;
        let call = Call {
            peers: self,
            op: request.op(),
            base: url,
        };
        match &request {
            PeerRequest::Bundle { task } => {
                let url = call.url("config", &[("task_id", task.as_str())])?;
                call.file(self.download.get(url), limit).await
            }
            PeerRequest::Author { task } => {
                let url = call.url("author", &[("task_id", task.as_str())])?;
                call.file(self.download.get(url), limit).await
            }
            PeerRequest::Certificate { task, key } => {
                let query = [("task_id", task.as_str()), ("key", &key.to_string())];
                let url = call.url("certificate", &query)?;
                call.file(self.download.get(url), limit).await
            }
            PeerRequest::RoundView { task, round } => call.round_view(task, *round).await,
            PeerRequest::UnsignedShares {
                task,
                round,
                receiver,
            } => {
                let url = call.url_of("secret_shares", receiver, task, *round)?;
                call.shares(self.download.get(url), receiver).await
            }
            PeerRequest::Signed(request) => call.signed(request, content, limit).await,
        }
    }
}

/// One request on its way.
struct Call<'a> {
    peers: &'a HttpPeers,
    op: &'static str,
    /// The coordinator.
    base: &'a str,
}

impl Call<'_> {
    async fn signed(
        &self,
        request: &SignedRequest,
        content: Option<(u64, ByteStream)>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        match &request.body {
            RequestBody::Variable { name } => {
                let query = [
                    ("task_id", request.task.as_str()),
                    ("name", name.as_str()),
                    ("round", &request.round.to_string()),
                    ("address", request.sender.as_str()),
                ];
                let get = self.peers.download.get(self.url("context", &query)?);
                self.file(with_signature(get, request), limit).await
            }
            RequestBody::FetchShares => {
                let get = self
                    .peers
                    .download
                    .get(self.about("secret_shares", request)?);
                self.shares(with_signature(get, request), &request.sender)
                    .await
            }
            RequestBody::FetchConfirmations => {
                let get = self
                    .peers
                    .download
                    .get(self.about("confirmations", request)?);
                let read = self.compact(with_signature(get, request)).await?;
                Ok(PeerAnswer::Confirmations(read.confirmations))
            }
            RequestBody::Shares { shares } => {
                let body = compact::encode(shares, |s| &s.receiver, &[]);
                let url = self.about("secret_shares", request)?;
                self.post(url, request, compact::TYPE, body).await
            }
            RequestBody::Confirm { statement, tags } => {
                let own = Confirmation {
                    member: request.sender.clone(),
                    tag: tags.clone(),
                };
                let body = compact::encode(&[], |s| &s.sender, &[own]);
                let url = self.about("confirm", request)?;
                let post = self.peers.download.post(url);
                let post = post.header(headers::DIGEST, statement.to_string());
                self.send(post, request, compact::TYPE, body).await
            }
            RequestBody::Joined => self.notice("joined", request, None).await,
            RequestBody::Attend => self.notice("attend", request, None).await,
            RequestBody::Depart => self.notice("depart", request, None).await,
            RequestBody::Revealed => self.notice("revealed", request, None).await,
            RequestBody::Decline { reason } => {
                self.notice("decline", request, Some(reason.name())).await
            }
            RequestBody::Result { digest, .. } => {
                let Some((len, content)) = content else {
                    let text = "a result is uploaded with its content";
                    return Err(self.error(PortErrorKind::Internal, text));
                };
                let post = self.peers.upload.post(self.url("result", &[])?);
                let upload = Upload::new(request, digest, len, content);
                let post = with_signature(post, request);
                let answer = upload.send(self.op, post, self.peers.options.idle).await?;
                done(self.op, answer).await
            }
        }
    }

    async fn round_view(&self, task: &TaskId, round: RoundNumber) -> Result<PeerAnswer, PortError> {
        let number = round.to_string();
        let url = self.url("round", &[("task_id", task.as_str()), ("round", &number)])?;
        let get = self.peers.download.get(url);
        let get = get.timeout(self.peers.options.call_within);
        let response = good(self.op, get.send().await).await?;
        let view: RoundView = parsed(self.op, response, MAX_VIEW).await?;
        if view.announcement.task != *task || view.announcement.round != round {
            return Err(self.error(
                PortErrorKind::Corrupt,
                "the coordinator answers for another round",
            ));
        }
        Ok(PeerAnswer::RoundView(view))
    }

    /// Downloads a file of at most `limit` bytes.
    async fn file(&self, get: RequestBuilder, limit: u64) -> Result<PeerAnswer, PortError> {
        let response = good(self.op, get.send().await).await?;
        let (len, content) = bounded(self.op, response, limit)?;
        Ok(PeerAnswer::Content { len, content })
    }

    /// Fetches the shares sealed for `receiver`.
    async fn shares(
        &self,
        get: RequestBuilder,
        receiver: &Address,
    ) -> Result<PeerAnswer, PortError> {
        let read = self.compact(get).await?;
        let sealed = |(sender, sealed)| SealedShares {
            sender,
            receiver: receiver.clone(),
            sealed,
        };
        Ok(PeerAnswer::Shares(ShareDelivery {
            shares: read.shares.into_iter().map(sealed).collect(),
        }))
    }

    async fn compact(&self, get: RequestBuilder) -> Result<Compact, PortError> {
        let get = get
            .header(ACCEPT, compact::TYPE)
            .timeout(self.peers.options.call_within);
        let response = good(self.op, get.send().await).await?;
        let body = whole(self.op, response, headers::MAX_SHARES).await?;
        compact::decode(&body).ok_or_else(|| {
            self.error(
                PortErrorKind::Corrupt,
                "the coordinator's answer is not in the compact form",
            )
        })
    }

    async fn notice(
        &self,
        call: &str,
        request: &SignedRequest,
        reason: Option<&str>,
    ) -> Result<PeerAnswer, PortError> {
        let body = NoticeBody::new(request, reason);
        self.post_json(call, request, &body).await
    }

    async fn post_json<T: Serialize>(
        &self,
        call: &str,
        request: &SignedRequest,
        body: &T,
    ) -> Result<PeerAnswer, PortError> {
        let url = self.url(call, &[])?;
        let body = serde_json::to_vec(body).map_err(|error| {
            self.error(
                PortErrorKind::Internal,
                "the request cannot be written as JSON",
            )
            .with_source(error)
        })?;
        self.post(url, request, "application/json", body).await
    }

    async fn post(
        &self,
        url: Url,
        request: &SignedRequest,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<PeerAnswer, PortError> {
        let post = self.peers.download.post(url);
        self.send(post, request, content_type, body).await
    }

    async fn send(
        &self,
        post: RequestBuilder,
        request: &SignedRequest,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<PeerAnswer, PortError> {
        let post = with_signature(post, request)
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .timeout(self.peers.options.call_within);
        let response = good(self.op, post.send().await).await?;
        done(self.op, response).await
    }

    fn url(&self, call: &str, query: &[(&str, &str)]) -> Result<Url, PortError> {
        let base = self.peers.options.policy.base(self.base)?;
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
    fn url_of(
        &self,
        call: &str,
        who: &Address,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<Url, PortError> {
        let query = [
            ("address", who.as_str()),
            ("task_id", task.as_str()),
            ("round", &round.to_string()),
        ];
        self.url(call, &query)
    }

    fn about(&self, call: &str, request: &SignedRequest) -> Result<Url, PortError> {
        self.url_of(call, &request.sender, &request.task, request.round)
    }

    fn error(&self, kind: PortErrorKind, text: &str) -> PortError {
        PortError::new(kind, self.op, text)
    }
}

fn with_signature(builder: RequestBuilder, request: &SignedRequest) -> RequestBuilder {
    builder
        .header(headers::VIEW, request.view.to_string())
        .header(headers::SIGNATURE, encode_hex(&request.signature))
}
