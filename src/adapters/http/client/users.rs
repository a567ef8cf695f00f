//! A client of a node's API for its users: what `delta-node task ...` speaks.

use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::tls;
use delta_ports::storage::LocalTaskId;
use delta_ports::{PortError, PortErrorKind};

/// Longest wait for an answer that is computed, not streamed.
const CALL_WITHIN: Duration = Duration::from_secs(60);
/// Largest JSON answer taken.
const MAX_JSON: usize = 16 << 20;
/// Between the parts of an upload. A bundle is a zip file: it cannot contain this line by accident in any way that matters,
/// because the length of the part is given too.
const BOUNDARY: &str = "delta-node-7c1fd2a64b8f4f0e9a35";

/// A task as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskInfo {
    /// Local id.
    pub id: LocalTaskId,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Display name.
    pub name: String,
    /// `horizontal` or `hlr`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The coordinator's address; empty while pending.
    pub creator: String,
    /// Name of the status.
    pub status: String,
}

/// A log record as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct LogLine {
    /// Its id; the next request starts after it.
    pub id: i64,
    /// Unix milliseconds.
    pub created_at: u64,
    /// The sentence.
    pub message: String,
    /// The transaction it speaks of.
    pub tx_hash: Option<String>,
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct UserClient {
    base: String,
    client: Client,
}

impl UserClient {
    /// A client of the node at `base`.
    ///
    /// # Errors
    /// `Internal` when TLS or the client cannot be set up.
    pub fn new(base: &str) -> Result<Self, PortError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config()?)
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|e| {
                PortError::new(
                    PortErrorKind::Internal,
                    "client.new",
                    "the HTTP client cannot be set up",
                )
                .with_source(e)
            })?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// Submits a bundle.
    ///
    /// # Errors
    /// `Rejected` with the node's sentence; `Unavailable` when it cannot be reached.
    pub async fn submit(&self, bundle: &[u8]) -> Result<LocalTaskId, PortError> {
        #[derive(Deserialize)]
        struct Submitted {
            task_id: LocalTaskId,
        }
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"task.delta\"\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            bundle.len()
        )
        .into_bytes();
        body.extend_from_slice(bundle);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = self
            .client
            .post(format!("{}/v1/task", self.base))
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .timeout(CALL_WITHIN * 10)
            .body(body);
        let submitted: Submitted = self.json(request).await?;
        Ok(submitted.task_id)
    }

    /// One task.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn task(&self, id: u64) -> Result<TaskInfo, PortError> {
        self.json(self.get(format!("/v1/task/metadata?task_id={id}")))
            .await
    }

    /// Log records from `start` on.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn logs(&self, id: u64, start: i64) -> Result<Vec<LogLine>, PortError> {
        self.json(self.get(format!(
            "/v1/task/logs?task_id={id}&start={start}&limit=100"
        )))
        .await
    }

    /// The result file, streamed.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn result(
        &self,
        id: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, PortError>> + use<>, PortError> {
        use futures_util::StreamExt as _;
        let request = self
            .client
            .get(format!("{}/v1/task/result?task_id={id}", self.base));
        let response = self.good(request).await?;
        Ok(response.bytes_stream().map(|piece| {
            piece.map_err(|e| {
                PortError::new(
                    PortErrorKind::Unavailable,
                    "client.result",
                    "the download broke off",
                )
                .with_source(e)
            })
        }))
    }

    fn get(&self, path: String) -> reqwest::RequestBuilder {
        self.client
            .get(format!("{}{path}", self.base))
            .timeout(CALL_WITHIN)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, PortError> {
        let mut response = self.good(request).await?;
        let corrupt = |text: &str| PortError::new(PortErrorKind::Corrupt, "client.call", text);
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|e| corrupt("the answer broke off").with_source(e))?
        {
            if body.len() + piece.len() > MAX_JSON {
                return Err(corrupt("the answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|e| {
            corrupt("the answer is not what a node says; is this the url of a node?").with_source(e)
        })
    }

    async fn good(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, PortError> {
        let unreachable = |e| {
            let text = format!("no node answers at {}; is it running?", self.base);
            PortError::new(PortErrorKind::Unavailable, "client.call", text).with_source(e)
        };
        let response = request.send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let detail = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|v| {
                v.get("detail")
                    .map(|d| d.as_str().map_or_else(|| d.to_string(), str::to_owned))
            })
            .unwrap_or_else(|| format!("the node answers {status}"));
        Err(PortError::new(
            PortErrorKind::Rejected,
            "client.call",
            detail,
        ))
    }
}
